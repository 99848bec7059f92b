// Runs a handshake on a stream: waits for what it needs, within a limit.
#pragma once

#include "common/loop/task.h"
#include "common/net/socket.h"
#include "common/tls/handshake.h"

namespace postern {

class Signer;

// The stream's input is held and empty; `ssl` knows which side it is. After that everything on the
// stream is encrypted. `signer`: null on the side that has nothing to sign. After an error the
// connection is of no use. OpenSSL's errors are in Error::message; Error::code is ENOKEY where
// `signer` has not signed.
Task<Result<TlsFacts>> shake_hands(SocketStream& stream, SslSession ssl, Signer* signer,
                                   TimePoint end);

} // namespace postern
