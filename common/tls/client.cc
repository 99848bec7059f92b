#include "common/tls/client.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>

#include "common/base/ip_address.h"
#include "common/tls/certificate.h"
#include "common/tls/ciphers.h"
#include "common/tls/dane.h"
#include "common/tls/groups.h"
#include "common/tls/remote_key.h"

namespace postern {

namespace {

// Bytes of all certificates that a server shows, in memory for as long as its sessions are.
constexpr long longest_chain = 32 * 1024;

// Names in subjectAltName alone (RFC 9525 6.3), and "*" for a whole label.
constexpr unsigned name_flags =
    X509_CHECK_FLAG_NEVER_CHECK_SUBJECT | X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS;

// Fields one behind the other, each with its length: none can be taken for another.
void add(std::string& key, const std::string& field) {
    key += std::to_string(field.size()) + ':' + field;
}

std::string context_key(const TlsDemand& demand) {
    std::string key;
    add(key, std::to_string(static_cast<int>(demand.proof)));
    add(key, demand.proof == TlsProof::certificate ? demand.authority : std::string());
    add(key, demand.ciphers);
    key += demand.tls_1_2 ? '2' : '-';
    key += demand.tls_1_3 ? '3' : '-';
    add(key, demand.certificate);
    return key;
}

std::string session_key(const TlsDemand& demand) {
    std::string key = context_key(demand);
    add(key, demand.peer);
    add(key, demand.server_name);
    for (const std::string& name : demand.names)
        add(key, name);
    return key;
}

bool is_address(const std::string& name) { return IpAddress::parse(name).has_value(); }

// One of the names is enough.
bool demand_name(SSL* ssl, const std::vector<std::string>& names) {
    X509_VERIFY_PARAM* parameters = SSL_get0_param(ssl);
    X509_VERIFY_PARAM_set_hostflags(parameters, name_flags);
    for (const std::string& name : names)
        if (is_address(name)
                ? X509_VERIFY_PARAM_set1_ip_asc(parameters, name.c_str()) != 1
                : X509_VERIFY_PARAM_add1_host(parameters, name.data(), name.size()) != 1)
            return false;
    return !names.empty();
}

// A context for DANE: what the records say goes for the key of the server itself whatever name and
// date its certificate has (RFC 7672 3.1.1).
bool demand_dane(SSL* ssl, const TlsDemand& demand) {
    if (demand.names.empty() || SSL_dane_enable(ssl, demand.names.front().c_str()) != 1)
        return false;
    SSL_dane_set_flags(ssl, DANE_FLAG_NO_DANE_EE_NAMECHECKS);
    SSL_set_hostflags(ssl, name_flags);
    for (size_t i = 1; i < demand.names.size(); ++i)
        if (SSL_add1_host(ssl, demand.names[i].c_str()) != 1)
            return false;
    bool added = false;
    for (const std::string& record : demand.tlsa)
        added = add_tlsa(*ssl, record) || added;
    return added;
}

} // namespace

TlsClient::TlsClient(TlsAuthorities authorities, TlsCertificates certificates)
    : authorities_(std::move(authorities)), certificates_(std::move(certificates)),
      sessions_(std::make_shared<ClientSessions>()) {}

Result<SslSession> TlsClient::begin(const TlsDemand& demand) {
    ERR_clear_error();
    Result<SSL_CTX*> context = context_for(demand);
    if (!context)
        return context.error();
    SslSession ssl(SSL_new(*context));
    if (!ssl)
        return openssl_error("SSL_new");
    if (!demand.server_name.empty() && !is_address(demand.server_name) &&
        SSL_set_tlsext_host_name(ssl.get(), demand.server_name.c_str()) != 1)
        return openssl_error("the name of the server cannot be told");
    if (demand.proof == TlsProof::certificate && !demand_name(ssl.get(), demand.names))
        return openssl_error("the name of the server cannot be verified");
    if (demand.proof == TlsProof::dane && !demand_dane(ssl.get(), demand))
        return openssl_error("TLSA records cannot be used");
    // What a session was verified by is kept with it, but not that it was a record of the zone.
    if (!demand.peer.empty() && demand.proof != TlsProof::dane)
        ClientSessions::follow(sessions_, ssl.get(), session_key(demand));
    return ssl;
}

Result<SSL_CTX*> TlsClient::context_for(const TlsDemand& demand) {
    const std::string key = context_key(demand);
    if (const auto found = contexts_.find(key); found != contexts_.end())
        return found->second.get();
    Result<SslContext> made = make_context(demand);
    if (!made)
        return made.error();
    return (contexts_[key] = std::move(*made)).get();
}

Result<SslContext> TlsClient::make_context(const TlsDemand& demand) {
    SslContext context(SSL_CTX_new(TLS_client_method()));
    if (!context)
        return openssl_error("SSL_CTX_new");
    SSL_CTX_set_min_proto_version(context.get(), demand.tls_1_2 ? TLS1_2_VERSION : TLS1_3_VERSION);
    SSL_CTX_set_max_proto_version(context.get(), demand.tls_1_3 ? TLS1_3_VERSION : TLS1_2_VERSION);
    // A reply that is cut short has no end of line: no close_notify is needed to see that.
    SSL_CTX_set_options(context.get(), SSL_OP_NO_RENEGOTIATION | SSL_OP_IGNORE_UNEXPECTED_EOF);
    SSL_CTX_set_read_ahead(context.get(), 1);
    SSL_CTX_set_max_cert_list(context.get(), longest_chain);
    if (SSL_CTX_set1_groups_list(context.get(), tls_client_groups) != 1 &&
        SSL_CTX_set1_groups_list(context.get(), tls_groups) != 1)
        return openssl_error("SSL_CTX_set1_groups_list");
    ERR_clear_error();
    if (demand.proof == TlsProof::none)
        // Weak keys will do: the next best is no encryption at all (RFC 7435).
        SSL_CTX_set_security_level(context.get(), 0);
    if (Result<void> set = set_ciphers(*context, demand.ciphers); !set)
        return set.error();
    if (!demand.certificate.empty())
        if (Result<void> used = use_certificate(*context, demand); !used)
            return used.error();
    ClientSessions::keep_those_of(context.get());
    if (demand.proof == TlsProof::none) {
        SSL_CTX_set_verify(context.get(), SSL_VERIFY_NONE, nullptr);
        return context;
    }
    SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER, nullptr);
    if (demand.proof == TlsProof::dane) {
        if (SSL_CTX_dane_enable(context.get()) != 1)
            return openssl_error("SSL_CTX_dane_enable");
        return context;
    }
    Result<X509_STORE*> store = store_for(demand.authority);
    if (!store)
        return store.error();
    SSL_CTX_set1_cert_store(context.get(), *store);
    return context;
}

Result<void> TlsClient::use_certificate(SSL_CTX& context, const TlsDemand& demand) {
    const auto found = certificates_.find(demand.certificate);
    if (found == certificates_.end())
        return Error{"there is no pki " + demand.certificate};
    if (!demand.tls_1_3)
        return Error{"certificates of ours are for TLS 1.3"};
    Result<std::vector<X509Certificate>> chain = parse_certificates(found->second);
    if (!chain)
        return chain.error();
    X509* own = chain->front().get();
    const EVP_PKEY* public_key = X509_get0_pubkey(own);
    if (!public_key)
        return openssl_error("the certificate's key cannot be read");
    Result<EvpKey> key = make_remote_key(*public_key);
    if (!key)
        return key.error();
    SSL_CTX_set_min_proto_version(&context, TLS1_3_VERSION);
    if (SSL_CTX_use_certificate(&context, own) != 1 ||
        SSL_CTX_use_PrivateKey(&context, key->get()) != 1)
        return openssl_error("the certificate cannot be used");
    for (size_t i = 1; i < chain->size(); ++i)
        if (SSL_CTX_add1_chain_cert(&context, (*chain)[i].get()) != 1)
            return openssl_error("a certificate cannot be added");
    return {};
}

Result<X509_STORE*> TlsClient::store_for(const std::string& authority) {
    if (const auto found = stores_.find(authority); found != stores_.end())
        return found->second.get();
    const auto named = authorities_.named.find(authority);
    if (!authority.empty() && named == authorities_.named.end())
        return Error{"there is no ca " + authority};
    const std::string& pem = authority.empty() ? authorities_.system : named->second;
    if (pem.empty())
        return Error{"there are no certificates of authorities to verify by"};
    Result<std::vector<X509Certificate>> certificates = parse_certificates(pem);
    if (!certificates)
        return certificates.error();
    TrustStore store(X509_STORE_new());
    for (const X509Certificate& certificate : *certificates)
        if (X509_STORE_add_cert(store.get(), certificate.get()) != 1)
            return openssl_error("an authority cannot be added");
    return (stores_[authority] = std::move(store)).get();
}

} // namespace postern
