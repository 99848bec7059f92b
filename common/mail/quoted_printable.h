// The content transfer encoding quoted-printable (RFC 2045 6.7). Pure.
#pragma once

#include <string>
#include <string_view>

namespace postern {

// Appends `text` as printable ASCII in lines of at most 76 octets: CRLF is a line break, other
// controls and all that is not ASCII are encoded. Up to some three times as long.
void append_quoted_printable(std::string& out, std::string_view text);

} // namespace postern
