// OpenSSL's objects as owners, and its errors as text.
#pragma once

#include <memory>
#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <string>
#include <string_view>

#include "common/base/result.h"

namespace postern {

template <auto function> struct OpensslDeleter {
    template <class T> void operator()(T* object) const { function(object); }
};

using SslContext = std::unique_ptr<SSL_CTX, OpensslDeleter<SSL_CTX_free>>;
using SslSession = std::unique_ptr<SSL, OpensslDeleter<SSL_free>>;
using EvpKey = std::unique_ptr<EVP_PKEY, OpensslDeleter<EVP_PKEY_free>>;
using EvpKeyContext = std::unique_ptr<EVP_PKEY_CTX, OpensslDeleter<EVP_PKEY_CTX_free>>;
using EvpDigestContext = std::unique_ptr<EVP_MD_CTX, OpensslDeleter<EVP_MD_CTX_free>>;
using OpensslParameters = std::unique_ptr<OSSL_PARAM, OpensslDeleter<OSSL_PARAM_free>>;
using X509Certificate = std::unique_ptr<X509, OpensslDeleter<X509_free>>;
using TrustStore = std::unique_ptr<X509_STORE, OpensslDeleter<X509_STORE_free>>;
using MemoryBio = std::unique_ptr<BIO, OpensslDeleter<BIO_free>>;

// Takes all that is in the thread's error queue: "what: reason; reason", at most 512 bytes.
Error openssl_error(std::string_view what);

// Reads `bytes`, which must outlive it.
MemoryBio open_memory(std::string_view bytes);

} // namespace postern
