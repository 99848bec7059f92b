// Private keys that are somewhere else: an OpenSSL provider whose keys have a public half only, and
// whose signatures are asked of whoever has the other half.
//
// OpenSSL runs a handshake as a job of its own (SSL_MODE_ASYNC). When it comes to sign, the
// provider writes into the present RemoteSignature what is wanted, and the job pauses; whoever runs
// the handshake gets the signature, which may take a while, and runs it again.
#pragma once

#include <string>

#include "common/ipc/signing.h"
#include "common/tls/openssl.h"

namespace postern {

// What one handshake wants to have signed.
class RemoteSignature {
  public:
    RemoteSignature() = default;
    RemoteSignature(const RemoteSignature&) = delete;

    // The job is paused until provide() has been called and it runs again.
    bool wanted() const { return state_ == State::wanted; }
    const ipc::SignQuery& query() const { return query_; }
    // An empty signature makes the handshake fail.
    void provide(std::string signature);

    // While it lives, keys of this thread ask this one.
    class Present {
      public:
        explicit Present(RemoteSignature& signature);
        ~Present();
        Present(const Present&) = delete;
    };

    // For the provider, from inside a job: pauses it until there is an answer. Empty: none, or this
    // is no job.
    static std::string obtain(ipc::SignQuery query);

  private:
    enum class State { idle, wanted, provided };
    State state_ = State::idle;
    ipc::SignQuery query_;
    std::string signature_;
};

// A private key for SSL_CTX_use_PrivateKey() whose signatures are asked for, made from the public
// half that a certificate has. RSA and ECDSA.
Result<EvpKey> make_remote_key(const EVP_PKEY& public_key);

} // namespace postern
