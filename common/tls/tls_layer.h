// TLS between a stream and its socket, once the handshake is done.
#pragma once

#include "common/net/socket.h"
#include "common/tls/openssl.h"

namespace postern {

class TlsLayer final : public StreamLayer {
  public:
    // `ssl` has the stream's socket, which is still open when this is destroyed.
    explicit TlsLayer(SslSession ssl)
        : ssl_(std::move(ssl)), more_(SSL_has_pending(ssl_.get()) == 1) {}
    // Says close_notify, if it can be said without waiting, so that the peer can tell an end from a
    // connection that was cut.
    ~TlsLayer() override;

    ssize_t receive(char* buffer, size_t size) override;
    ssize_t transmit(const char* bytes, size_t size) override;
    bool may_have_more() const override { return more_; }

  private:
    ssize_t failure(int result);

    SslSession ssl_;
    bool more_; // the handshake or the last receive() left something to be looked at
    bool broken_ = false;
};

} // namespace postern
