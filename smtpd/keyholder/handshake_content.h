// What a private key of TLS may sign: handshakes of a server, and nothing else. Whoever takes over
// a listener can have handshakes signed, but no certificate request, no mail and no client's proof.
#pragma once

#include <string_view>

namespace postern::keyholder {

// The content of a server's CertificateVerify in TLS 1.3 (RFC 8446 4.4.3), or of its
// ServerKeyExchange in TLS 1.2 with ECDHE or DHE (RFC 8422 5.4, RFC 5246 7.4.3). Pure.
bool is_server_handshake(std::string_view content);

} // namespace postern::keyholder
