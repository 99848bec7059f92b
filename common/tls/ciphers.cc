#include "common/tls/ciphers.h"

namespace postern {

namespace {

constexpr const char* ours =
    "ECDHE+AESGCM:ECDHE+CHACHA20:DHE+AESGCM:DHE+CHACHA20:ECDHE+AES:DHE+AES";
constexpr const char* never = ":!kRSA:!aNULL:!eNULL:!PSK:!SRP";

} // namespace

Result<void> set_ciphers(SSL_CTX& context, const std::string& list) {
    const std::string all = (list.empty() ? ours : list) + never;
    if (SSL_CTX_set_cipher_list(&context, all.c_str()) != 1)
        return openssl_error("ciphers " + list);
    return {};
}

} // namespace postern
