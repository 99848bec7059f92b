// The client's side of a TLS handshake on a stream.
#pragma once

#include "common/loop/task.h"
#include "common/net/socket.h"
#include "common/tls/accept.h"
#include "common/tls/facts.h"
#include "common/tls/openssl.h"

namespace postern {

// At once: the server waits for us. Nothing that came in on the stream before may be left there; if
// something is, that is an error. `ssl` is one of TlsClient. After an error the connection is of no
// use. OpenSSL's errors are in Error::message; Error::code is the negative of its number
// (X509_verify_cert_error_string(3ssl)) for what is wrong with a certificate, and ENOKEY where
// `signer` has not signed: that is our fault, and not the server's.
// `signer` has the key of our certificate, where we have one, and must outlive the task.
Task<Result<TlsFacts>> connect_tls(SocketStream& stream, SslSession ssl, Duration limit,
                                   Signer* signer = nullptr);

} // namespace postern
