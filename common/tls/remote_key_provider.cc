#include "common/tls/remote_key_provider.h"

#include <cstring>
#include <openssl/core_dispatch.h>
#include <openssl/core_names.h>
#include <openssl/rsa.h>
#include <optional>
#include <string_view>

#include "common/tls/certificate.h"
#include "common/tls/remote_key.h"

namespace postern {

namespace {

// OpenSSL's own provider keeps the public half, and answers for it.
struct Key {
    explicit Key(const char* algorithm) : algorithm(algorithm) {}
    const char* algorithm;
    EvpKey public_half;
    std::string id;
};

Key* key_of(void* data) { return static_cast<Key*>(data); }
const Key* key_of(const void* data) { return static_cast<const Key*>(data); }

// Key management.

void* new_rsa_key(void*) { return new Key("RSA"); }
void* new_ec_key(void*) { return new Key("EC"); }
void free_key(void* data) { delete key_of(data); }

// The private half counts as there: that is the point of a remote key.
int has(const void* data, int) { return key_of(data)->public_half != nullptr; }

int match(const void* one, const void* other, int) {
    const EVP_PKEY* a = key_of(one)->public_half.get();
    const EVP_PKEY* b = key_of(other)->public_half.get();
    return a && b && EVP_PKEY_eq(a, b) == 1;
}

int import_key(void* data, int, const OSSL_PARAM parameters[]) {
    Key* key = key_of(data);
    EvpKeyContext context(EVP_PKEY_CTX_new_from_name(nullptr, key->algorithm, "provider=default"));
    EVP_PKEY* made = nullptr;
    if (!context || EVP_PKEY_fromdata_init(context.get()) != 1 ||
        EVP_PKEY_fromdata(context.get(), &made, EVP_PKEY_PUBLIC_KEY,
                          const_cast<OSSL_PARAM*>(parameters)) != 1)
        return 0;
    key->public_half.reset(made);
    key->id = key_id_of(*made);
    return !key->id.empty();
}

// Only the public half can go out: whoever asks for more is told that there is none, and uses this
// provider instead of their own.
int export_key(void* data, int selection, OSSL_CALLBACK* callback, void* argument) {
    if (selection & OSSL_KEYMGMT_SELECT_PRIVATE_KEY)
        return 0;
    OSSL_PARAM* raw = nullptr;
    if (EVP_PKEY_todata(key_of(data)->public_half.get(), EVP_PKEY_PUBLIC_KEY, &raw) != 1)
        return 0;
    OpensslParameters parameters(raw);
    return callback(parameters.get(), argument);
}

const OSSL_PARAM* importable(int) {
    static const OSSL_PARAM types[] = {
        OSSL_PARAM_BN(OSSL_PKEY_PARAM_RSA_N, nullptr, 0),
        OSSL_PARAM_BN(OSSL_PKEY_PARAM_RSA_E, nullptr, 0),
        OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, nullptr, 0),
        OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_PUB_KEY, nullptr, 0),
        OSSL_PARAM_END,
    };
    return types;
}

int get_parameters(void* data, OSSL_PARAM parameters[]) {
    return EVP_PKEY_get_params(key_of(data)->public_half.get(), parameters);
}

const OSSL_PARAM* gettable(void*) {
    static const OSSL_PARAM types[] = {
        OSSL_PARAM_int(OSSL_PKEY_PARAM_BITS, nullptr),
        OSSL_PARAM_int(OSSL_PKEY_PARAM_SECURITY_BITS, nullptr),
        OSSL_PARAM_int(OSSL_PKEY_PARAM_MAX_SIZE, nullptr),
        OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, nullptr, 0),
        OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_DEFAULT_DIGEST, nullptr, 0),
        OSSL_PARAM_END,
    };
    return types;
}

const char* rsa_operation(int) { return "RSA"; }
const char* ec_operation(int operation) {
    return operation == OSSL_OP_SIGNATURE ? "ECDSA" : "ECDH";
}

// Signatures.

struct SignatureContext {
    const Key* key = nullptr;
    std::string digest;
    int padding = RSA_PKCS1_PADDING;
    bool salt_like_digest = true;
};

SignatureContext* context_of(void* data) { return static_cast<SignatureContext*>(data); }

void* new_context(void*, const char*) { return new SignatureContext; }
void free_context(void* data) { delete context_of(data); }
void* copy_context(void* data) { return new SignatureContext(*context_of(data)); }

std::optional<int> padding_of(const OSSL_PARAM& parameter) {
    int number = 0;
    if (OSSL_PARAM_get_int(&parameter, &number))
        return number;
    const char* name = nullptr;
    if (!OSSL_PARAM_get_utf8_string_ptr(&parameter, &name))
        return std::nullopt;
    if (std::string_view(name) == OSSL_PKEY_RSA_PAD_MODE_PSS)
        return RSA_PKCS1_PSS_PADDING;
    if (std::string_view(name) == OSSL_PKEY_RSA_PAD_MODE_PKCSV15)
        return RSA_PKCS1_PADDING;
    return std::nullopt;
}

// The only length of salt that TLS knows (RFC 8446 4.2.3).
bool is_digest_length(const OSSL_PARAM& parameter) {
    int number = 0;
    if (OSSL_PARAM_get_int(&parameter, &number))
        return number == RSA_PSS_SALTLEN_DIGEST;
    const char* name = nullptr;
    return OSSL_PARAM_get_utf8_string_ptr(&parameter, &name) &&
           std::string_view(name) == OSSL_PKEY_RSA_PSS_SALT_LEN_DIGEST;
}

int set_context(void* data, const OSSL_PARAM parameters[]) {
    SignatureContext* context = context_of(data);
    if (!parameters)
        return 1;
    if (const OSSL_PARAM* mode =
            OSSL_PARAM_locate_const(parameters, OSSL_SIGNATURE_PARAM_PAD_MODE)) {
        const std::optional<int> padding = padding_of(*mode);
        if (!padding)
            return 0;
        context->padding = *padding;
    }
    if (const OSSL_PARAM* salt =
            OSSL_PARAM_locate_const(parameters, OSSL_SIGNATURE_PARAM_PSS_SALTLEN))
        context->salt_like_digest = is_digest_length(*salt);
    return 1;
}

const OSSL_PARAM* settable_context(void*, void*) {
    static const OSSL_PARAM types[] = {
        OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_PAD_MODE, nullptr, 0),
        OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_PSS_SALTLEN, nullptr, 0),
        OSSL_PARAM_END,
    };
    return types;
}

int digest_sign_init(void* data, const char* digest, void* key, const OSSL_PARAM parameters[]) {
    SignatureContext* context = context_of(data);
    if (key)
        context->key = key_of(key);
    if (digest)
        context->digest = digest;
    return context->key != nullptr && set_context(data, parameters);
}

std::optional<ipc::SignatureScheme> scheme_of(const SignatureContext& context) {
    using enum ipc::SignatureScheme;
    struct Row {
        std::string_view algorithm;
        int padding;
        const char* digest;
        ipc::SignatureScheme scheme;
    };
    static constexpr Row rows[] = {
        {"RSA", RSA_PKCS1_PADDING, "SHA2-256", rsa_pkcs1_sha256},
        {"RSA", RSA_PKCS1_PADDING, "SHA2-384", rsa_pkcs1_sha384},
        {"RSA", RSA_PKCS1_PADDING, "SHA2-512", rsa_pkcs1_sha512},
        {"RSA", RSA_PKCS1_PSS_PADDING, "SHA2-256", rsa_pss_sha256},
        {"RSA", RSA_PKCS1_PSS_PADDING, "SHA2-384", rsa_pss_sha384},
        {"RSA", RSA_PKCS1_PSS_PADDING, "SHA2-512", rsa_pss_sha512},
        {"EC", RSA_PKCS1_PADDING, "SHA2-256", ecdsa_sha256},
        {"EC", RSA_PKCS1_PADDING, "SHA2-384", ecdsa_sha384},
        {"EC", RSA_PKCS1_PADDING, "SHA2-512", ecdsa_sha512},
    };
    // A digest has several names, "SHA256" and "SHA2-256".
    const EVP_MD* digest = EVP_get_digestbyname(context.digest.c_str());
    for (const Row& row : rows)
        if (row.algorithm == context.key->algorithm && row.padding == context.padding &&
            (context.digest == row.digest || (digest && EVP_MD_is_a(digest, row.digest))))
            return row.scheme;
    return std::nullopt;
}

int digest_sign(void* data, unsigned char* signature, size_t* length, size_t room,
                const unsigned char* content, size_t content_length) {
    const SignatureContext& context = *context_of(data);
    const EVP_PKEY& public_half = *context.key->public_half;
    const auto size = static_cast<size_t>(EVP_PKEY_get_size(&public_half));
    if (!signature) {
        *length = size;
        return 1;
    }
    const std::optional<ipc::SignatureScheme> scheme = scheme_of(context);
    if (!scheme || !context.salt_like_digest || content_length > ipc::signed_content_limit)
        return 0;
    ipc::SignQuery query;
    query.key_id = context.key->id;
    query.scheme = *scheme;
    query.content.assign(reinterpret_cast<const char*>(content), content_length);
    const std::string answer = RemoteSignature::obtain(std::move(query));
    if (answer.empty() || answer.size() > room || answer.size() > size)
        return 0;
    std::memcpy(signature, answer.data(), answer.size());
    *length = answer.size();
    return 1;
}

// Tables. OpenSSL has one type for all functions, and casts them back by number.

template <class F> OSSL_DISPATCH entry(int number, F* function) {
    return {number, reinterpret_cast<void (*)()>(function)};
}

template <auto new_key, auto operation> const OSSL_DISPATCH* key_management() {
    static const OSSL_DISPATCH functions[] = {
        entry(OSSL_FUNC_KEYMGMT_NEW, new_key),
        entry(OSSL_FUNC_KEYMGMT_FREE, free_key),
        entry(OSSL_FUNC_KEYMGMT_HAS, has),
        entry(OSSL_FUNC_KEYMGMT_MATCH, match),
        entry(OSSL_FUNC_KEYMGMT_IMPORT, import_key),
        entry(OSSL_FUNC_KEYMGMT_IMPORT_TYPES, importable),
        entry(OSSL_FUNC_KEYMGMT_EXPORT, export_key),
        entry(OSSL_FUNC_KEYMGMT_EXPORT_TYPES, importable),
        entry(OSSL_FUNC_KEYMGMT_GET_PARAMS, get_parameters),
        entry(OSSL_FUNC_KEYMGMT_GETTABLE_PARAMS, gettable),
        entry(OSSL_FUNC_KEYMGMT_QUERY_OPERATION_NAME, operation),
        {0, nullptr},
    };
    return functions;
}

const OSSL_DISPATCH* signing() {
    static const OSSL_DISPATCH functions[] = {
        entry(OSSL_FUNC_SIGNATURE_NEWCTX, new_context),
        entry(OSSL_FUNC_SIGNATURE_FREECTX, free_context),
        entry(OSSL_FUNC_SIGNATURE_DUPCTX, copy_context),
        entry(OSSL_FUNC_SIGNATURE_DIGEST_SIGN_INIT, digest_sign_init),
        entry(OSSL_FUNC_SIGNATURE_DIGEST_SIGN, digest_sign),
        entry(OSSL_FUNC_SIGNATURE_SET_CTX_PARAMS, set_context),
        entry(OSSL_FUNC_SIGNATURE_SETTABLE_CTX_PARAMS, settable_context),
        {0, nullptr},
    };
    return functions;
}

const OSSL_ALGORITHM* query_operation(void*, int operation, int* no_store) {
    static const OSSL_ALGORITHM keys[] = {
        {"RSA", "provider=postern", key_management<new_rsa_key, rsa_operation>(), ""},
        {"EC", "provider=postern", key_management<new_ec_key, ec_operation>(), ""},
        {nullptr, nullptr, nullptr, nullptr},
    };
    static const OSSL_ALGORITHM signatures[] = {
        {"RSA", "provider=postern", signing(), ""},
        {"ECDSA", "provider=postern", signing(), ""},
        {nullptr, nullptr, nullptr, nullptr},
    };
    *no_store = 0;
    if (operation == OSSL_OP_KEYMGMT)
        return keys;
    return operation == OSSL_OP_SIGNATURE ? signatures : nullptr;
}

} // namespace

int remote_key_provider_init(const OSSL_CORE_HANDLE* handle, const OSSL_DISPATCH*,
                             const OSSL_DISPATCH** out, void** context) {
    static const OSSL_DISPATCH functions[] = {
        entry(OSSL_FUNC_PROVIDER_QUERY_OPERATION, query_operation),
        {0, nullptr},
    };
    // The context only has to be something: our functions need none.
    *context = const_cast<OSSL_CORE_HANDLE*>(handle);
    *out = functions;
    return 1;
}

} // namespace postern
