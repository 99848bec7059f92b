#include "common/tls/certificate.h"

#include <algorithm>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/sha.h>
#include <openssl/x509v3.h>

#include "common/smtp/text.h"

namespace postern {

namespace {

constexpr int least_rsa_bits = 2048;

std::string text_of(const ASN1_STRING* string) {
    return std::string(reinterpret_cast<const char*>(ASN1_STRING_get0_data(string)),
                       static_cast<size_t>(ASN1_STRING_length(string)));
}

std::string common_name(const X509& certificate) {
    const X509_NAME* subject = X509_get_subject_name(&certificate);
    const int index = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
    if (index < 0)
        return "";
    return text_of(X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, index)));
}

// Curves that TLS clients take (RFC 8422 5.1.1).
bool is_usable_curve(const EVP_PKEY& key) {
    char name[64] = "";
    size_t length = 0;
    if (!EVP_PKEY_get_group_name(&key, name, sizeof name, &length))
        return false;
    const std::string_view curve(name, length);
    return curve == "prime256v1" || curve == "secp384r1" || curve == "secp521r1" ||
           curve == "P-256" || curve == "P-384" || curve == "P-521";
}

} // namespace

Result<std::vector<X509Certificate>> parse_certificates(std::string_view pem) {
    MemoryBio text = open_memory(pem);
    std::vector<X509Certificate> certificates;
    ERR_clear_error();
    while (X509* next = PEM_read_bio_X509(text.get(), nullptr, nullptr, nullptr))
        certificates.emplace_back(next);
    const unsigned long error = ERR_peek_last_error();
    // Behind the last certificate there is no further start of one: that is no error.
    if (ERR_GET_LIB(error) != ERR_LIB_PEM || ERR_GET_REASON(error) != PEM_R_NO_START_LINE)
        return openssl_error("a certificate cannot be read");
    ERR_clear_error();
    if (certificates.empty())
        return Error{"there is no certificate in PEM form"};
    return certificates;
}

Result<EvpKey> parse_private_key(std::string_view pem) {
    MemoryBio text = open_memory(pem);
    ERR_clear_error();
    const auto no_passphrase = [](char*, int, int, void*) { return -1; };
    EvpKey key(PEM_read_bio_PrivateKey(text.get(), nullptr, no_passphrase, nullptr));
    if (key)
        return key;
    const unsigned long error = ERR_peek_last_error();
    ERR_clear_error();
    if (pem.find("ENCRYPTED") != std::string_view::npos)
        return Error{"the private key has a passphrase, and nobody is there to be asked for it"};
    const char* reason = ERR_reason_error_string(error);
    return Error{std::string("there is no private key in PEM form") +
                 (reason ? std::string(": ") + reason : "")};
}

std::optional<KeyKind> kind_of(const EVP_PKEY& key) {
    if (EVP_PKEY_is_a(&key, "RSA"))
        return KeyKind::rsa;
    if (EVP_PKEY_is_a(&key, "EC"))
        return KeyKind::ecdsa;
    return std::nullopt;
}

std::string key_id_of(const EVP_PKEY& key) {
    unsigned char* encoded = nullptr;
    const int length = i2d_PUBKEY(&key, &encoded);
    if (length <= 0)
        return "";
    unsigned char digest[SHA256_DIGEST_LENGTH];
    SHA256(encoded, static_cast<size_t>(length), digest);
    OPENSSL_free(encoded);
    return std::string(reinterpret_cast<const char*>(digest), sizeof digest);
}

Result<void> check_pair(const X509& certificate, const EVP_PKEY& key) {
    const std::optional<KeyKind> kind = kind_of(key);
    if (!kind)
        return Error{"the key is neither an RSA nor an ECDSA key"};
    if (*kind == KeyKind::rsa && EVP_PKEY_get_bits(&key) < least_rsa_bits)
        return Error{"the RSA key has " + std::to_string(EVP_PKEY_get_bits(&key)) +
                     " bits, fewer than 2048"};
    if (*kind == KeyKind::ecdsa && !is_usable_curve(key))
        return Error{"the ECDSA key is not on one of the curves P-256, P-384 and P-521"};
    const EVP_PKEY* certified = X509_get0_pubkey(&certificate);
    if (!certified || EVP_PKEY_eq(certified, &key) != 1)
        return Error{"the certificate is not that of the key"};
    return {};
}

std::vector<std::string> names_of(const X509& certificate) {
    std::vector<std::string> names;
    auto* alternatives = static_cast<GENERAL_NAMES*>(
        X509_get_ext_d2i(&certificate, NID_subject_alt_name, nullptr, nullptr));
    for (int i = 0; i < sk_GENERAL_NAME_num(alternatives); ++i) {
        const GENERAL_NAME* name = sk_GENERAL_NAME_value(alternatives, i);
        if (name->type == GEN_DNS)
            names.push_back(ascii_lower(text_of(name->d.dNSName)));
    }
    GENERAL_NAMES_free(alternatives);
    if (names.empty())
        if (std::string name = ascii_lower(common_name(certificate)); !name.empty())
            names.push_back(std::move(name));
    std::sort(names.begin(), names.end());
    return names;
}

bool is_out_of_date(const X509& certificate) {
    return X509_cmp_current_time(X509_get0_notAfter(&certificate)) < 0 ||
           X509_cmp_current_time(X509_get0_notBefore(&certificate)) > 0;
}

} // namespace postern
