// What a private key of TLS may sign: handshakes of a server, and nothing else. Whoever takes over
// a listener can have handshakes signed, but no certificate, no request for one, no mail and no
// client's proof.
#pragma once

#include <string_view>

namespace postern::keyholder {

// The content of a server's CertificateVerify in TLS 1.3 (RFC 8446 4.4.3), or of its
// ServerKeyExchange in TLS 1.2 with ECDHE (RFC 8422 5.4) in one of the groups that we offer. Of the
// latter the two random values at its beginning can be anything, so the rest has to be exact, or
// other things could be made to look like it.
bool is_server_handshake(std::string_view content);
// The same of a client that shows a certificate, in TLS 1.3. In TLS 1.2 it signs all that was said,
// of which the other side has chosen half.
bool is_client_handshake(std::string_view content);

} // namespace postern::keyholder
