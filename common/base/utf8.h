// UTF-8 (RFC 3629), one character at a time, and which characters are safe to show. Pure.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace postern {

struct Utf8Character {
    char32_t code = 0;
    std::size_t length = 0; // octets; 0: what is there is no character
};

// The character that `text` begins with. None where there is an overlong form, a surrogate,
// anything above U+10FFFF, a part of a character, or nothing.
Utf8Character first_character(std::string_view text);

bool is_ascii(std::string_view text);

// Well-formed to the end; controls are well-formed too.
bool is_utf8(std::string_view text);

// C0, DEL and C1: no part of any name, and some terminals act on them.
constexpr bool is_control(char32_t code) { return code < 0x20 || (code >= 0x7f && code <= 0x9f); }

// Whether the character leaves the line that it stands in as it is for the reader: no control, line
// or paragraph separator, change of direction, invisible character, private or non-character.
bool is_displayable(char32_t code);

// The character at the front of `text` as it may be shown: itself if it is safe, else each of its
// octets as '?'. Takes it off.
void take_displayable(std::string_view& text, std::string& out);

// The same, but what is not safe as \xNN, octet by octet.
void take_escaped(std::string_view& text, std::string& out);

// At most `limit` octets of `text`, no part of a character at the end.
std::string_view cut_utf8(std::string_view text, std::size_t limit);

} // namespace postern
