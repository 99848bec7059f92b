// Makes text that a peer sent fit for a log line, a reply or a report, compares it, and takes it
// apart. Pure; never fails.
#pragma once

#include "common/base/utf8.h"

#include <cstddef>
#include <string>
#include <string_view>

namespace postern {

// Appends `text` with every control and every non-ASCII octet as \xNN and a backslash doubled, so
// that the result is one line of printable US-ASCII and can be read back without doubt. After
// `limit` octets of output it is cut off and "..." appended.
inline void append_sanitized(std::string& out, std::string_view text,
                             std::size_t limit = std::string::npos) {
    static constexpr char hex[] = "0123456789abcdef";
    std::size_t written = 0;
    for (char c : text) {
        const auto octet = static_cast<unsigned char>(c);
        const bool plain = octet >= 0x20 && octet < 0x7f && c != '\\';
        const std::size_t length = plain ? 1 : c == '\\' ? 2 : 4;
        if (length > limit - written) {
            out += "...";
            return;
        }
        written += length;
        if (plain) {
            out += c;
        } else if (c == '\\') {
            out += "\\\\";
        } else {
            out += "\\x";
            out += hex[octet >> 4];
            out += hex[octet & 15];
        }
    }
}

inline std::string sanitize(std::string_view text, std::size_t limit = std::string::npos) {
    std::string out;
    out.reserve(text.size());
    append_sanitized(out, text, limit);
    return out;
}

// For people: the same, but UTF-8 that is safe to show (utf8.h) stays as it is. `limit` counts
// octets of the input.
inline std::string legible(std::string_view text, std::size_t limit = std::string::npos) {
    std::string out;
    std::string_view rest = cut_utf8(text, limit);
    const bool cut = rest.size() < text.size();
    while (!rest.empty()) {
        if (rest.front() == '\\')
            out += '\\';
        take_escaped(rest, out);
    }
    return cut ? out + "..." : out;
}

// US-ASCII case, whatever the locale.
constexpr char ascii_lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }
constexpr char ascii_upper(char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c; }
inline std::string ascii_lower(std::string_view text) {
    std::string result(text);
    for (char& c : result)
        c = ascii_lower(c);
    return result;
}
constexpr bool is_ascii_digit(char c) { return c >= '0' && c <= '9'; }
constexpr bool is_ascii_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

constexpr bool equal_ignoring_case(std::string_view a, std::string_view b) {
    if (a.size() != b.size())
        return false;
    for (std::size_t i = 0; i < a.size(); ++i)
        if (ascii_lower(a[i]) != ascii_lower(b[i]))
            return false;
    return true;
}

// Without the blanks around it.
constexpr std::string_view trim(std::string_view text, std::string_view blanks = " \t") {
    const std::size_t first = text.find_first_not_of(blanks);
    if (first == std::string_view::npos)
        return {};
    return text.substr(first, text.find_last_not_of(blanks) - first + 1);
}

// Takes a line off the text, which ends in LF, or with the text. Returns it without the LF.
constexpr std::string_view take_line(std::string_view& text) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(line.size() + (line.size() < text.size() ? 1 : 0));
    return line;
}

// Calls back with each item of "a, b,c", without the blanks around it.
template <class F> void for_each_item(std::string_view list, F f) {
    for (;;) {
        const std::size_t comma = list.find(',');
        f(trim(list.substr(0, comma)));
        if (comma == std::string_view::npos)
            return;
        list.remove_prefix(comma + 1);
    }
}

} // namespace postern
