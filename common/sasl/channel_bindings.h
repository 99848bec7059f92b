// What is known to the two ends of one TLS connection only, so that who authenticates by it cannot
// be passed on by somebody between (RFC 5056).
#pragma once

#include <string>
#include <tuple>

namespace postern {

// Empty: the connection has no such one.
struct ChannelBindings {
    std::string tls_exporter;         // RFC 9266
    std::string tls_server_end_point; // RFC 5929 4
    std::string tls_unique;           // RFC 5929 3, of TLS 1.2
    // Without this one, none of them is worth anything.
    bool any() const { return !tls_exporter.empty(); }
    static constexpr auto fields(auto& m) {
        return std::tie(m.tls_exporter, m.tls_server_end_point, m.tls_unique);
    }
};

} // namespace postern
