// See tls_policy.h.
#include "deliver/relay/tls_policy.h"

namespace postern::relay {

TlsPolicy tls_policy(const ipc::Route& route) {
    TlsPolicy policy;
    const TlsLevel demanded = route.tls.verify ? TlsLevel::verified : TlsLevel::encrypted;
    const RelayScheme scheme = route.host ? route.host->scheme : RelayScheme::smtp;
    switch (scheme) {
    case RelayScheme::smtp:
        policy.level = route.tls.required ? demanded : TlsLevel::opportunistic;
        break;
    case RelayScheme::smtp_tls:
        policy.level = demanded;
        break;
    case RelayScheme::smtps:
        policy.level = demanded;
        policy.implicit = true;
        break;
    case RelayScheme::smtp_no_tls:
    case RelayScheme::lmtp:
        break;
    }
    return policy;
}

bool contradicts_itself(const ipc::Route& route) {
    return route.tls.required && route.host &&
           (route.host->scheme == RelayScheme::smtp_no_tls ||
            route.host->scheme == RelayScheme::lmtp);
}

TlsDemand tls_demand(const TlsPolicy& policy, const ipc::Route& route, const Exchanger& exchanger) {
    TlsDemand demand;
    demand.peer = exchanger.endpoint.to_string();
    demand.server_name = exchanger.host;
    if (!policy.tlsa.empty()) {
        demand.proof = TlsProof::dane;
        demand.tlsa = policy.tlsa;
        demand.names = policy.names;
        demand.server_name = policy.names.front(); // RFC 7672 8.1
    } else if (policy.level == TlsLevel::verified) {
        demand.proof = TlsProof::certificate;
        demand.names = {exchanger.host.empty() ? exchanger.endpoint.address.to_string()
                                               : exchanger.host};
    }
    demand.authority = route.tls.authority;
    demand.ciphers = route.tls.ciphers;
    demand.certificate = route.tls.pki;
    demand.tls_1_2 = route.tls.tls_1_2;
    demand.tls_1_3 = route.tls.tls_1_3;
    return demand;
}

std::string to_text(const TlsFacts& facts) {
    static constexpr const char* proofs[] = {"unverified", "verified", "dane"};
    return facts.protocol + "," + facts.cipher + "," + proofs[static_cast<size_t>(facts.proof)];
}

} // namespace postern::relay
