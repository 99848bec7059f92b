#include "regress/support/test_certificate.h"

#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>

namespace postern::test {

namespace {

std::string text_of(const MemoryBio& bio) {
    char* bytes = nullptr;
    const long length = BIO_get_mem_data(bio.get(), &bytes);
    return std::string(bytes, static_cast<size_t>(length));
}

void add_extension(X509& certificate, int kind, const std::string& value) {
    X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, nullptr, kind, value.c_str());
    X509_add_ext(&certificate, extension, -1);
    X509_EXTENSION_free(extension);
}

void set_name(X509_NAME* name, const std::string& common_name) {
    X509_NAME_add_entry_by_NID(name, NID_commonName, MBSTRING_ASC,
                               reinterpret_cast<const unsigned char*>(common_name.data()),
                               static_cast<int>(common_name.size()), -1, 0);
}

} // namespace

std::string TestCertificate::key_pem() const {
    MemoryBio bio(BIO_new(BIO_s_mem()));
    PEM_write_bio_PrivateKey(bio.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr);
    return text_of(bio);
}

std::string TestCertificate::certificate_pem() const {
    MemoryBio bio(BIO_new(BIO_s_mem()));
    PEM_write_bio_X509(bio.get(), certificate.get());
    return text_of(bio);
}

EvpKey make_key(TestKey kind) {
    switch (kind) {
    case TestKey::rsa_1024:
        return EvpKey(EVP_RSA_gen(1024u));
    case TestKey::rsa_2048:
        return EvpKey(EVP_RSA_gen(2048u));
    case TestKey::p256:
        return EvpKey(EVP_EC_gen("P-256"));
    case TestKey::p384:
        return EvpKey(EVP_EC_gen("P-384"));
    case TestKey::secp256k1:
        return EvpKey(EVP_EC_gen("secp256k1"));
    case TestKey::ed25519:
        break;
    }
    return EvpKey(EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519"));
}

TestCertificate make_certificate(TestKey kind, const CertificateOptions& options) {
    TestCertificate made;
    made.key = make_key(kind);
    made.certificate.reset(X509_new());
    X509& certificate = *made.certificate;
    static long serial = 1;
    X509_set_version(&certificate, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(&certificate), serial++);
    X509_gmtime_adj(X509_getm_notBefore(&certificate), options.valid_from);
    X509_gmtime_adj(X509_getm_notAfter(&certificate), options.valid_until);
    X509_set_pubkey(&certificate, made.key.get());
    set_name(X509_get_subject_name(&certificate), options.names.front());
    const TestCertificate& issuer = options.issuer ? *options.issuer : made;
    X509_set_issuer_name(&certificate, X509_get_subject_name(issuer.certificate.get()));
    add_extension(certificate, NID_basic_constraints,
                  options.authority ? "critical,CA:TRUE" : "critical,CA:FALSE");
    std::string names;
    for (const std::string& name : options.names)
        names += (names.empty() ? "DNS:" : ",DNS:") + name;
    for (const std::string& address : options.addresses)
        names += ",IP:" + address;
    if (options.alternative_names)
        add_extension(certificate, NID_subject_alt_name, names);
    const bool digest_inside = kind == TestKey::ed25519 && !options.issuer;
    X509_sign(&certificate, issuer.key.get(), digest_inside ? nullptr : EVP_sha256());
    return made;
}

} // namespace postern::test
