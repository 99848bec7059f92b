// Between the keyholder and the listeners: signatures for TLS handshakes, and the keys of session
// tickets.
//
// A private key is known by its key id to everybody but the keyholder. A listener has at most
// `signing_credit` questions open; the keyholder ends a listener that has more.
#pragma once

#include <cstdint>
#include <string>
#include <tuple>
#include <variant>
#include <vector>

#include "common/ipc/codec.h"

namespace postern::ipc {

inline constexpr uint32_t signing_credit = 1024;
// What a handshake signs is shorter: two random values of 32 bytes and a public value, or a hash.
inline constexpr size_t signed_content_limit = 4096; // bytes

// How the server of a handshake signs (RFC 8446 4.2.3). The salt of PSS is as long as the digest.
enum class SignatureScheme : uint8_t {
    rsa_pkcs1_sha256,
    rsa_pkcs1_sha384,
    rsa_pkcs1_sha512,
    rsa_pss_sha256,
    rsa_pss_sha384,
    rsa_pss_sha512,
    ecdsa_sha256,
    ecdsa_sha384,
    ecdsa_sha512,
};
constexpr SignatureScheme last_enumerator(SignatureScheme) { return SignatureScheme::ecdsa_sha512; }

// Answered by Signature.
struct SignQuery {
    uint32_t request = 0;
    std::string key_id; // SHA-256 of the public key as SubjectPublicKeyInfo
    SignatureScheme scheme = SignatureScheme::rsa_pss_sha256;
    std::string content; // of the handshake, not yet hashed
    static constexpr auto fields(auto& m) {
        return std::tie(m.request, m.key_id, m.scheme, m.content);
    }
};

struct Signature {
    uint32_t request = 0;
    std::string signature; // empty: refused
    static constexpr auto fields(auto& m) { return std::tie(m.request, m.signature); }
};

// What session tickets are encrypted with (RFC 5077 4).
struct TicketKey {
    std::string name;           // 16 bytes, random
    std::string encryption;     // 32 bytes, AES-256
    std::string authentication; // 32 bytes, HMAC-SHA-256
    static constexpr auto fields(auto& m) {
        return std::tie(m.name, m.encryption, m.authentication);
    }
};

// Sent to every listener when it connects, and whenever they change. The first one encrypts; the
// others are those of tickets that clients may still have.
struct TicketKeys {
    std::vector<TicketKey> keys;
    static constexpr auto fields(auto& m) { return std::tie(m.keys); }
};

using ListenerToKeyholder = std::variant<SignQuery>;
using KeyholderToListener = std::variant<Signature, TicketKeys>;

} // namespace postern::ipc
