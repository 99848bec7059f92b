// Between relays and policy: what a domain asks of those who send mail to it (MTA-STS, RFC 8461).
#pragma once

#include <cstdint>
#include <string>
#include <tuple>
#include <variant>
#include <vector>

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

using ToPolicy = std::variant<PolicyQuery>;
using FromPolicy = std::variant<PolicyAnswer>;

} // namespace postern::ipc
