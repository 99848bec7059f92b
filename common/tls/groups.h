// In which groups keys are agreed on (RFC 8446 4.2.7). Not in finite fields: a single exchange in a
// large one takes a server a third of a second.
#pragma once

namespace postern {

// In the form of SSL_CTX_set1_groups_list(3). The keyholder signs for no others in TLS 1.2.
inline constexpr const char* tls_groups = "X25519:P-256:P-384:P-521";

// What a client offers besides, where OpenSSL has it (3.5): a key that a quantum computer does not
// find (RFC 10024). Not the first: the key share goes along with the first flight for that one
// only, and some servers fail on a large one.
inline constexpr const char* tls_client_groups = "X25519:X25519MLKEM768:P-256:P-384:P-521";

} // namespace postern
