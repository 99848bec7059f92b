// Numbers and addresses as binary protocols have them: the most significant octet comes first.
#pragma once

#include <cstdint>
#include <string>

#include "common/base/ip_address.h"

namespace postern {

// The lowest `octets` octets of `number`; 8 at most.
inline void append_number(std::string& out, uint64_t number, int octets) {
    for (int i = octets - 1; i >= 0; --i)
        out += static_cast<char>(number >> (8 * i));
}

// 4 octets or 16.
inline void append_address(std::string& out, const IpAddress& address) {
    if (address.version == 6)
        append_number(out, address.high, 8);
    append_number(out, address.low, address.version == 6 ? 8 : 4);
}

} // namespace postern
