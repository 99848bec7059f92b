// In which groups keys are agreed on (RFC 8446 4.2.7). Not in finite fields: a single exchange in a
// large one takes a server a third of a second.
#pragma once

namespace postern {

// In the form of SSL_CTX_set1_groups_list(3). The keyholder signs for no others in TLS 1.2.
inline constexpr const char* tls_groups = "X25519:P-256:P-384:P-521";

} // namespace postern
