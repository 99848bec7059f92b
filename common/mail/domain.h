// Comparing domain names as mail systems do: US-ASCII case does not count, neither does a dot at
// the end. Pure; knows nothing of the DNS.
#pragma once

#include <string>
#include <string_view>

namespace postern {

// Lower case, without the trailing dot.
std::string normalize_domain(std::string_view domain);

bool same_domain(std::string_view a, std::string_view b);

// Whether `domain` matches a pattern of a table: a domain, or one with '*' for any number of any
// characters. "*.example.com" matches hosts at any depth below example.com, not example.com itself;
// "*" matches everything. Takes time in proportion to the product of the lengths at worst.
bool domain_matches(std::string_view pattern, std::string_view domain);

} // namespace postern
