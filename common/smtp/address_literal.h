// Address literals, "[192.0.2.1]", in place of a domain (RFC 5321 4.1.3). Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace postern {

// "[192.0.2.1]", "[IPv6:2001:db8::1]" or "[Tag:content]" (4.1.3), the canonical form of it: no
// leading zeros in IPv4 (which some systems read as octal), IPv6 as in RFC 5952.
std::optional<std::string> parse_address_literal(std::string_view text);

// The literal of a numeric address as the system prints it: 192.0.2.1 -> [192.0.2.1],
// 2001:db8::1 -> [IPv6:2001:db8::1].
std::string address_literal(std::string_view address);

// The numeric address within a canonical literal, for connecting to it: 192.0.2.1 or 2001:db8::1.
// Empty if `domain` is no literal, or one of neither family.
std::string_view address_of_literal(std::string_view domain);

} // namespace postern
