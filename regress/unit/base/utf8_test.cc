// What is UTF-8, and what of it may be shown.
#include "common/base/utf8.h"

#include <gtest/gtest.h>

namespace postern {
namespace {

// RFC 3629 4, table UTF8-octets, at the edges of each row.
TEST(Utf8, WhatIsACharacter) {
    struct Row {
        std::string text;
        char32_t code;
        std::size_t length;
    };
    const Row rows[] = {
        {"", 0, 0},
        {std::string(1, '\0'), 0, 1},
        {"a", 'a', 1},
        {"\x7f", 0x7f, 1},
        {"\x80", 0, 0},
        {"\xbf", 0, 0},
        {"\xc0\x80", 0, 0}, // overlong
        {"\xc1\xbf", 0, 0},
        {"\xc2\x80", 0x80, 2},
        {"\xdf\xbf", 0x7ff, 2},
        {"\xc3", 0, 0},
        {"\xc3\x28", 0, 0},
        {"\xc3\xc3", 0, 0},
        {"\xc3\xbc\xbc", 0xfc, 2},
        {"\xe0\x80\x80", 0, 0}, // overlong
        {"\xe0\x9f\xbf", 0, 0},
        {"\xe0\xa0\x80", 0x800, 3},
        {"\xe2\x82", 0, 0},
        {"\xe2\x82\xac", 0x20ac, 3},
        {"\xed\x9f\xbf", 0xd7ff, 3},
        {"\xed\xa0\x80", 0, 0}, // surrogates
        {"\xed\xbf\xbf", 0, 0},
        {"\xee\x80\x80", 0xe000, 3},
        {"\xef\xbf\xbf", 0xffff, 3},
        {"\xf0\x80\x80\x80", 0, 0}, // overlong
        {"\xf0\x8f\xbf\xbf", 0, 0},
        {"\xf0\x90\x80\x80", 0x10000, 4},
        {"\xf0\x9f\x93", 0, 0},
        {"\xf0\x9f\x93\xac", 0x1f4ec, 4},
        {"\xf4\x8f\xbf\xbf", 0x10ffff, 4},
        {"\xf4\x90\x80\x80", 0, 0}, // beyond the last
        {"\xf5\x80\x80\x80", 0, 0},
        {"\xf8\x88\x80\x80\x80", 0, 0},
        {"\xfe", 0, 0},
        {"\xff", 0, 0},
    };
    for (const Row& row : rows) {
        SCOPED_TRACE(testing::PrintToString(row.text));
        const Utf8Character character = first_character(row.text);
        EXPECT_EQ(character.length, row.length);
        EXPECT_EQ(character.code, row.code);
        EXPECT_EQ(is_utf8(row.text), row.length == row.text.size());
    }
    EXPECT_TRUE(is_utf8("b\u00fccher"));
    EXPECT_FALSE(is_utf8("b\xfc"
                         "cher"));
    EXPECT_TRUE(is_ascii("bucher\x7f"));
    EXPECT_FALSE(is_ascii("b\u00fccher"));
}

TEST(Utf8, WhatMayBeShown) {
    for (char32_t code : {U' ', U'~', U'\u00a1', U'\u00fc', U'\u0301', U'\u05d0', U'\u3042',
                          U'\uac00', U'\ufffd', U'\U0001f4ec', U'\U00020000'})
        EXPECT_TRUE(is_displayable(code)) << std::hex << static_cast<uint32_t>(code);
    for (char32_t code : {0x00,   0x0a,   0x1b,    0x1f,    0x7f,    0x80,    0x85,    0x9f,
                          0xad,   0x61c,  0x200b,  0x200d,  0x200e,  0x2028,  0x2029,  0x202a,
                          0x202e, 0x2060, 0x2066,  0x2069,  0xe000,  0xfdd0,  0xfeff,  0xfff9,
                          0xfffe, 0xffff, 0x1fffe, 0x2ffff, 0xe0001, 0xe007f, 0xf0000, 0x10ffff})
        EXPECT_FALSE(is_displayable(code)) << std::hex << static_cast<uint32_t>(code);
    std::string shown;
    for (std::string_view text = "a\u00fc\u202e\xc3"
                                 "b\n";
         !text.empty();)
        take_displayable(text, shown);
    EXPECT_EQ(shown, "a\u00fc????b?");
    shown.clear();
    for (std::string_view text = "a\u00fc\u202e\xc3"
                                 "b\n\\";
         !text.empty();)
        take_escaped(text, shown);
    EXPECT_EQ(shown, "a\u00fc\\xe2\\x80\\xae\\xc3b\\x0a\\");
}

TEST(Utf8, IsCutBetweenCharacters) {
    const std::string text = "a\u00fc\u20ac\U0001f4ecz"; // 1 + 2 + 3 + 4 + 1
    const std::size_t ends[] = {0, 1, 1, 3, 3, 3, 6, 6, 6, 6, 10, 11, 11};
    for (std::size_t limit = 0; limit < std::size(ends); ++limit)
        EXPECT_EQ(cut_utf8(text, limit), text.substr(0, ends[limit])) << limit;
    // What is no UTF-8 is cut where the limit is.
    EXPECT_EQ(cut_utf8("\x80\x80\x80\x80\x80\x80", 5).size(), 5u);
    EXPECT_EQ(cut_utf8("\x80\x80\x80", 2).size(), 2u);
}

} // namespace
} // namespace postern
