#include "queue/backoff.h"

#include <algorithm>

namespace postern {

std::chrono::seconds retry_after(const Backoff& backoff, uint32_t failures, uint64_t random) {
    const int64_t most = std::max<int64_t>(backoff.most.count(), 1);
    int64_t delay = std::clamp<int64_t>(backoff.first.count(), 1, most);
    // Doubling stops at `most`, long before it could overflow.
    for (uint32_t i = 1; i < failures && delay < most; ++i)
        delay = delay > most / 2 ? most : delay * 2;
    const int64_t spread = delay / 5;
    if (spread > 0)
        delay -= static_cast<int64_t>(random % static_cast<uint64_t>(spread + 1));
    return std::chrono::seconds(delay);
}

} // namespace postern
