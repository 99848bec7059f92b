// The arithmetic of SCRAM (RFC 5802 3), with SHA-256 (RFC 7677) where nothing else is said. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "common/base/secret.h"
#include "common/smtp/scram_secret.h"

namespace postern::scram {

enum class Hash : uint8_t { sha1, sha256 };

// Octets of a digest.
constexpr size_t digest_size(Hash hash) { return hash == Hash::sha1 ? 20 : 32; }

// As long as a digest. Empty: the library has no memory.
std::string digest(Hash hash, std::string_view text);
std::string hmac(Hash hash, std::string_view key, std::string_view text);
std::string hmac(std::string_view key, std::string_view text);

// Hi() of RFC 5802 2.2, as slow as make_secret(). Nothing: there is no memory.
std::optional<Secret> salted_password(Hash hash, std::string_view password, std::string_view salt,
                                      uint32_t iterations);

// What to store of a password, which has been through saslprep(). Slow, by as much as there are
// iterations (1 to 3 million a second): not for an event loop. Nothing: there is no memory.
std::optional<ScramSecret> make_secret(const Secret& password, std::string salt,
                                       uint32_t iterations);

// RFC 5802 3: whether `proof` is that of somebody who knows the password behind `stored_key`.
// The time it takes tells nothing.
bool is_proof(std::string_view proof, std::string_view stored_key, std::string_view auth_message);

// Takes the same time wherever the texts differ.
bool same_octets(std::string_view a, std::string_view b);

} // namespace postern::scram
