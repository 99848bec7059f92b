// The channel bindings of a TLS connection: all that its server can tell, tls-exporter of a client.
#pragma once

#include "common/sasl/channel_bindings.h"
#include "common/tls/openssl.h"

namespace postern {

// After the handshake. All are empty where they are not the connection's own: before TLS 1.3 that
// takes the extended master secret (RFC 7627; RFC 9266 3).
// A resumed session has tls-server-end-point only if its ticket is of a context that keeps it.
ChannelBindings bindings_of(SSL* ssl);

// Session tickets that `context` issues carry tls-server-end-point: a server may have several
// certificates, and have others by the time that a session is resumed; the client means the one
// that the session began with.
void keep_end_point_in_tickets(SSL_CTX* context);

} // namespace postern
