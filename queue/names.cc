#include "queue/names.h"

#include <algorithm>

#include "common/mail/message_id.h"

namespace postern {

std::string message_name(uint64_t id) { return to_string(MessageId{id}); }

uint32_t to_seconds(int64_t wall_time) {
    return static_cast<uint32_t>(std::clamp<int64_t>(wall_time, 0, UINT32_MAX));
}

} // namespace postern
