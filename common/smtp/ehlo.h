// What a next hop says it can do: the reply to EHLO (RFC 5321 4.1.1.1) as a plain struct. Odd input
// is read as far as it makes sense: an extension that is not understood is one that is not there.
// SMTPUTF8 brings 8BITMIME along (RFC 6531 3.1).
#pragma once

#include "common/smtp/reply.h"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace postern {

struct EhloCapabilities {
    std::string domain; // what the server calls itself; may be empty

    bool pipelining = false;            // RFC 2920
    bool eight_bit_mime = false;        // RFC 6152
    bool enhanced_status_codes = false; // RFC 2034
    bool chunking = false;              // RFC 3030
    bool binary_mime = false;           // RFC 3030
    bool smtp_utf8 = false;             // RFC 6531
    bool dsn = false;                   // RFC 3461
    bool starttls = false;              // RFC 3207
    bool require_tls = false;           // RFC 8689
    bool priority = false;              // RFC 6710, MT-PRIORITY
    bool size = false;                  // RFC 1870: SIZE= may be sent
    std::uint64_t max_size = 0;         // octets; 0: it has not said
    bool deliver_by = false;            // RFC 2852: BY= may be sent
    std::uint64_t min_by_time = 0;      // seconds that BY has to leave in mode R; 0: any

    std::vector<std::string> auth; // RFC 4954: mechanisms, upper case, at most 32

    // RFC 9422 LIMITS; absent: none stated.
    std::optional<std::uint64_t> mail_max;        // transactions in a session
    std::optional<std::uint64_t> rcpt_max;        // recipients in a transaction
    std::optional<std::uint64_t> rcpt_domain_max; // different domains among them

    bool has_auth(std::string_view mechanism) const; // in any case
};

// `reply` is a positive reply to EHLO, as ReplyParser gave it.
EhloCapabilities parse_ehlo(const Reply& reply);

} // namespace postern
