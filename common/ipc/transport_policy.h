// Between relays and policy: what a domain asks of those who send mail to it (MTA-STS, RFC 8461),
// and what became of it, for the domain to be told (TLSRPT, RFC 8460).
#pragma once

#include <cstdint>
#include <string>
#include <tuple>
#include <variant>
#include <vector>

#include "common/base/ip_address.h"
#include "common/ipc/codec.h"

namespace postern::ipc {

inline constexpr uint32_t policy_credit = 4096;   // questions one relay may have open
inline constexpr size_t sts_patterns_limit = 100; // `mx` of one policy

enum class StsMode : uint8_t {
    none,
    testing, // what it asks is reported, and stops no mail
    enforce,
};
constexpr StsMode last_enumerator(StsMode) { return StsMode::enforce; }

// A policy without `id` is none at all: the domain publishes nothing, or nothing that can be had.
struct StsPolicy {
    std::string id; // of the TXT record that it came with (RFC 8461 3.1)
    StsMode mode = StsMode::none;
    uint32_t max_age = 0;        // seconds that it holds from when it was fetched
    std::vector<std::string> mx; // host names, or "*.example.net", in lower case
    bool operator==(const StsPolicy&) const = default;
    static constexpr auto fields(auto& m) { return std::tie(m.id, m.mode, m.max_age, m.mx); }
};

struct PolicyQuery {
    uint32_t request = 0;
    std::string domain; // of recipients, ASCII
    static constexpr auto fields(auto& m) { return std::tie(m.request, m.domain); }
};

struct PolicyAnswer {
    uint32_t request = 0;
    bool known = false; // false: it cannot be found out now whether there is a policy
    StsPolicy policy;
    static constexpr auto fields(auto& m) { return std::tie(m.request, m.known, m.policy); }
};

// What a connection went by (RFC 8460 4.2).
enum class PolicyType : uint8_t { none, sts, tlsa };
constexpr PolicyType last_enumerator(PolicyType) { return PolicyType::tlsa; }

// How its TLS went (RFC 8460 4.3).
enum class TlsResult : uint8_t {
    success,
    starttls_not_supported,
    certificate_host_mismatch,
    certificate_expired,
    certificate_not_trusted,
    validation_failure, // any other
    tlsa_invalid,
    dnssec_invalid,
    sts_policy_fetch_error,
    sts_policy_invalid,
    sts_webpki_invalid,
};
constexpr TlsResult last_enumerator(TlsResult) { return TlsResult::sts_webpki_invalid; }

// One connection to a mail exchanger, or one that there should have been. Not answered; what comes
// in too fast may be lost.
struct SessionResult {
    std::string domain; // of recipients, ASCII
    PolicyType type = PolicyType::none;
    std::vector<std::string> policy; // its lines, or the TLSA records as a zone file has them
    std::vector<std::string> mx;     // sts: whom it names
    TlsResult result = TlsResult::success;
    std::string exchanger; // its name; empty: none was reached
    IpAddress receiving;   // its address; version 0: not known
    IpAddress sending;     // ours, likewise
    std::string reason;    // of a failure, one line of printable ASCII, at most 200 octets
    static constexpr auto fields(auto& m) {
        return std::tie(m.domain, m.type, m.policy, m.mx, m.result, m.exchanger, m.receiving,
                        m.sending, m.reason);
    }
};

using ToPolicy = std::variant<PolicyQuery, SessionResult>;
using FromPolicy = std::variant<PolicyAnswer>;

} // namespace postern::ipc
