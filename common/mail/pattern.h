// Patterns in which `*` stands for any characters, none too; case of ASCII does not count. Pure.
#pragma once

#include <string_view>

namespace postern {

// Linear in both for one `*`, and never worse than the product of their lengths.
bool matches_pattern(std::string_view text, std::string_view pattern);

} // namespace postern
