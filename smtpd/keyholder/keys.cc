#include "smtpd/keyholder/keys.h"

#include <openssl/rsa.h>

#include "common/tls/certificate.h"
#include "smtpd/keyholder/handshake_content.h"

namespace postern::keyholder {

namespace {

struct Method {
    KeyKind kind;
    int padding; // RSA only
    const char* digest;
};

Method method_of(ipc::SignatureScheme scheme) {
    using enum ipc::SignatureScheme;
    switch (scheme) {
    case rsa_pkcs1_sha256:
        return {KeyKind::rsa, RSA_PKCS1_PADDING, "SHA256"};
    case rsa_pkcs1_sha384:
        return {KeyKind::rsa, RSA_PKCS1_PADDING, "SHA384"};
    case rsa_pkcs1_sha512:
        return {KeyKind::rsa, RSA_PKCS1_PADDING, "SHA512"};
    case rsa_pss_sha256:
        return {KeyKind::rsa, RSA_PKCS1_PSS_PADDING, "SHA256"};
    case rsa_pss_sha384:
        return {KeyKind::rsa, RSA_PKCS1_PSS_PADDING, "SHA384"};
    case rsa_pss_sha512:
        return {KeyKind::rsa, RSA_PKCS1_PSS_PADDING, "SHA512"};
    case ecdsa_sha256:
        return {KeyKind::ecdsa, 0, "SHA256"};
    case ecdsa_sha384:
        return {KeyKind::ecdsa, 0, "SHA384"};
    case ecdsa_sha512:
        break;
    }
    return {KeyKind::ecdsa, 0, "SHA512"};
}

bool set_padding(EVP_PKEY_CTX* context, const Method& method) {
    if (method.kind != KeyKind::rsa)
        return true;
    if (EVP_PKEY_CTX_set_rsa_padding(context, method.padding) != 1)
        return false;
    return method.padding != RSA_PKCS1_PSS_PADDING ||
           EVP_PKEY_CTX_set_rsa_pss_saltlen(context, RSA_PSS_SALTLEN_DIGEST) == 1;
}

} // namespace

Result<void> Keys::add(std::string_view pem, bool for_relays) {
    Result<EvpKey> key = parse_private_key(pem);
    if (!key)
        return key.error();
    std::string id = key_id_of(**key);
    if (id.empty() || !kind_of(**key))
        return Error{"the key is neither an RSA nor an ECDSA key"};
    Entry& entry = keys_[std::move(id)]; // which may be in several pkis
    entry.key = std::move(*key);
    entry.for_relays = entry.for_relays || for_relays;
    return {};
}

Result<std::string> Keys::sign(const ipc::SignQuery& query, Side side) const {
    const auto found = keys_.find(query.key_id);
    if (found == keys_.end())
        return Error{"there is no such key"};
    if (side == Side::client && !found->second.for_relays)
        return Error{"the key is of no pki that relays have"};
    const Method method = method_of(query.scheme);
    EVP_PKEY* key = found->second.key.get();
    if (kind_of(*key) != method.kind)
        return Error{"the key does not sign this way"};
    const bool sane = side == Side::server ? is_server_handshake(query.content)
                                           : is_client_handshake(query.content);
    if (query.content.size() > ipc::signed_content_limit || !sane)
        return Error{side == Side::server ? "this is no server's handshake"
                                          : "this is no client's handshake"};
    EvpDigestContext context(EVP_MD_CTX_new());
    EVP_PKEY_CTX* key_context = nullptr; // belongs to `context`
    const auto* content = reinterpret_cast<const unsigned char*>(query.content.data());
    std::string signature(static_cast<size_t>(EVP_PKEY_get_size(key)), '\0');
    size_t length = signature.size();
    if (!context ||
        EVP_DigestSignInit_ex(context.get(), &key_context, method.digest, nullptr, nullptr, key,
                              nullptr) != 1 ||
        !set_padding(key_context, method) ||
        EVP_DigestSign(context.get(), reinterpret_cast<unsigned char*>(signature.data()), &length,
                       content, query.content.size()) != 1)
        return openssl_error("cannot sign");
    signature.resize(length);
    return signature;
}

} // namespace postern::keyholder
