// The channel bindings of a TLS connection, as its server sees them.
#pragma once

#include "common/sasl/channel_bindings.h"
#include "common/tls/openssl.h"

namespace postern {

// After the handshake. All are empty where they are not the connection's own: before TLS 1.3 that
// takes the extended master secret (RFC 7627; RFC 9266 3).
ChannelBindings bindings_of(SSL* ssl);

} // namespace postern
