// The server's side of a TLS handshake on a stream, from the moment on when the client may begin.
#pragma once

#include <optional>
#include <string>

#include "common/ipc/signing.h"
#include "common/loop/task.h"
#include "common/net/socket.h"
#include "common/tls/handshake.h"

namespace postern {

// Whoever has the private keys.
class Signer {
  public:
    virtual ~Signer() = default;
    // Empty: there is no signature, or none within the limit.
    virtual Task<std::string> sign(ipc::SignQuery query, Duration limit) = 0;
};

// Holds the stream's input, of which there must be none, sends `go_ahead`, and shakes hands; after
// that everything on the stream is encrypted. `ssl` is a fresh one of the server's context. After
// an error the connection is of no use. OpenSSL's errors are in Error::message.
Task<Result<TlsFacts>> accept_tls(SocketStream& stream, SslSession ssl, Signer& signer,
                                  std::string go_ahead, Duration limit);

} // namespace postern
