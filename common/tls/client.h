// TLS as a client speaks it: what a connection has to be like, who is trusted, and the sessions
// that can be resumed.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "common/base/result.h"
#include "common/tls/client_sessions.h"
#include "common/tls/facts.h"
#include "common/tls/openssl.h"

namespace postern {

// What one connection has to be like. Equal ones share contexts and sessions.
struct TlsDemand {
    std::string peer;        // "192.0.2.1:25": whose sessions may be resumed; empty: none
    std::string server_name; // that the server is told (RFC 6066 3); empty or an address: none
    TlsProof proof = TlsProof::none; // that the handshake fails without
    // The certificate has to be for one of these, host names or addresses (RFC 9525 6). With DANE
    // the first is the base domain of the records (RFC 7672 3.2.2).
    std::vector<std::string> names;
    std::vector<std::string> tlsa; // usable records, if DANE is the proof (dane.h)
    std::string authority;         // by whose certificates; empty: the system's
    std::string ciphers;           // of TLS 1.2 (ciphers.h)
    bool tls_1_2 = true;
    bool tls_1_3 = true;
    // By name, what a server that asks for one is shown; empty: none. TLS 1.3 only: what the
    // keyholder signs for a client of TLS 1.2 could be anything.
    std::string certificate;
};

// Who vouches for servers.
struct TlsAuthorities {
    std::string system; // PEM; empty: there is none
    std::map<std::string, std::string> named;
};

// Our own, in PEM with those that vouch for them, by name. The keyholder has the keys.
using TlsCertificates = std::map<std::string, std::string>;

class TlsClient {
  public:
    explicit TlsClient(TlsAuthorities authorities, TlsCertificates certificates = {});

    // For connect_tls(). An error: the demand cannot be met by anybody, because there are no such
    // authorities, certificate or ciphers.
    Result<SslSession> begin(const TlsDemand& demand);

    size_t sessions() const { return sessions_->size(); }

  private:
    Result<SSL_CTX*> context_for(const TlsDemand& demand);
    Result<SslContext> make_context(const TlsDemand& demand);
    Result<void> use_certificate(SSL_CTX& context, const TlsDemand& demand);
    Result<X509_STORE*> store_for(const std::string& authority);

    TlsAuthorities authorities_;
    TlsCertificates certificates_;
    std::map<std::string, SslContext> contexts_; // as many as there are different actions
    std::map<std::string, TrustStore> stores_;
    std::shared_ptr<ClientSessions> sessions_; // connections that outlive us give it theirs
};

} // namespace postern
