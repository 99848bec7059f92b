// Which ciphers a server takes.
#pragma once

#include <string>

#include "common/base/result.h"
#include "common/tls/openssl.h"

namespace postern {

// Those of TLS 1.2 from `list`, in the form of ciphers(1ssl); "secure", "default" or empty: ours.
// Key exchange by RSA is never among them, which has no forward secrecy and would have the
// keyholder decrypt for strangers, nor that in finite fields (groups.h).
Result<void> set_ciphers(SSL_CTX& context, const std::string& list);

} // namespace postern
