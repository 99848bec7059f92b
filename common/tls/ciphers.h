// Which ciphers a server takes.
#pragma once

#include <string>

#include "common/base/result.h"
#include "common/tls/openssl.h"

namespace postern {

// Those of TLS 1.2 from `list`, in the form of ciphers(1ssl); empty: ours. Key exchange by RSA is
// never among them: it has no forward secrecy, and would have the keyholder decrypt for strangers.
Result<void> set_ciphers(SSL_CTX& context, const std::string& list);

} // namespace postern
