// How the queue names a message where people read it.
#pragma once

#include <cstdint>
#include <string>

namespace postern {

std::string message_name(uint64_t id); // 16 hexadecimal digits

// Seconds since the epoch without sign, 32 bits wide, as the table keeps them; what lies outside
// is brought to the nearest.
uint32_t to_seconds(int64_t wall_time);

} // namespace postern
