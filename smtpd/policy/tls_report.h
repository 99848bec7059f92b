// The report to a domain (RFC 8460 4.4), and the mail that it travels in (5.3). Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "smtpd/policy/tally.h"

namespace postern::policy {

struct TlsReport {
    std::string id;       // "20261126.d.example.a1b2c3d4"
    std::string domain;   // that it is about
    std::string reporter; // our host name
    int64_t begin = 0;    // seconds since the epoch; a day of UTC
    std::vector<PolicyTally> policies;
};

// JSON (4.4), in ASCII.
std::string to_json(const TlsReport& report);

// gzip (RFC 1952) at its best. Empty: there is no memory.
std::string gzipped(std::string_view text);

// "gw.example!d.example!1795435200!1795521599!a1b2c3d4.json.gz" (5.1)
std::string file_name(const TlsReport& report);

// The message to `mailbox`, with CRLF. `now`: seconds since the epoch.
std::string to_mail(const TlsReport& report, const std::string& compressed,
                    const std::string& mailbox, int64_t now);

} // namespace postern::policy
