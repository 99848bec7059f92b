// The networks that count as one client where something is shared out: IPv4 /24, IPv6 /64.
#pragma once

#include "common/base/ip_address.h"

namespace postern {

inline IpAddress client_network(const IpAddress& address) {
    return address.prefix(address.version == 4 ? 24 : 64);
}

} // namespace postern
