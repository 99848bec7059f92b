// The text of a file table, as in OpenSMTPD's table(5): one value, or a key and a value, a line.
// Pure; a bad line does not hide the others.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace postern::config {

inline constexpr size_t table_line_limit = 4096;       // bytes
inline constexpr size_t table_value_limit = 60 * 1024; // the same of a value of several lines

struct TableLine {
    uint32_t line = 0; // from 1
    uint32_t column = 1;
    std::string key;   // or the value of a list
    std::string value; // of a mapping
    std::string error; // if not empty, the line is no good
};

struct TableText {
    bool is_mapping = false;
    std::vector<TableLine> lines;
};

// What sets key and value apart.
enum class TableForm : uint8_t { blanks_or_colon, blanks };

// The first line decides whether it is a list or a mapping, unless "# @list" stands before it.
// Empty lines and those that begin with '#' do not count. Where a colon sets key and value apart, a
// key with blanks or colons of its own stands in quotes, and as in aliases(5) a line that begins
// with a blank goes on with the value before it, if that has a key with a colon that began its
// line, and this one has none of its own.
TableText parse_table_text(std::string_view text, TableForm form = TableForm::blanks_or_colon);

} // namespace postern::config
