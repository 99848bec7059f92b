// The header section of messages, well-formed and not.
#include "common/mail/header.h"

#include <gtest/gtest.h>
#include <vector>

namespace postern {
namespace {

struct Field {
    std::string name;
    std::string value; // unfolded
    bool operator==(const Field&) const = default;
};

void PrintTo(const Field& field, std::ostream* out) { *out << field.name << '=' << field.value; }

std::vector<Field> fields_of(std::string_view content) {
    HeaderScanner scanner(content);
    std::vector<Field> fields;
    std::string raw;
    while (const auto field = scanner.next()) {
        fields.push_back({std::string(field->name), unfold(field->value)});
        raw += field->raw;
    }
    EXPECT_EQ(raw, content.substr(0, scanner.position())) << "fields make up the section";
    EXPECT_FALSE(scanner.next()) << "the end stays the end";
    return fields;
}

TEST(Header, Fields) {
    EXPECT_EQ(
        fields_of("From: a@b\r\nSubject: one\r\n two\r\n\tthree\r\nX-Empty:\r\nX-Blank: \r\n"
                  "\r\nNot: a field\r\n"),
        (std::vector<Field>{
            {"From", "a@b"}, {"Subject", "one two\tthree"}, {"X-Empty", ""}, {"X-Blank", ""}}));
    EXPECT_EQ(fields_of("A:b\r\n"), (std::vector<Field>{{"A", "b"}}));
    EXPECT_EQ(fields_of("A : b\r\n"), (std::vector<Field>{{"A", "b"}}));
    EXPECT_EQ(fields_of("A: b: c\r\n"), (std::vector<Field>{{"A", "b: c"}}));
    EXPECT_EQ(fields_of("A: b"), (std::vector<Field>{{"A", "b"}})) << "cut short";
    EXPECT_EQ(fields_of("A: b\r\n c"), (std::vector<Field>{{"A", "b c"}}));
    EXPECT_EQ(fields_of("A: b\r\n \r\nB: c\r\n\r\n"), (std::vector<Field>{{"A", "b"}, {"B", "c"}}));
}

TEST(Header, RawAndValue) {
    HeaderScanner scanner("A: b\r\n c\r\nB:d");
    const auto first = scanner.next();
    ASSERT_TRUE(first);
    EXPECT_EQ(first->raw, "A: b\r\n c\r\n");
    EXPECT_EQ(first->value, " b\r\n c");
    const auto second = scanner.next();
    ASSERT_TRUE(second);
    EXPECT_EQ(second->raw, "B:d");
    EXPECT_EQ(second->value, "d");
}

TEST(Header, WhatIsNoFieldEndsTheSection) {
    const std::vector<Field> one{{"A", "b"}};
    for (const char* rest :
         {"", "\r\n", "\r\nB: c\r\n", "no field\r\nB: c\r\n", ": empty name\r\n",
          "From someone Mon Nov 23\r\nB: c\r\n", "B\xc3\xa9: c\r\n", "B c: d\r\n", "B\x01: c\r\n"})
        EXPECT_EQ(fields_of(std::string("A: b\r\n") + rest), one) << rest;
    EXPECT_TRUE(fields_of("").empty());
    EXPECT_TRUE(fields_of("\r\n").empty());
    EXPECT_TRUE(fields_of(" continuation of nothing\r\nA: b\r\n").empty());
    EXPECT_TRUE(fields_of("body only").empty());
}

TEST(Header, BareLineEndsAreContent) {
    EXPECT_EQ(fields_of("A: b\nB: c\r\n\r\n"), (std::vector<Field>{{"A", "b\nB: c"}}));
    EXPECT_EQ(fields_of("A: b\rB: c\r\n\r\n"), (std::vector<Field>{{"A", "b\rB: c"}}));
}

TEST(Header, Truncation) {
    const auto truncated = [](std::string_view content, std::size_t limit = 1000) {
        HeaderScanner scanner(content, limit);
        while (scanner.next()) {
        }
        return scanner.truncated();
    };
    EXPECT_FALSE(truncated("A: b\r\n\r\nbody"));
    EXPECT_FALSE(truncated("A: b\r\nno field\r\n"));
    EXPECT_TRUE(truncated("A: b\r\n"));
    EXPECT_TRUE(truncated("A: b"));
    EXPECT_TRUE(truncated("A: b\r\nSubj"));
    EXPECT_TRUE(truncated("A: b\r\n\r\n", 6));
    EXPECT_FALSE(truncated("A: b\r\n\r\n", 8));
}

TEST(Header, LimitBoundsTheWork) {
    std::string content;
    for (int i = 0; i < 10000; ++i)
        content += "A: b\r\n";
    HeaderScanner scanner(content, 60);
    int count = 0;
    while (scanner.next())
        ++count;
    EXPECT_EQ(count, 10);
    EXPECT_TRUE(scanner.truncated());
}

TEST(Header, Counting) {
    std::string content = "Received: a\r\n\tb\r\nRECEIVED: c\r\nreceived : d\r\nX-Received: e\r\n"
                          "Received-SPF: f\r\nSubject: Received: g\r\n Received: h\r\n"
                          "\r\nReceived: in the body\r\n";
    EXPECT_EQ(count_fields(content, "Received"), 3u);
    EXPECT_EQ(count_fields("", "Received"), 0u);
    EXPECT_EQ(header_section(content), content.substr(0, content.find("\r\n\r\n") + 2));
    EXPECT_EQ(unfold(find_field(content, "subject")->value), "Received: g Received: h");
    EXPECT_FALSE(find_field(content, "To"));
}

TEST(Header, Unfolding) {
    EXPECT_EQ(unfold(""), "");
    EXPECT_EQ(unfold(" \t "), "");
    EXPECT_EQ(unfold(" a\r\n b \r\n\tc "), "a b \tc");
    EXPECT_EQ(unfold("a\rb\nc"), "a\rb\nc");
    EXPECT_EQ(unfold("a\r"), "a\r");
}

} // namespace
} // namespace postern
