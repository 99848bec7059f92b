// TLSA records (RFC 6698) as a mail client heeds them (RFC 7672). Pure.
#pragma once

#include <string_view>

#include "common/tls/openssl.h"

namespace postern {

// Whether the record's data can be verified by: usage 2 (DANE-TA) or 3 (DANE-EE), and a selector,
// matching type and length that are known. The others count as if they were not there (RFC 7672
// 3.1.3, RFC 6698 4).
bool is_usable_tlsa(std::string_view record);

// Adds a usable record to a client's connection that SSL_dane_enable() was called for. False:
// OpenSSL does not take it.
bool add_tlsa(SSL& ssl, std::string_view record);

} // namespace postern
