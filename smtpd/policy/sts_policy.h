// An MTA-STS policy as it is written in its file (RFC 8461 3.2). Pure.
#pragma once

#include <string>
#include <string_view>

#include "common/base/result.h"
#include "common/ipc/transport_policy.h"

namespace postern::policy {

// The longest file that is read, in octets (RFC 8461 3.3 leaves it to us).
inline constexpr size_t policy_text_limit = 64 * 1024;
// A year, and a quarter of a day: no policy holds longer, whatever it says (3.2).
inline constexpr uint32_t max_age_limit = 31557600;

// "mta-sts.example.com"
std::string policy_host(std::string_view domain);
inline constexpr const char* policy_path = "/.well-known/mta-sts.txt";

// The policy, without its id. An error says in which line what is wrong. Of a field that is there
// twice the first counts; fields that nobody knows are passed over.
Result<ipc::StsPolicy> parse_sts_policy(std::string_view text);

} // namespace postern::policy
