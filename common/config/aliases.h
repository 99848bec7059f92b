// The tables that say who is in a recipient's place: `action … alias`, `… virtual`.
#pragma once

#include <string>
#include <string_view>

namespace postern::config {

// The name of the table that an included file (":include:/path") becomes: a list of user names and
// addresses in wire form. No table that is declared can have one like it.
std::string include_table(std::string_view path);

inline constexpr size_t include_limit = 100;              // files
inline constexpr size_t include_size_limit = 1024 * 1024; // bytes of one
inline constexpr size_t include_entries_limit = 10'000;   // of one

} // namespace postern::config
