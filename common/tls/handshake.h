// A TLS handshake, step by step: it says what it is waiting for, and waits for nothing itself.
//
//     TlsHandshake handshake(std::move(ssl));
//     while (handshake.step() == TlsStep::needs_signature)
//         handshake.provide(ask_for(handshake.signature_query()));
#pragma once

#include <memory>
#include <string>

#include "common/net/socket.h"
#include "common/tls/facts.h"
#include "common/tls/openssl.h"
#include "common/tls/remote_key.h"

namespace postern {

enum class TlsStep {
    done,
    needs_input,     // the socket has to become readable
    needs_output,    // or writable
    needs_signature, // provide() has to be called
    needs_turn,      // too many others are being signed for: try again soon
    failed,
};

class TlsHandshake {
  public:
    // `ssl` has its socket, and knows which side it is.
    explicit TlsHandshake(SslSession ssl);
    // A job that is paused is brought to its end: OpenSSL cannot drop one.
    ~TlsHandshake();
    TlsHandshake(const TlsHandshake&) = delete;

    TlsStep step();
    const ipc::SignQuery& signature_query() const { return signature_.query(); }
    // Empty: there is none.
    void provide(std::string signature) { signature_.provide(std::move(signature)); }
    const Error& error() const { return error_; } // after TlsStep::failed

    // After TlsStep::done, once.
    TlsFacts facts() const;
    std::unique_ptr<StreamLayer> take_layer();

  private:
    SslSession ssl_;
    RemoteSignature signature_;
    Error error_;
};

} // namespace postern
