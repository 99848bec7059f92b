#include "common/smtp/utf8_address.h"

#include "common/base/utf8.h"

#include <algorithm>

namespace postern {

namespace {

constexpr char32_t replacement_character = 0xfffd;
constexpr std::size_t longest_number = 6;

// QCHAR.
bool is_plain(char32_t code) {
    return code > ' ' && code < 0x7f && code != '+' && code != '=' && code != '\\';
}

void append_embedded(std::string& out, char32_t code) {
    static constexpr char hex[] = "0123456789ABCDEF";
    std::string digits;
    for (; code != 0 || digits.size() < 2; code >>= 4)
        digits += hex[code & 15];
    out += "\\x{";
    out.append(digits.rbegin(), digits.rend());
    out += '}';
}

std::string encode(std::string_view mailbox, bool keep_non_ascii) {
    std::string out;
    while (!mailbox.empty()) {
        const Utf8Character character = first_character(mailbox);
        const std::size_t length = std::max<std::size_t>(character.length, 1);
        if (is_plain(character.code) || (keep_non_ascii && character.length > 1))
            out += mailbox.substr(0, length);
        else
            append_embedded(out, character.length != 0 ? character.code : replacement_character);
        mailbox.remove_prefix(length);
    }
    return out;
}

std::optional<unsigned> hex_digit(char c) {
    if (c >= '0' && c <= '9')
        return static_cast<unsigned>(c - '0');
    // RFC 5234 2.3: letters in ABNF are of either case.
    if ((c >= 'A' && c <= 'F') || (c >= 'a' && c <= 'f'))
        return static_cast<unsigned>((c & 0xdf) - 'A' + 10);
    return std::nullopt;
}

void append_utf8(std::string& out, char32_t code) {
    const auto add = [&out](char32_t octet) { out += static_cast<char>(octet); };
    if (code < 0x80)
        return add(code);
    if (code < 0x800) {
        add(0xc0 | code >> 6);
    } else if (code < 0x10000) {
        add(0xe0 | code >> 12);
        add(0x80 | (code >> 6 & 0x3f));
    } else {
        add(0xf0 | code >> 18);
        add(0x80 | (code >> 12 & 0x3f));
        add(0x80 | (code >> 6 & 0x3f));
    }
    add(0x80 | (code & 0x3f));
}

// EmbeddedUnicodeChar at the front of `text`, which is taken off. It stands for what cannot stand
// for itself only, and has no digits to spare.
bool take_embedded(std::string_view& text, std::string& out) {
    if (!text.starts_with("\\x{"))
        return false;
    const std::size_t end = text.find('}');
    if (end == std::string_view::npos)
        return false;
    const std::string_view digits = text.substr(3, end - 3);
    if (digits.size() < 2 || digits.size() > longest_number ||
        (digits.size() > 2 && digits.front() == '0'))
        return false;
    char32_t code = 0;
    for (char c : digits) {
        const auto digit = hex_digit(c);
        if (!digit)
            return false;
        code = code << 4 | *digit;
    }
    if (is_plain(code) || is_control(code))
        return false;
    std::string character;
    append_utf8(character, code);
    if (!is_utf8(character)) // a surrogate, or beyond the last
        return false;
    out += character;
    text.remove_prefix(end + 1);
    return true;
}

} // namespace

std::string to_utf8_addr_xtext(std::string_view mailbox) { return encode(mailbox, false); }

std::string to_utf8_addr_unitext(std::string_view mailbox) { return encode(mailbox, true); }

std::optional<std::string> parse_utf8_addr(std::string_view text) {
    std::string out;
    if (text.empty())
        return std::nullopt;
    while (!text.empty()) {
        if (take_embedded(text, out))
            continue;
        const Utf8Character character = first_character(text);
        if (!is_plain(character.code) && (character.length < 2 || is_control(character.code)))
            return std::nullopt;
        out += text.substr(0, character.length);
        text.remove_prefix(character.length);
    }
    return out;
}

std::string typed_address(std::string_view mailbox, bool smtp_utf8) {
    if (is_ascii(mailbox))
        return "rfc822; " + std::string(mailbox);
    return "utf-8; " + (smtp_utf8 ? std::string(mailbox) : to_utf8_addr_xtext(mailbox));
}

} // namespace postern
