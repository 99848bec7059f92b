// Search filters with a key in them (RFC 4515). Pure.
#pragma once

#include <string>
#include <string_view>

namespace postern::tables {

// An assertion value (RFC 4515 3): what has a meaning in a filter, and what is no text, as \XX.
std::string escape_filter_value(std::string_view value);

// `filter` with the key for %u and %s, the name of the table for %h, and '%' for %%. What is put in
// is escaped.
std::string expand_filter(std::string_view filter, std::string_view key, std::string_view table);

} // namespace postern::tables
