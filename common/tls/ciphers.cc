#include "common/tls/ciphers.h"

namespace postern {

namespace {

constexpr const char* ours = "ECDHE+AESGCM:ECDHE+CHACHA20:ECDHE+AES";
constexpr const char* never = ":!kRSA:!kDHE:!aNULL:!eNULL:!PSK:!SRP";

} // namespace

Result<void> set_ciphers(SSL_CTX& context, const std::string& list) {
    // "secure" and "default" are names that OpenSMTPD's operators know.
    const bool named = list.empty() || list == "secure" || list == "default";
    const std::string all = (named ? ours : list) + std::string(never);
    if (SSL_CTX_set_cipher_list(&context, all.c_str()) != 1)
        return openssl_error("ciphers " + list);
    return {};
}

} // namespace postern
