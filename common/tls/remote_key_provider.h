// The OpenSSL 3 provider behind remote_key.h: provider(7), provider-keymgmt(7),
// provider-signature(7).
#pragma once

#include <openssl/core.h>

namespace postern {

int remote_key_provider_init(const OSSL_CORE_HANDLE* handle, const OSSL_DISPATCH* in,
                             const OSSL_DISPATCH** out, void** context);

} // namespace postern
