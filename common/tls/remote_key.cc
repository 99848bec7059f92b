#include "common/tls/remote_key.h"

#include <openssl/async.h>
#include <openssl/core_names.h>
#include <openssl/provider.h>
#include <utility>

#include "common/tls/remote_key_provider.h"

namespace postern {

namespace {

thread_local RemoteSignature* present = nullptr;

constexpr const char* provider_name = "postern";

// Loads the providers, once. Ordinary work goes to OpenSSL's own.
bool load_providers() {
    static const bool loaded =
        OSSL_PROVIDER_add_builtin(nullptr, provider_name, remote_key_provider_init) == 1 &&
        OSSL_PROVIDER_load(nullptr, "default") != nullptr &&
        OSSL_PROVIDER_load(nullptr, provider_name) != nullptr &&
        EVP_set_default_properties(nullptr, "?provider=default") == 1;
    return loaded;
}

} // namespace

void RemoteSignature::provide(std::string signature) {
    signature_ = std::move(signature);
    state_ = State::provided;
}

RemoteSignature::Present::Present(RemoteSignature& signature) { present = &signature; }
RemoteSignature::Present::~Present() { present = nullptr; }

std::string RemoteSignature::obtain(ipc::SignQuery query) {
    RemoteSignature* self = present;
    if (!self || !ASYNC_get_current_job())
        return "";
    self->query_ = std::move(query);
    self->state_ = State::wanted;
    while (self->wanted())
        if (ASYNC_pause_job() != 1)
            return "";
    self->state_ = State::idle;
    return std::exchange(self->signature_, {});
}

Result<EvpKey> make_remote_key(const EVP_PKEY& public_key) {
    if (!load_providers())
        return openssl_error("the provider of remote keys cannot be loaded");
    OSSL_PARAM* raw = nullptr;
    if (EVP_PKEY_todata(&public_key, EVP_PKEY_PUBLIC_KEY, &raw) != 1)
        return openssl_error("a public key cannot be taken apart");
    OpensslParameters parameters(raw);
    const char* algorithm = EVP_PKEY_get0_type_name(&public_key);
    EvpKeyContext context(
        EVP_PKEY_CTX_new_from_name(nullptr, algorithm ? algorithm : "", "provider=postern"));
    EVP_PKEY* key = nullptr;
    if (!context || EVP_PKEY_fromdata_init(context.get()) != 1 ||
        EVP_PKEY_fromdata(context.get(), &key, EVP_PKEY_KEYPAIR, parameters.get()) != 1)
        return openssl_error("a remote key cannot be made");
    return EvpKey(key);
}

} // namespace postern
