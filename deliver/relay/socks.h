// Connections through a SOCKS proxy (RFC 1928), with a password where the proxy wants one (RFC
// 1929).
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

// Over a stream to the proxy: agrees on how we prove who we are, and does. An error is the proxy's.
// Ends within `limit`. The references must outlive the task.
Task<Result<void>> open_socks(Stream& proxy, const std::optional<SaslCredentials>& credentials,
                              Duration limit);

// Then: from now on the stream leads to the target. Error::code is the errno that the proxy's words
// stand for, ETIMEDOUT where it has not come to any within `limit`, EPERM where it will not connect
// to this one; 0: there is no use in asking it for others. Reads no octet of the target's.
Task<Result<void>> connect_by_socks(Stream& proxy, Endpoint target, Duration limit);

} // namespace postern::relay
