#include "common/config/table_file.h"

#include <algorithm>
#include <optional>

#include "common/base/ip_address.h"
#include "common/smtp/text.h"

namespace postern::config {

namespace {

constexpr std::string_view blanks = " \t\r\v\f";

// Where a key ends. IPv6 addresses are keys in brackets, and in a list as they are.
size_t end_of_key(std::string_view line, TableForm form) {
    if (form == TableForm::blanks)
        return std::min(line.find_first_of(" \t"), line.size());
    if (line.starts_with('[')) {
        const size_t bracket = line.find(']');
        return bracket == std::string_view::npos ? line.size() : bracket + 1;
    }
    if (line.starts_with('"')) {
        const size_t quote = line.find('"', 1);
        if (quote == std::string_view::npos)
            return line.size();
        // A local part in quotes: the address goes on.
        return line.substr(quote + 1).starts_with('@')
                   ? std::min(line.find_first_of(" \t:", quote), line.size())
                   : quote + 1;
    }
    if (Network::parse(line))
        return line.size();
    return std::min(line.find_first_of(" \t:"), line.size());
}

std::string check_line(std::string_view line) {
    if (line.size() > table_line_limit)
        return "this line is longer than " + std::to_string(table_line_limit) + " bytes";
    if (std::any_of(line.begin(), line.end(), [](char c) {
            return (static_cast<unsigned char>(c) < 0x20 && c != '\t') || c == 0x7f;
        }))
        return "found a control character";
    return {};
}

void split_pair(std::string_view text, TableForm form, TableLine& line) {
    const size_t end = end_of_key(text, form);
    std::string_view key = text.substr(0, end);
    if (form == TableForm::blanks_or_colon && key.starts_with('"') && key.size() > 1 &&
        key.ends_with('"'))
        key = key.substr(1, key.size() - 2);
    line.key = key;
    std::string_view rest = text.substr(end);
    if (form == TableForm::blanks_or_colon && rest.starts_with(':'))
        rest.remove_prefix(1);
    line.value = trim(rest, blanks);
    if (line.key.empty())
        line.error = "expected a key before \":\"";
}

// Whether lines that begin with a blank go on with this one.
bool is_alias(std::string_view whole) {
    const size_t end = end_of_key(whole, TableForm::blanks_or_colon);
    return blanks.find(whole.front()) == std::string_view::npos && end < whole.size() &&
           whole[end] == ':';
}

// Whether a line that begins with a blank has a key of its own ("key: value"), and is none of the
// values of an alias: "|command", "/file", ":include:/path", "error:550 text", or several of these.
bool has_own_key(std::string_view line) {
    const size_t end = end_of_key(line, TableForm::blanks_or_colon);
    if (end == 0 || end == line.size() || line[end] != ':')
        return false;
    const std::string_view key = line.substr(0, end);
    return key.front() != '|' && key.front() != '/' && key.find(',') == std::string_view::npos &&
           key != "error" && key != "file";
}

void continue_line(std::string_view text, TableLine& line) {
    const std::string error = check_line(text);
    if (!error.empty())
        line.error = error;
    else if (line.value.size() + text.size() + 1 > table_value_limit)
        line.error = "this value is longer than " + std::to_string(table_value_limit) + " bytes";
    else
        line.value += (line.value.empty() ? "" : " ") + std::string(text);
}

} // namespace

TableText parse_table_text(std::string_view text, TableForm form) {
    TableText table;
    std::optional<bool> is_mapping;
    bool goes_on = false; // with a line that begins with a blank
    for (uint32_t number = 1; !text.empty(); ++number) {
        const std::string_view whole = take_line(text);
        const std::string_view line = trim(whole, blanks);
        if (line.starts_with('#')) {
            if (!is_mapping && trim(line.substr(1), blanks) == "@list")
                is_mapping = false;
            continue;
        }
        if (line.empty()) {
            goes_on = false;
            continue;
        }
        if (goes_on && line.data() != whole.data() && !has_own_key(line)) {
            continue_line(line, table.lines.back());
            continue;
        }
        TableLine result;
        result.line = number;
        result.column = static_cast<uint32_t>(line.data() - whole.data() + 1);
        result.error = check_line(line);
        if (result.error.empty() && !is_mapping)
            is_mapping = end_of_key(line, form) < line.size();
        if (result.error.empty() && *is_mapping)
            split_pair(line, form, result);
        else
            result.key = line;
        goes_on = result.error.empty() && *is_mapping && form == TableForm::blanks_or_colon &&
                  is_alias(whole);
        table.lines.push_back(std::move(result));
    }
    table.is_mapping = is_mapping.value_or(false);
    for (TableLine& line : table.lines)
        if (table.is_mapping && line.error.empty() && line.value.empty())
            line.error = "expected a value behind the key: this table is a mapping";
    return table;
}

} // namespace postern::config
