#include "common/tls/bindings.h"

#include <algorithm>
#include <string_view>

namespace postern {

namespace {

// RFC 9266 2.
std::string tls_exporter(SSL* ssl) {
    constexpr std::string_view label = "EXPORTER-Channel-Binding";
    constexpr size_t size = 32;
    std::string value(size, '\0');
    // With the context, which is empty: for TLS 1.2 that is not the same as without one.
    if (SSL_export_keying_material(ssl, reinterpret_cast<unsigned char*>(value.data()), size,
                                   label.data(), label.size(), nullptr, 0, 1) != 1)
        return {};
    return value;
}

// Empty: nobody kept it there.
std::string end_point_of_ticket(SSL_SESSION* session) {
    void* value = nullptr;
    size_t size = 0;
    if (!session || SSL_SESSION_get0_ticket_appdata(session, &value, &size) != 1 || !value)
        return {};
    return std::string(static_cast<const char*>(value), std::min<size_t>(size, EVP_MAX_MD_SIZE));
}

// RFC 5929 4.1: the hash of the server's certificate, by the hash function of its signature, but at
// least SHA-256. With which certificate a resumed session began its ticket has to say.
std::string tls_server_end_point(SSL* ssl) {
    if (SSL_session_reused(ssl) == 1)
        return end_point_of_ticket(SSL_get0_session(ssl));
    const X509* certificate = SSL_get_certificate(ssl);
    int hash = NID_undef;
    if (!certificate ||
        OBJ_find_sigid_algs(X509_get_signature_nid(certificate), &hash, nullptr) != 1)
        return {};
    if (hash == NID_md5 || hash == NID_sha1)
        hash = NID_sha256;
    const EVP_MD* digest =
        EVP_get_digestbynid(hash); // none for Ed25519, which has no such function
    unsigned char value[EVP_MAX_MD_SIZE];
    unsigned int size = 0;
    if (!digest || X509_digest(certificate, digest, value, &size) != 1)
        return {};
    return std::string(reinterpret_cast<const char*>(value), size);
}

int on_new_ticket(SSL* ssl, void*) {
    const std::string value = tls_server_end_point(ssl); // in a resumed session that of its ticket
    return SSL_SESSION_set1_ticket_appdata(SSL_get0_session(ssl), value.data(), value.size());
}

// RFC 5929 3.1: the first Finished of the handshake. That is the client's, or, in a resumed
// session, the server's. TLS 1.3 has no such thing (RFC 8446 C.5).
std::string tls_unique(SSL* ssl) {
    if (SSL_version(ssl) >= TLS1_3_VERSION)
        return {};
    unsigned char value[EVP_MAX_MD_SIZE];
    const size_t size = SSL_session_reused(ssl) == 1
                            ? SSL_get_finished(ssl, value, sizeof value)
                            : SSL_get_peer_finished(ssl, value, sizeof value);
    return std::string(reinterpret_cast<const char*>(value), std::min(size, sizeof value));
}

} // namespace

void keep_end_point_in_tickets(SSL_CTX* context) {
    SSL_CTX_set_session_ticket_cb(context, on_new_ticket, nullptr, nullptr);
}

ChannelBindings bindings_of(SSL* ssl) {
    ChannelBindings bindings;
    if (SSL_version(ssl) < TLS1_3_VERSION && SSL_get_extms_support(ssl) != 1)
        return bindings;
    bindings.tls_exporter = tls_exporter(ssl);
    if (!SSL_is_server(ssl))
        return bindings;
    bindings.tls_server_end_point = tls_server_end_point(ssl);
    bindings.tls_unique = tls_unique(ssl);
    return bindings;
}

} // namespace postern
