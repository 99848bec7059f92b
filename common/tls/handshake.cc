#include "common/tls/handshake.h"

#include <cerrno>
#include <openssl/err.h>

#include "common/tls/bindings.h"
#include "common/tls/tls_layer.h"

namespace postern {

namespace {

std::string subject_of(const X509* certificate) {
    constexpr size_t limit = 512;
    MemoryBio text(BIO_new(BIO_s_mem()));
    X509_NAME_print_ex(text.get(), X509_get_subject_name(certificate), 0, XN_FLAG_RFC2253);
    char* bytes = nullptr;
    const long length = BIO_get_mem_data(text.get(), &bytes);
    return std::string(bytes, std::min(static_cast<size_t>(std::max(length, 0L)), limit));
}

// Of a server, after the handshake. Only a client that demands one fails without.
TlsProof proof_of(SSL* ssl) {
    if (SSL_get0_dane_authority(ssl, nullptr, nullptr) >= 0)
        return TlsProof::dane;
    const bool demanded = (SSL_get_verify_mode(ssl) & SSL_VERIFY_PEER) != 0;
    return demanded && SSL_get_verify_result(ssl) == X509_V_OK ? TlsProof::certificate
                                                               : TlsProof::none;
}

} // namespace

TlsHandshake::TlsHandshake(SslSession ssl) : ssl_(std::move(ssl)) {
    SSL_set_mode(ssl_.get(), SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                                 SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    if (SSL_get_privatekey(ssl_.get())) // most clients have nothing to sign with
        SSL_set_mode(ssl_.get(), SSL_MODE_ASYNC);
}

TlsHandshake::~TlsHandshake() {
    if (!ssl_ || !signature_.wanted())
        return;
    provide("");
    step();
}

TlsStep TlsHandshake::step() {
    ERR_clear_error();
    int result;
    {
        RemoteSignature::Present present(signature_);
        errno = 0;
        result = SSL_do_handshake(ssl_.get());
    }
    const int code = errno;
    if (result == 1) {
        // Nothing that comes later is signed for: spare it the jobs. And a read is to end where
        // there is nothing for us in it, or key updates would keep us in there.
        SSL_clear_mode(ssl_.get(), SSL_MODE_ASYNC | SSL_MODE_AUTO_RETRY);
        return TlsStep::done;
    }
    switch (SSL_get_error(ssl_.get(), result)) {
    case SSL_ERROR_WANT_READ:
        return TlsStep::needs_input;
    case SSL_ERROR_WANT_WRITE:
        return TlsStep::needs_output;
    case SSL_ERROR_WANT_ASYNC:
        return TlsStep::needs_signature;
    case SSL_ERROR_WANT_ASYNC_JOB:
        return TlsStep::needs_turn;
    case SSL_ERROR_ZERO_RETURN:
        error_ = Error{"the peer closed the connection", ECONNRESET};
        break;
    case SSL_ERROR_SYSCALL:
        error_ = code ? system_error("connection", code)
                      : Error{"the peer closed the connection", ECONNRESET};
        break;
    default:
        if (ERR_GET_REASON(ERR_peek_error()) == SSL_R_UNEXPECTED_EOF_WHILE_READING) {
            ERR_clear_error();
            error_ = Error{"the peer closed the connection", ECONNRESET};
            break;
        }
        error_ = openssl_error("TLS");
        if (const long verdict = SSL_get_verify_result(ssl_.get());
            verdict != X509_V_OK && SSL_get_verify_mode(ssl_.get()) != SSL_VERIFY_NONE) {
            error_.message += std::string(" (") + X509_verify_cert_error_string(verdict) + ")";
            error_.code = -static_cast<int>(verdict);
        }
    }
    return TlsStep::failed;
}

TlsFacts TlsHandshake::facts() const {
    TlsFacts facts;
    facts.protocol = SSL_get_version(ssl_.get());
    const SSL_CIPHER* cipher = SSL_get_current_cipher(ssl_.get());
    if (const char* name = cipher ? SSL_CIPHER_standard_name(cipher) : nullptr)
        facts.cipher = name;
    if (const char* name = SSL_get_servername(ssl_.get(), TLSEXT_NAMETYPE_host_name))
        facts.server_name = name;
    facts.resumed = SSL_session_reused(ssl_.get()) == 1;
    facts.bindings = bindings_of(ssl_.get());
    if (!SSL_is_server(ssl_.get())) {
        facts.proof = proof_of(ssl_.get());
        return facts;
    }
    const X509* certificate = SSL_get0_peer_certificate(ssl_.get());
    if (certificate && SSL_get_verify_result(ssl_.get()) == X509_V_OK)
        facts.client_subject = subject_of(certificate);
    return facts;
}

std::unique_ptr<StreamLayer> TlsHandshake::take_layer() {
    return std::make_unique<TlsLayer>(std::move(ssl_));
}

} // namespace postern
