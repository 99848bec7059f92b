// The client's side of a TLS handshake on a stream.
#pragma once

#include "common/loop/task.h"
#include "common/net/socket.h"
#include "common/tls/facts.h"
#include "common/tls/openssl.h"

namespace postern {

// At once: the server waits for us. Nothing that came in on the stream before may be left there; if
// something is, that is an error. `ssl` is one of TlsClient. After an error the connection is of no
// use. OpenSSL's errors are in Error::message.
Task<Result<TlsFacts>> connect_tls(SocketStream& stream, SslSession ssl, Duration limit);

} // namespace postern
