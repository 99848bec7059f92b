// What is stored of a password for SCRAM-SHA-256, as text (RFC 5803, in the form that PostgreSQL
// also uses):
//
//     SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>       the last three in base64
//
// Pure. Who has such a text cannot log in by it, but can try out passwords, and play the server.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace postern {

struct ScramSecret {
    // RFC 7677 4 wants 4096 at least; the other end is a bound of what one check costs (seconds).
    static constexpr uint32_t least_iterations = 4096;
    static constexpr uint32_t most_iterations = 10'000'000;
    static constexpr size_t longest_salt = 64; // octets; the shortest has one
    static constexpr size_t key_size = 32;     // octets, of SHA-256

    uint32_t iterations = 0;
    std::string salt;
    std::string stored_key; // RFC 5802 3: by which a client is known
    std::string server_key; // and by which it knows the server
};

inline constexpr std::string_view scram_secret_prefix = "SCRAM-SHA-256$";

std::optional<ScramSecret> parse_scram_secret(std::string_view text);
std::string to_string(const ScramSecret& secret);

} // namespace postern
