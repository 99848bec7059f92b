// Reports on TLS as JSON (RFC 8460 4.4), and what is counted for them, as it is kept. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "common/base/result.h"
#include "smtpd/policy/tally.h"

namespace postern::policy {

struct TlsReport {
    std::string id;       // "20261126.d.example.0123456789abcdef"
    std::string domain;   // that it is about
    std::string reporter; // our host name
    int64_t begin = 0;    // seconds since the epoch
    int64_t end = 0;      // the last second
    std::vector<PolicyTally> policies;
};

// RFC 3339: "2016-04-01T00:00:00Z".
std::string timestamp(int64_t when);

// JSON, in ASCII.
std::string to_json(const TlsReport& report);

// What is counted in one day or a part of it, of all domains.
struct Batch {
    std::string id;    // 16 hexadecimal digits
    int64_t begin = 0; // seconds since the epoch
    int64_t end = 0;   // the last second
    Counts counts;
};

// JSON too, in whose `policies` each domain has what its report will have.
std::string to_text(const Batch& batch);

// An error: it is nothing that to_text() wrote.
Result<Batch> parse_batch(std::string_view text);

// "0123456789abcdef"
bool is_batch_id(std::string_view text);

} // namespace postern::policy
