#include "common/tls/tls_layer.h"

#include <algorithm>
#include <cerrno>
#include <climits>
#include <openssl/err.h>

namespace postern {

TlsLayer::~TlsLayer() {
    if (broken_)
        return;
    ERR_clear_error();
    SSL_shutdown(ssl_.get());
    ERR_clear_error();
}

// What recv(2) or send(2) would have said.
ssize_t TlsLayer::failure(int result) {
    const int code = errno;
    switch (SSL_get_error(ssl_.get(), result)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE:
        errno = EAGAIN;
        return -1;
    case SSL_ERROR_ZERO_RETURN:
        return 0;
    case SSL_ERROR_SYSCALL:
        broken_ = true;
        errno = code ? code : ECONNRESET;
        return -1;
    default:
        broken_ = true;
        ERR_clear_error();
        errno = EPROTO;
        return -1;
    }
}

ssize_t TlsLayer::receive(char* buffer, size_t size) {
    ERR_clear_error();
    errno = 0;
    const int got = SSL_read(ssl_.get(), buffer, static_cast<int>(std::min<size_t>(size, INT_MAX)));
    more_ = got > 0 && SSL_has_pending(ssl_.get()) == 1;
    return got > 0 ? got : failure(got);
}

ssize_t TlsLayer::transmit(const char* bytes, size_t size) {
    ERR_clear_error();
    errno = 0;
    const int sent =
        SSL_write(ssl_.get(), bytes, static_cast<int>(std::min<size_t>(size, INT_MAX)));
    if (sent > 0)
        return sent;
    // Writing waits for output only, unless the peer has begun a message to TLS itself, such as a
    // key update of five octets, and keeps back the rest. Nobody honest does, and the socket would
    // be ready for us for ever.
    if (SSL_get_error(ssl_.get(), sent) == SSL_ERROR_WANT_READ) {
        broken_ = true;
        errno = EPROTO;
        return -1;
    }
    const ssize_t result = failure(sent);
    if (result == 0) { // nobody reads any more
        errno = EPIPE;
        return -1;
    }
    return result;
}

} // namespace postern
