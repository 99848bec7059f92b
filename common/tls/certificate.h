// Certificates and keys as PEM text, and what can be said of them. Pure, but for the present time.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/result.h"
#include "common/tls/openssl.h"

namespace postern {

// The certificates of a PEM text in their order, one at least; other objects in it do not count.
Result<std::vector<X509Certificate>> parse_certificates(std::string_view pem);

// The first private key of a PEM text. One with a passphrase is an error: nobody is asked for it.
Result<EvpKey> parse_private_key(std::string_view pem);

enum class KeyKind { rsa, ecdsa };
// Nothing: a key of neither kind.
std::optional<KeyKind> kind_of(const EVP_PKEY& key);

// What a private key is called where it is not: SHA-256 of the public key, SubjectPublicKeyInfo in
// DER. 32 bytes; empty if the key cannot be encoded.
std::string key_id_of(const EVP_PKEY& key);

// Whether these belong together and can serve: the certificate has the key's public half, and is an
// RSA key of 2048 bits at least or an ECDSA key on P-256, P-384 or P-521.
Result<void> check_pair(const X509& certificate, const EVP_PKEY& key);

// Its DNS names in lower case (RFC 6125: the subject's common name only where there are none),
// sorted.
std::vector<std::string> names_of(const X509& certificate);

// Its time has passed, or has not come yet.
bool is_out_of_date(const X509& certificate);

} // namespace postern
