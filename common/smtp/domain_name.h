// Domain names as SMTP writes them (RFC 5321 4.1.2). Pure.
//
// The underscore is not part of a domain in an address (4.1.2 wants 501 for it), but is common in
// the names that hosts give in HELO, where it is let pass.
#pragma once

#include <cstdint>
#include <string_view>

namespace postern {

enum class Underscore : std::uint8_t { refused, accepted };

// Domain of RFC 5321 4.1.2: labels of letters, digits and inner hyphens, 1 to 63 octets each, at
// most 255 in all, no trailing dot. Says nothing about its existence.
bool is_domain(std::string_view text, Underscore underscore = Underscore::refused);

} // namespace postern
