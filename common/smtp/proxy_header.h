// The header that a proxy puts before what its client sends, to say who that is: the PROXY
// protocol, versions 1 and 2 (https://www.haproxy.org/download/2.8/doc/proxy-protocol.txt). A
// client can tell a proxy in the same way from where to connect to whom. Pure.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "common/base/ip_address.h"

namespace postern {

enum class ProxyStatus : uint8_t {
    incomplete, // so far it is right
    bad,        // it is none, or a malformed one
    client,     // it says whose connection this is
    own,        // version 2's LOCAL: the proxy itself speaks, to see whether we live
    unknown,    // well-formed, but without an Internet address
};

struct ProxyHeader {
    ProxyStatus status = ProxyStatus::incomplete;
    size_t length = 0; // octets of the header; what is behind them the client has sent
    IpAddress client;
};

// No header is longer; one of version 2 that says it is, is bad.
inline constexpr size_t proxy_header_limit = 4096;

// `input` is what the connection began with. Version 1 is not read if `only_v2`. In version 2 all
// lengths are checked, and the checksum if there is one.
ProxyHeader parse_proxy_header(std::string_view input, bool only_v2);

// The header of version 2 of a connection over TCP, whose source's port does not matter (0). Both
// addresses are of one IP version.
std::string proxy_header_v2(const IpAddress& source, const Endpoint& destination);

} // namespace postern
