// What is read out of PEM texts, and which pairs of certificate and key can serve.
#include "common/tls/certificate.h"

#include <gtest/gtest.h>

#include "regress/support/test_certificate.h"

namespace postern::test {
namespace {

std::string fault_of(const Result<void>& result) {
    return result ? "none" : result.error().message;
}

TEST(Certificate, AChainIsReadInItsOrder) {
    const TestCertificate authority =
        make_certificate(TestKey::p256, {.names = {"ca.test.example"}, .authority = true});
    const TestCertificate own = make_certificate(TestKey::p256, {.issuer = &authority});
    auto chain = parse_certificates("a comment\n" + own.certificate_pem() + own.key_pem() +
                                    authority.certificate_pem());
    ASSERT_TRUE(chain) << chain.error().message;
    ASSERT_EQ(chain->size(), 2u);
    EXPECT_EQ(names_of(*(*chain)[0]), std::vector<std::string>{"mx.test.example"});
    EXPECT_EQ(names_of(*(*chain)[1]), std::vector<std::string>{"ca.test.example"});
}

TEST(Certificate, WhatIsNoCertificateIsSaidToBeNone) {
    EXPECT_EQ(parse_certificates("").error().message, "there is no certificate in PEM form");
    EXPECT_EQ(parse_certificates(make_certificate().key_pem()).error().message,
              "there is no certificate in PEM form");
    std::string broken = make_certificate().certificate_pem();
    broken[200] = '!';
    EXPECT_TRUE(
        parse_certificates(broken).error().message.starts_with("a certificate cannot be read: "));
    // A good one does not make up for a broken one behind it.
    EXPECT_FALSE(parse_certificates(make_certificate().certificate_pem() + broken).ok());
}

TEST(Certificate, KeysAreReadWithoutAskingForAPassphrase) {
    const TestCertificate own = make_certificate();
    auto key = parse_private_key("# comment\n" + own.certificate_pem() + own.key_pem());
    ASSERT_TRUE(key) << key.error().message;
    EXPECT_EQ(key_id_of(**key), key_id_of(*own.key));
    EXPECT_EQ(key_id_of(**key).size(), 32u);
    EXPECT_TRUE(parse_private_key(own.certificate_pem())
                    .error()
                    .message.starts_with("there is no private key in PEM form"));
    EXPECT_EQ(parse_private_key("-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIIBvTBXBgkqhkiG9w0B\n"
                                "-----END ENCRYPTED PRIVATE KEY-----\n")
                  .error()
                  .message,
              "the private key has a passphrase, and nobody is there to be asked for it");
}

TEST(Certificate, PairsThatCanServe) {
    struct Row {
        TestKey kind;
        std::string fault;
    } rows[] = {
        {TestKey::rsa_1024, "the RSA key has 1024 bits, fewer than 2048"},
        {TestKey::rsa_2048, "none"},
        {TestKey::p256, "none"},
        {TestKey::p384, "none"},
        {TestKey::secp256k1, "the ECDSA key is not on one of the curves P-256, P-384 and P-521"},
        {TestKey::ed25519, "the key is neither an RSA nor an ECDSA key"},
    };
    for (const Row& row : rows) {
        const TestCertificate own = make_certificate(row.kind);
        EXPECT_EQ(fault_of(check_pair(*own.certificate, *own.key)), row.fault);
    }
    const TestCertificate one = make_certificate(), other = make_certificate();
    EXPECT_EQ(fault_of(check_pair(*one.certificate, *other.key)),
              "the certificate is not that of the key");
}

TEST(Certificate, NamesAreInLowerCaseAndSorted) {
    const auto names = [](const CertificateOptions& options) {
        return names_of(*make_certificate(TestKey::p256, options).certificate);
    };
    EXPECT_EQ(names({.names = {"MX.test.Example", "*.a.example"}}),
              (std::vector<std::string>{"*.a.example", "mx.test.example"}));
    EXPECT_EQ(names({.names = {"Old.test.example"}, .alternative_names = false}),
              (std::vector<std::string>{"old.test.example"}));
}

TEST(Certificate, ItsTimeIsLookedAt) {
    const auto out_of_date = [](long from, long until) {
        return is_out_of_date(
            *make_certificate(TestKey::p256, {.valid_from = from, .valid_until = until})
                 .certificate);
    };
    EXPECT_FALSE(out_of_date(-60, 60));
    EXPECT_TRUE(out_of_date(-120, -60));
    EXPECT_TRUE(out_of_date(60, 120));
}

} // namespace
} // namespace postern::test
