#include "smtpd/listener/tls_server.h"

#include <algorithm>
#include <openssl/x509v3.h>

#include "common/tls/certificate.h"
#include "common/tls/ciphers.h"
#include "common/tls/groups.h"

namespace postern::listener {

namespace {

const ipc::NamedCertificates* find_named(const std::vector<ipc::NamedCertificates>& all,
                                         const std::string& name) {
    const auto found = std::find_if(all.begin(), all.end(), [&](const ipc::NamedCertificates& one) {
        return one.name == name;
    });
    return found == all.end() ? nullptr : &*found;
}

Result<void> trust(SSL_CTX& context, const std::string& pem) {
    Result<std::vector<X509Certificate>> authorities = parse_certificates(pem);
    if (!authorities)
        return authorities.error();
    for (const X509Certificate& authority : *authorities)
        if (X509_STORE_add_cert(SSL_CTX_get_cert_store(&context), authority.get()) != 1 ||
            SSL_CTX_add_client_CA(&context, authority.get()) != 1)
            return openssl_error("an authority cannot be added");
    return {};
}

// Clients need no certificate, and one that nobody vouches for is as good as none.
int accept_any(int, X509_STORE_CTX*) { return 1; }

Result<void> ask_for_certificates(SSL_CTX& context, const TlsOptions& options,
                                  const ipc::ListenerSettings& settings) {
    const ipc::NamedCertificates* authority = find_named(settings.authorities, options.authority);
    if (!authority)
        return Error{"there is no ca " + options.authority};
    if (Result<void> trusted = trust(context, authority->certificates.bytes); !trusted)
        return trusted;
    if (options.verify)
        SSL_CTX_set_verify(&context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
    else
        SSL_CTX_set_verify(&context, SSL_VERIFY_PEER, accept_any);
    return {};
}

// What a session was agreed on under: it is not resumed under others.
std::string terms_of(const TlsOptions& options, const ipc::ListenerSettings& settings) {
    const ipc::NamedCertificates* authority = find_named(settings.authorities, options.authority);
    return (options.verify ? "demanded " : "asked for ") + options.ciphers + ' ' +
           (authority ? authority->certificates.bytes : std::string());
}

// Everything but the server's own certificates.
Result<SslContext> make_context(const TlsOptions& options, const ipc::ListenerSettings& settings,
                                const SessionTickets& tickets) {
    SslContext context(SSL_CTX_new(TLS_server_method()));
    if (!context)
        return openssl_error("SSL_CTX_new");
    SSL_CTX_set_min_proto_version(context.get(), options.tls_1_2 ? TLS1_2_VERSION : TLS1_3_VERSION);
    SSL_CTX_set_max_proto_version(context.get(), options.tls_1_3 ? TLS1_3_VERSION : TLS1_2_VERSION);
    // Only the end of data ends a message, so a connection that ends without a close_notify cannot
    // cut one short.
    SSL_CTX_set_options(context.get(), SSL_OP_NO_RENEGOTIATION | SSL_OP_IGNORE_UNEXPECTED_EOF);
    // One read(2) for all that there is, rather than two for each record.
    SSL_CTX_set_read_ahead(context.get(), 1);
    if (SSL_CTX_set1_groups_list(context.get(), tls_groups) != 1)
        return openssl_error("SSL_CTX_set1_groups_list");
    if (Result<void> set = set_ciphers(*context, options.ciphers); !set)
        return set.error();
    if (!options.authority.empty())
        if (Result<void> asked = ask_for_certificates(*context, options, settings); !asked)
            return asked.error();
    tickets.attach(context.get(), terms_of(options, settings));
    // A certificate may have been withdrawn since the ticket was given, or have expired.
    if (options.verify) {
        SSL_CTX_set_options(context.get(), SSL_OP_NO_TICKET);
        SSL_CTX_set_num_tickets(context.get(), 0);
    }
    return context;
}

} // namespace

Result<std::shared_ptr<TlsServer>> TlsServer::make(const TlsOptions& options,
                                                   const ipc::ListenerSettings& settings,
                                                   const SessionTickets& tickets) {
    auto server = std::make_shared<TlsServer>();
    for (const std::string& name : options.pkis) {
        const ipc::NamedCertificates* pki = find_named(settings.pkis, name);
        if (!pki)
            return Error{"there is no pki " + name};
        if (Result<void> added = server->add(*pki, options, settings, tickets); !added)
            return Error{"pki " + name + ": " + added.error().message};
    }
    if (server->identities_.empty())
        return Error{"TLS without a certificate"};
    for (Identity& identity : server->identities_) {
        SSL_CTX_set_tlsext_servername_callback(identity.context.get(), on_server_name);
        SSL_CTX_set_tlsext_servername_arg(identity.context.get(), server.get());
    }
    return server;
}

// The one for these names that has no key of this kind yet.
TlsServer::Identity* TlsServer::find(const std::vector<std::string>& names, bool rsa) {
    for (Identity& identity : identities_)
        if (identity.names == names && !(rsa ? identity.has_rsa : identity.has_ecdsa))
            return &identity;
    return nullptr;
}

Result<void> TlsServer::add(const ipc::NamedCertificates& pki, const TlsOptions& options,
                            const ipc::ListenerSettings& settings, const SessionTickets& tickets) {
    Result<std::vector<X509Certificate>> chain = parse_certificates(pki.certificates.bytes);
    if (!chain)
        return chain.error();
    X509* own = chain->front().get();
    const EVP_PKEY* public_key = X509_get0_pubkey(own);
    if (!public_key)
        return openssl_error("the certificate's key cannot be read");
    Result<EvpKey> key = make_remote_key(*public_key);
    if (!key)
        return key.error();
    const bool rsa = kind_of(*public_key) == KeyKind::rsa;
    std::vector<std::string> names = names_of(*own);
    Identity* identity = find(names, rsa);
    if (!identity) {
        Result<SslContext> context = make_context(options, settings, tickets);
        if (!context)
            return context.error();
        identity = &identities_.emplace_back();
        identity->names = std::move(names);
        identity->context = std::move(*context);
    }
    (rsa ? identity->has_rsa : identity->has_ecdsa) = true;
    SSL_CTX* context = identity->context.get();
    if (SSL_CTX_use_certificate(context, own) != 1 ||
        SSL_CTX_use_PrivateKey(context, key->get()) != 1)
        return openssl_error("the certificate cannot be used");
    for (size_t i = 1; i < chain->size(); ++i)
        if (SSL_CTX_add1_chain_cert(context, (*chain)[i].get()) != 1)
            return openssl_error("the certificate's chain cannot be used");
    return {};
}

SSL_CTX* TlsServer::choose(const char* server_name) const {
    for (const Identity& identity : identities_)
        if (X509_check_host(SSL_CTX_get0_certificate(identity.context.get()), server_name, 0, 0,
                            nullptr) == 1)
            return identity.context.get();
    return nullptr;
}

// RFC 6066 3: with a name that is not ours the client gets the first certificate, and decides.
int TlsServer::on_server_name(SSL* ssl, int*, void* self) {
    const char* name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    SSL_CTX* context = name ? static_cast<const TlsServer*>(self)->choose(name) : nullptr;
    if (!context)
        return SSL_TLSEXT_ERR_NOACK;
    SSL_set_SSL_CTX(ssl, context);
    return SSL_TLSEXT_ERR_OK;
}

Task<Result<TlsFacts>> StreamEncryption::begin(std::string go_ahead, Duration limit) {
    SslSession ssl = server_->new_session();
    if (!ssl)
        co_return openssl_error("SSL_new");
    co_return co_await accept_tls(stream_, std::move(ssl), keyholder_, std::move(go_ahead), limit);
}

} // namespace postern::listener
