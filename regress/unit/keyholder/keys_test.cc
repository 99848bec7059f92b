// Signing, checked with the public half.
#include "smtpd/keyholder/keys.h"

#include <gtest/gtest.h>

#include <openssl/rsa.h>

#include "common/tls/certificate.h"
#include "regress/support/test_certificate.h"

namespace postern::keyholder::test {
namespace {

using postern::test::make_certificate;
using postern::test::TestCertificate;
using postern::test::TestKey;
using enum ipc::SignatureScheme;

const std::string handshake =
    std::string(64, ' ') + "TLS 1.3, server CertificateVerify" + '\0' + std::string(32, 'h');

bool verifies(EVP_PKEY* key, const char* digest, bool pss, const std::string& signature) {
    EvpDigestContext context(EVP_MD_CTX_new());
    EVP_PKEY_CTX* options = nullptr;
    EVP_DigestVerifyInit_ex(context.get(), &options, digest, nullptr, nullptr, key, nullptr);
    if (pss) {
        EVP_PKEY_CTX_set_rsa_padding(options, RSA_PKCS1_PSS_PADDING);
        EVP_PKEY_CTX_set_rsa_pss_saltlen(options, RSA_PSS_SALTLEN_DIGEST);
    }
    return EVP_DigestVerify(context.get(), reinterpret_cast<const unsigned char*>(signature.data()),
                            signature.size(),
                            reinterpret_cast<const unsigned char*>(handshake.data()),
                            handshake.size()) == 1;
}

ipc::SignQuery query(const TestCertificate& own, ipc::SignatureScheme scheme) {
    ipc::SignQuery query;
    query.key_id = key_id_of(*own.key);
    query.scheme = scheme;
    query.content = handshake;
    return query;
}

TEST(Keys, SignInEveryWay) {
    const TestCertificate rsa = make_certificate(TestKey::rsa_2048);
    const TestCertificate ecdsa = make_certificate(TestKey::p384);
    Keys keys;
    ASSERT_TRUE(keys.add(rsa.key_pem()));
    ASSERT_TRUE(keys.add(ecdsa.key_pem()));
    ASSERT_TRUE(keys.add(ecdsa.key_pem())); // the same key in two pkis
    EXPECT_EQ(keys.size(), 2u);
    struct Row {
        const TestCertificate& own;
        ipc::SignatureScheme scheme;
        const char* digest;
        bool pss;
    } rows[] = {
        {rsa, rsa_pkcs1_sha256, "SHA256", false}, {rsa, rsa_pkcs1_sha384, "SHA384", false},
        {rsa, rsa_pkcs1_sha512, "SHA512", false}, {rsa, rsa_pss_sha256, "SHA256", true},
        {rsa, rsa_pss_sha384, "SHA384", true},    {rsa, rsa_pss_sha512, "SHA512", true},
        {ecdsa, ecdsa_sha256, "SHA256", false},   {ecdsa, ecdsa_sha384, "SHA384", false},
        {ecdsa, ecdsa_sha512, "SHA512", false},
    };
    for (const Row& row : rows) {
        Result<std::string> signature = keys.sign(query(row.own, row.scheme));
        ASSERT_TRUE(signature) << signature.error().message;
        EXPECT_TRUE(verifies(row.own.key.get(), row.digest, row.pss, *signature)) << row.digest;
    }
}

TEST(Keys, WhatIsNotSigned) {
    const TestCertificate own = make_certificate(), other = make_certificate();
    Keys keys;
    ASSERT_TRUE(keys.add(own.key_pem()));
    EXPECT_EQ(keys.sign(query(other, ecdsa_sha256)).error().message, "there is no such key");
    EXPECT_EQ(keys.sign(query(own, rsa_pss_sha256)).error().message,
              "the key does not sign this way");
    ipc::SignQuery anything = query(own, ecdsa_sha256);
    anything.content = "whatever the listener would like";
    EXPECT_EQ(keys.sign(anything).error().message, "this is no server's handshake");
}

TEST(Keys, OnlyKeysOfTheTwoKindsAreTaken) {
    Keys keys;
    EXPECT_EQ(keys.add(make_certificate(TestKey::ed25519).key_pem()).error().message,
              "the key is neither an RSA nor an ECDSA key");
    EXPECT_FALSE(keys.add("nothing"));
    EXPECT_EQ(keys.size(), 0u);
}

} // namespace
} // namespace postern::keyholder::test
