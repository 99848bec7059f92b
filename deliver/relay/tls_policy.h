// Whether connections to a next hop are encrypted, and what it has to prove. Pure.
#pragma once

#include <string>

#include "common/ipc/routing.h"
#include "common/tls/client.h"
#include "deliver/relay/exchangers.h"

namespace postern::relay {

enum class TlsLevel : uint8_t {
    never,
    opportunistic, // where the server offers it and it works, whoever the server is (RFC 7435)
    encrypted,     // or not at all, whoever the server is
    verified,      // or not at all, to a server that proves who it is
};

struct TlsPolicy {
    TlsLevel level = TlsLevel::never;
    bool implicit = false; // from the first byte (RFC 8314 3.3) rather than by STARTTLS
    // With DANE: the usable records, and for whom a certificate may be; the first is whose they
    // are.
    std::vector<std::string> tlsa{};
    std::vector<std::string> names{};

    bool demands_tls() const { return level >= TlsLevel::encrypted; }
};

// What the configuration wants for a route.
TlsPolicy tls_policy(const ipc::Route& route);

// TLS is demanded of a host whose URL says that it is spoken to without.
bool contradicts_itself(const ipc::Route& route);

// What a connection to the exchanger has to be like under the policy, if it is encrypted. A name
// that the DNS gave is verified by as it is: the configuration demands it, and knows no other.
TlsDemand tls_demand(const TlsPolicy& policy, const ipc::Route& route, const Exchanger& exchanger);

// "TLSv1.3,TLS_AES_256_GCM_SHA384,verified", for the log; "none" of a connection in plain.
std::string to_text(const TlsFacts& facts);
inline constexpr const char* no_tls = "none";

} // namespace postern::relay
