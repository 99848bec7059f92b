#include "queue/backoff.h"

#include <algorithm>

namespace postern {

namespace {

constexpr std::chrono::seconds least_announced{30};
constexpr uint32_t believed_attempts = 3;

} // namespace

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

std::chrono::seconds retry_after(const Backoff& backoff, uint32_t failures,
                                 std::optional<std::chrono::seconds> announced, uint64_t random) {
    const std::chrono::seconds scheduled = retry_after(backoff, failures, random);
    if (!announced)
        return scheduled;
    const std::chrono::seconds wait = std::max(*announced, least_announced);
    if (wait < scheduled && failures > believed_attempts)
        return scheduled;
    if (wait >= backoff.most)
        return retry_after({backoff.most, backoff.most}, 1, random);
    // A second more: the one that has begun is over.
    const int64_t spread = std::max<int64_t>(wait.count() / 10, 5);
    const auto later = static_cast<int64_t>(random % static_cast<uint64_t>(spread));
    return std::min(wait + std::chrono::seconds(1 + later), backoff.most);
}

} // namespace postern
