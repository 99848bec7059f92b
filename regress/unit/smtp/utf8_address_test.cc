// Both forms of the address type "utf-8" (RFC 6533 3), there and back.
#include "common/smtp/utf8_address.h"

#include "common/base/utf8.h"

#include <gtest/gtest.h>

namespace postern {
namespace {

using namespace std::string_literals; // for strings with a NUL inside

TEST(Utf8Address, ThereAndBack) {
    struct Row {
        std::string mailbox;
        std::string xtext;
        std::string unitext;
    };
    const Row rows[] = {
        {"user@example.com", "user@example.com", "user@example.com"},
        {"a!#$%&'*-/?^_`{|}~@x", "a!#$%&'*-/?^_`{|}~@x", "a!#$%&'*-/?^_`{|}~@x"},
        {"user+tag=x@example.com", "user\\x{2B}tag\\x{3D}x@example.com",
         "user\\x{2B}tag\\x{3D}x@example.com"},
        {"\"a b\\\\\"@x", "\"a\\x{20}b\\x{5C}\\x{5C}\"@x", "\"a\\x{20}b\\x{5C}\\x{5C}\"@x"},
        {"j\u00fcrgen@x", "j\\x{FC}rgen@x", "j\u00fcrgen@x"},
        {"\u0430@x", "\\x{430}@x", "\u0430@x"},
        {"\u4e2d@x", "\\x{4E2D}@x", "\u4e2d@x"},
        {"\ud7ff\ue000@x", "\\x{D7FF}\\x{E000}@x", "\ud7ff\ue000@x"},
        {"\U0001f4ec@x", "\\x{1F4EC}@x", "\U0001f4ec@x"},
        {"\U0010ffff@x", "\\x{10FFFF}@x", "\U0010ffff@x"},
        {"\u00fc+\u00fc@x", "\\x{FC}\\x{2B}\\x{FC}@x", "\u00fc\\x{2B}\u00fc@x"},
    };
    for (const Row& row : rows) {
        SCOPED_TRACE(row.mailbox);
        EXPECT_EQ(to_utf8_addr_xtext(row.mailbox), row.xtext);
        EXPECT_TRUE(is_ascii(row.xtext));
        EXPECT_EQ(to_utf8_addr_unitext(row.mailbox), row.unitext);
        EXPECT_EQ(parse_utf8_addr(row.xtext), row.mailbox);
        EXPECT_EQ(parse_utf8_addr(row.unitext), row.mailbox);
    }
    EXPECT_EQ(to_utf8_addr_xtext("a\xfc\xc3@x"), "a\\x{FFFD}\\x{FFFD}@x");
    EXPECT_EQ(to_utf8_addr_unitext("a\xfc@x"), "a\\x{FFFD}@x");
    EXPECT_EQ(to_utf8_addr_xtext("a\0\n@x"s), "a\\x{00}\\x{0A}@x");
    EXPECT_EQ(parse_utf8_addr("\\x{fc}@x"), "\u00fc@x") << "hexadecimal digits in either case";
}

TEST(Utf8Address, WhatIsNeitherForm) {
    const std::string rows[] = {
        "",
        "a b@x",
        "a+2B@x", // xtext of RFC 3461: not of this type
        "a=b@x",
        "a\\b@x",
        "a\\x{}@x",
        "a\\x{F@x",
        "a\\x{FC",
        "a\\x{F}@x",
        "a\\x{0FC}@x",
        "a\\x{0000FC}@x",
        "a\\x{1000000}@x",
        "a\\x{110000}@x",
        "a\\x{D800}@x",
        "a\\x{DFFF}@x",
        "a\\x{61}@x", // a letter stands for itself
        "a\\x{40}x",
        "a\\x{00}@x",
        "a\\x{0A}@x",
        "a\\x{0D}\\x{0A}@x",
        "a\\x{7F}@x",
        "a\\x{85}@x",
        "a\\x{G1}@x",
        "a\\x{-1}@x",
        "a\\x{ FC}@x",
        "a\\X{FC}@x",
        "a\\u{FC}@x",
        "a\n@x",
        "a\0@x"s,
        "a\x7f@x",
        "a\u0085@x",
        "a\xfc@x",
        "a\xed\xa0\x80@x",
        "a\xc3",
    };
    for (const std::string& row : rows)
        EXPECT_EQ(parse_utf8_addr(row), std::nullopt) << testing::PrintToString(row);
}

TEST(Utf8Address, WithItsType) {
    EXPECT_EQ(typed_address("\"a b\"@x.example", false), "rfc822; \"a b\"@x.example");
    EXPECT_EQ(typed_address("user+tag@x.example", true), "rfc822; user+tag@x.example");
    EXPECT_EQ(typed_address("j\u00fc+r@x.example", true), "utf-8; j\u00fc+r@x.example");
    EXPECT_EQ(typed_address("j\u00fc+r@x.example", false), "utf-8; j\\x{FC}\\x{2B}r@x.example");
}

} // namespace
} // namespace postern
