#include "common/sasl/scram_keys.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

namespace postern::scram {

namespace {

const unsigned char* octets(std::string_view text) {
    return reinterpret_cast<const unsigned char*>(text.data());
}

const EVP_MD* function_of(Hash hash) { return hash == Hash::sha1 ? EVP_sha1() : EVP_sha256(); }

} // namespace

std::string digest(Hash hash, std::string_view text) {
    std::string digest(digest_size(hash), '\0');
    if (EVP_Digest(text.data(), text.size(), reinterpret_cast<unsigned char*>(digest.data()),
                   nullptr, function_of(hash), nullptr) != 1)
        digest.clear();
    return digest;
}

std::optional<Secret> salted_password(Hash hash, std::string_view password, std::string_view salt,
                                      uint32_t iterations) {
    std::string key(digest_size(hash), '\0');
    if (PKCS5_PBKDF2_HMAC(password.data(), static_cast<int>(password.size()), octets(salt),
                          static_cast<int>(salt.size()), static_cast<int>(iterations),
                          function_of(hash), static_cast<int>(key.size()),
                          reinterpret_cast<unsigned char*>(key.data())) != 1)
        return std::nullopt;
    return Secret::take(key);
}

std::string hmac(Hash hash, std::string_view key, std::string_view text) {
    std::string digest(digest_size(hash), '\0');
    unsigned int length = 0;
    if (!HMAC(function_of(hash), key.data(), static_cast<int>(key.size()), octets(text),
              text.size(), reinterpret_cast<unsigned char*>(digest.data()), &length))
        digest.clear();
    return digest;
}

std::string hmac(std::string_view key, std::string_view text) {
    return hmac(Hash::sha256, key, text);
}

std::optional<ScramSecret> make_secret(const Secret& password, std::string salt,
                                       uint32_t iterations) {
    const std::optional<Secret> salted = salted_password(Hash::sha256, password.view(), salt, iterations);
    if (!salted)
        return std::nullopt;
    std::string client_key_text = hmac(salted->view(), "Client Key");
    const Secret client_key = Secret::take(client_key_text);
    ScramSecret secret;
    secret.iterations = iterations;
    secret.salt = std::move(salt);
    secret.stored_key = digest(Hash::sha256, client_key.view());
    secret.server_key = hmac(salted->view(), "Server Key");
    if (client_key.empty() || secret.server_key.empty())
        return std::nullopt;
    return secret;
}

bool is_proof(std::string_view proof, std::string_view stored_key, std::string_view auth_message) {
    std::string client_key = hmac(stored_key, auth_message);
    if (proof.size() != ScramSecret::key_size || client_key.size() != proof.size())
        return false;
    for (size_t i = 0; i < proof.size(); ++i)
        client_key[i] = static_cast<char>(client_key[i] ^ proof[i]);
    const bool good = same_octets(digest(Hash::sha256, client_key), stored_key);
    wipe(client_key);
    return good;
}

bool same_octets(std::string_view a, std::string_view b) {
    return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

} // namespace postern::scram
