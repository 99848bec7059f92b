#include "common/base/utf8.h"

#include <algorithm>
#include <array>

namespace postern {

namespace {

bool continues(char c) { return (static_cast<unsigned char>(c) & 0xc0) == 0x80; }

struct Range {
    char32_t first;
    char32_t last;
};

// Of the Unicode categories Cf, Zl, Zp, Co and Cn what is not shown, or changes how the rest is.
constexpr auto hidden = std::to_array<Range>({
    {0x0000, 0x001f},                        // C0
    {0x007f, 0x009f},                        // DEL, C1
    {0x00ad, 0x00ad},                        // soft hyphen
    {0x034f, 0x034f},                        // combining grapheme joiner
    {0x0600, 0x0605},                        // Arabic number signs
    {0x061c, 0x061c},                        // Arabic letter mark
    {0x06dd, 0x06dd},                        // Arabic end of Ayah
    {0x070f, 0x070f},                        // Syriac abbreviation mark
    {0x115f, 0x1160},                        // Hangul fillers
    {0x17b4, 0x17b5},                        // Khmer inherent vowels
    {0x180b, 0x180f},                        // Mongolian variation selectors, vowel separator
    {0x200b, 0x200f},                        // zero width, direction marks
    {0x2028, 0x202e},                        // separators, embeddings and overrides of direction
    {0x2060, 0x206f},                        // word joiner, isolates of direction
    {0x3164, 0x3164},                        // Hangul filler
    {0xe000, 0xf8ff},                        // private
    {0xfdd0, 0xfdef},                        // non-characters
    {0xfe00, 0xfe0f},                        // variation selectors
    {0xfeff, 0xfeff},                        // byte order mark
    {0xffa0, 0xffa0},                        // halfwidth Hangul filler
    {0xfff0, 0xfffb},                        // specials: annotations, unassigned
    {0xfffe, 0xffff},                        // non-characters
    {0x110bd, 0x110bd},                      // Kaithi number signs
    {0x110cd, 0x110cd},  {0x13430, 0x1343f}, // Egyptian format controls
    {0x1bca0, 0x1bca3},                      // shorthand format controls
    {0x1d173, 0x1d17a},                      // musical format controls
    {0xe0000, 0x10ffff},                     // tags, variation selectors, private
});

} // namespace

Utf8Character first_character(std::string_view text) {
    if (text.empty())
        return {};
    const auto lead = static_cast<unsigned char>(text[0]);
    if (lead < 0x80)
        return {lead, 1};
    const std::size_t length = lead < 0xc2   ? 0
                               : lead < 0xe0 ? 2
                               : lead < 0xf0 ? 3
                               : lead < 0xf5 ? 4
                                             : 0;
    if (length == 0 || text.size() < length)
        return {};
    char32_t code = lead & (0x7fu >> length);
    for (std::size_t i = 1; i < length; ++i) {
        if (!continues(text[i]))
            return {};
        code = code << 6 | (static_cast<unsigned char>(text[i]) & 0x3fu);
    }
    const char32_t least = length == 2 ? 0x80 : length == 3 ? 0x800 : 0x10000;
    if (code < least || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff))
        return {};
    return {code, length};
}

bool is_ascii(std::string_view text) {
    return std::all_of(text.begin(), text.end(),
                       [](char c) { return static_cast<unsigned char>(c) < 0x80; });
}

bool is_utf8(std::string_view text) {
    while (!text.empty()) {
        const std::size_t length = first_character(text).length;
        if (length == 0)
            return false;
        text.remove_prefix(length);
    }
    return true;
}

bool is_displayable(char32_t code) {
    const auto range = std::find_if(hidden.begin(), hidden.end(),
                                    [&](const Range& one) { return code <= one.last; });
    // The last two of each plane are non-characters.
    return (range == hidden.end() || code < range->first) && (code & 0xfffe) != 0xfffe;
}

void take_displayable(std::string_view& text, std::string& out) {
    const Utf8Character character = first_character(text);
    const std::size_t length = std::max<std::size_t>(character.length, 1);
    if (character.length != 0 && is_displayable(character.code))
        out += text.substr(0, length);
    else
        out.append(length, '?');
    text.remove_prefix(length);
}

void take_escaped(std::string_view& text, std::string& out) {
    static constexpr char hex[] = "0123456789abcdef";
    const Utf8Character character = first_character(text);
    const std::string_view octets = text.substr(0, std::max<std::size_t>(character.length, 1));
    text.remove_prefix(octets.size());
    if (character.length != 0 && is_displayable(character.code)) {
        out += octets;
        return;
    }
    for (char c : octets) {
        out += "\\x";
        out += hex[static_cast<unsigned char>(c) >> 4];
        out += hex[static_cast<unsigned char>(c) & 15];
    }
}

std::string_view cut_utf8(std::string_view text, std::size_t limit) {
    if (text.size() <= limit)
        return text;
    std::size_t end = limit;
    // No more than three octets continue a character: what goes on longer is none.
    for (int i = 0; i < 3 && end > 0 && continues(text[end]); ++i)
        --end;
    return text.substr(0, end > 0 && !continues(text[end]) ? end : limit);
}

} // namespace postern
