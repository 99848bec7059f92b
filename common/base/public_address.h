// Which addresses are those of hosts on the Internet. Pure.
#pragma once

#include "common/base/ip_address.h"

namespace postern {

// Not this host, the link, a network of somebody's own, a group, or an IPv4 address of these kinds
// in the form of NAT64 or 6to4. Addresses for documentation (RFC 5737) do count.
bool is_public(const IpAddress& address);

} // namespace postern
