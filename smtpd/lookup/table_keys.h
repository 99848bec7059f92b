// By which keys external tables are asked for a domain or an address, best first. Pure.
//
// A list in the configuration holds patterns, and is walked through; an external table is asked for
// keys that are equal, so it is asked for the patterns that could be in it. These are few: what a
// pattern in a list could be besides (asterisks elsewhere, "@" for everybody) is not asked for.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace postern {

inline constexpr size_t most_domain_keys = 5;

// "mail.example.org" → "mail.example.org", "*.example.org", "*.org". Of a domain with many labels
// the parents nearest to the root are asked for. None for an empty domain. `domain` in canonical
// form (canonical_domain()).
std::vector<std::string> domain_keys(const std::string& domain);

// "user+tag", "example.org" → "user+tag@example.org", "user@example.org", "user+tag", "user",
// "@example.org". "<>" for the null reverse-path. Names as comparable_name() has them. A local part
// with an '@' in it is asked for in quotes, and never alone: it would be somebody else's address.
std::vector<std::string> mailbox_keys(std::string_view local_part, const std::string& domain);

} // namespace postern
