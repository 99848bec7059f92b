// Which TLSA records can be verified by.
#include "common/tls/dane.h"

#include <gtest/gtest.h>

#include "regress/support/test_certificate.h"

namespace postern::test {
namespace {

std::string record(int usage, int selector, int type, const std::string& data) {
    return std::string{static_cast<char>(usage), static_cast<char>(selector),
                       static_cast<char>(type)} +
           data;
}

TEST(Dane, UsableRecords) {
    const TestCertificate own = make_certificate();
    unsigned char* der = nullptr;
    const int length = i2d_X509(own.certificate.get(), &der);
    const std::string certificate(reinterpret_cast<char*>(der), static_cast<size_t>(length));
    OPENSSL_free(der);
    der = nullptr;
    const int key_length = i2d_PUBKEY(own.key.get(), &der);
    const std::string key(reinterpret_cast<char*>(der), static_cast<size_t>(key_length));
    OPENSSL_free(der);
    const std::string sha256(32, 'x'), sha512(64, 'x');
    struct Row {
        const char* what;
        std::string data;
        bool usable;
    };
    const Row rows[] = {
        {"3 1 1", record(3, 1, 1, sha256), true},
        {"3 1 2", record(3, 1, 2, sha512), true},
        {"3 0 1", record(3, 0, 1, sha256), true},
        {"2 0 1", record(2, 0, 1, sha256), true},
        {"2 1 1", record(2, 1, 1, sha256), true},
        {"a whole certificate", record(2, 0, 0, certificate), true},
        {"a whole key", record(3, 1, 0, key), true},
        {"PKIX-TA", record(0, 0, 1, sha256), false},
        {"PKIX-EE", record(1, 1, 1, sha256), false},
        {"unknown usage", record(4, 1, 1, sha256), false},
        {"private usage", record(255, 1, 1, sha256), false},
        {"unknown selector", record(3, 2, 1, sha256), false},
        {"unknown matching type", record(3, 1, 3, sha256), false},
        {"a digest of the wrong length", record(3, 1, 1, sha512), false},
        {"a digest that is too short", record(3, 1, 2, sha256), false},
        {"a key for a certificate", record(3, 0, 0, key), false},
        {"a certificate with something behind it", record(3, 0, 0, certificate + "x"), false},
        {"garbage", record(3, 1, 0, "garbage"), false},
        {"no data", record(3, 1, 1, ""), false},
        {"nothing at all", "", false},
    };
    for (const Row& row : rows)
        EXPECT_EQ(is_usable_tlsa(row.data), row.usable) << row.what;
}

} // namespace
} // namespace postern::test
