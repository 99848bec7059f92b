// CRC-32C (Castagnoli; RFC 3720 12.1), in hardware where the processor has it. It detects damage,
// not malice.
#pragma once

#include <cstdint>
#include <string_view>

namespace postern {

// The checksum of `data`; or, given the checksum of what precedes it, of both together.
uint32_t crc32c(std::string_view data, uint32_t preceding = 0);

// The same without the processor's instruction (for tests).
uint32_t crc32c_portable(std::string_view data, uint32_t preceding = 0);

} // namespace postern
