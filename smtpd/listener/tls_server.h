// TLS as one listening address offers it: its certificates by server name, what clients have to
// prove, versions and ciphers.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "common/base/result.h"
#include "common/ipc/listener_settings.h"
#include "common/tls/openssl.h"
#include "smtpd/listener/collaborators.h"
#include "smtpd/listener/keyholder_client.h"

namespace postern::listener {

class TlsServer {
  public:
    // For `options`, with the certificates of `settings`.
    static Result<std::shared_ptr<TlsServer>> make(const TlsOptions& options,
                                                   const ipc::ListenerSettings& settings,
                                                   const SessionTickets& tickets);

    // Of a connection that begins now. This object outlives its handshake.
    SslSession new_session() const {
        return SslSession(SSL_new(identities_.front().context.get()));
    }

  private:
    // Certificates for the same names, at most one of each kind of key.
    struct Identity {
        std::vector<std::string> names;
        bool has_rsa = false;
        bool has_ecdsa = false;
        SslContext context;
    };

    Result<void> add(const ipc::NamedCertificates& pki, const TlsOptions& options,
                     const ipc::ListenerSettings& settings, const SessionTickets& tickets);
    Identity* find(const std::vector<std::string>& names, bool rsa);
    SSL_CTX* choose(const char* server_name) const;
    static int on_server_name(SSL* ssl, int* alert, void* self);

    std::vector<Identity> identities_; // the first is for clients that name nobody we know
};

// Encrypts a session's stream as `server` says. The stream and the keyholder outlive it.
class StreamEncryption final : public Encryption {
  public:
    StreamEncryption(SocketStream& stream, std::shared_ptr<const TlsServer> server,
                     KeyholderClient& keyholder)
        : stream_(stream), server_(std::move(server)), keyholder_(keyholder) {}

    bool available() const override { return keyholder_.available(); }
    Task<Result<TlsFacts>> begin(std::string go_ahead, Duration limit) override;

  private:
    SocketStream& stream_;
    std::shared_ptr<const TlsServer> server_;
    KeyholderClient& keyholder_;
};

} // namespace postern::listener
