// The report to a domain as it travels (RFC 8460 5). Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "smtpd/policy/tls_json.h"

namespace postern::policy {

// gzip (RFC 1952) at its best. Empty: there is no memory.
std::string gzipped(std::string_view text);

// What a mail may have of a compressed report, in octets, to be a message that the queue takes.
inline constexpr size_t compressed_limit = 80 * 1024;

// The report's JSON, compressed. Of one beyond the limit the rarest failures are left out, but for
// the sums.
std::string compress(TlsReport report);

// "gw.example!d.example!1795435200!1795521599!a1b2c3d4.json.gz" (5.1)
std::string file_name(const TlsReport& report);

// The message to `mailbox`, with CRLF (5.3). `now`: seconds since the epoch.
std::string to_mail(const TlsReport& report, const std::string& compressed,
                    const std::string& mailbox, int64_t now);

} // namespace postern::policy
