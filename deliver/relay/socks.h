// Connections through a SOCKS proxy (RFC 1928), with a password where the proxy wants one (RFC 1929).
#pragma once

#include <optional>
#include <string>

#include "common/base/ip_address.h"
#include "common/base/result.h"
#include "common/loop/task.h"
#include "common/net/stream.h"
#include "common/smtp/sasl.h"

namespace postern::relay {

// Octets of CONNECT to an address (RFC 1928 4).
std::string socks_request(const Endpoint& target);

// Over a stream to the proxy: from now on it leads to the target. Error::code is the errno that
// the proxy's words stand for, ETIMEDOUT where it has not come to any about the target, EPERM where it
// will not connect to this one; 0: there is no use in asking it for others. Ends within `limit`, and
// reads no octet of the target's. The references must outlive the task.
Task<Result<void>> connect_through(Stream& proxy, Endpoint target,
                                   const std::optional<SaslCredentials>& credentials,
                                   Duration limit);

} // namespace postern::relay
