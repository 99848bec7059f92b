// Keys and certificates for tests, made on the spot. The certificate is signed by its own key, or
// by another one's.
#pragma once

#include <string>
#include <vector>

#include "common/tls/openssl.h"

namespace postern::test {

struct TestCertificate {
    EvpKey key;
    X509Certificate certificate;

    std::string key_pem() const;
    std::string certificate_pem() const;
};

enum class TestKey { rsa_1024, rsa_2048, p256, p384, secp256k1, ed25519 };

struct CertificateOptions {
    std::vector<std::string> names = {"mx.test.example"}; // DNS; the first is the common name too
    std::vector<std::string> addresses = {};
    const TestCertificate* issuer = nullptr;              // null: itself
    bool authority = false;
    long valid_from = -3600; // seconds from now
    long valid_until = 3600;
    bool alternative_names = true; // false: there is a common name only
};

TestCertificate make_certificate(TestKey kind = TestKey::p256,
                                 const CertificateOptions& options = {});
EvpKey make_key(TestKey kind);

} // namespace postern::test
