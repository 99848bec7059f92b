#include "common/smtp/text.h"

#include <gtest/gtest.h>

#include <vector>

namespace postern {
namespace {

TEST(Text, Trim) {
    static constexpr struct {
        std::string_view text, trimmed;
    } cases[] = {
        {"", ""},         {" ", ""},      {" \t ", ""},    {"a", "a"},
        {" a b ", "a b"}, {"\ta\t", "a"}, {" a\n", "a\n"}, {" \r a", "\r a"},
    };
    for (const auto& [text, trimmed] : cases)
        EXPECT_EQ(trim(text), trimmed) << '"' << text << '"';
    EXPECT_EQ(trim(" \r a\n", " \r\n"), "a");
}

TEST(Text, Lines) {
    static const struct {
        std::string_view text;
        std::vector<std::string_view> lines;
    } cases[] = {
        {"", {}},
        {"\n", {""}},
        {"one", {"one"}},
        {"one\n", {"one"}},
        {"one\r\n\ntwo", {"one\r", "", "two"}},
    };
    for (const auto& one : cases) {
        std::string_view rest = one.text;
        std::vector<std::string_view> lines;
        while (!rest.empty())
            lines.push_back(take_line(rest));
        EXPECT_EQ(lines, one.lines) << one.text;
    }
}

TEST(Text, Items) {
    std::vector<std::string_view> items;
    for_each_item(" a,b c\t, ,", [&](std::string_view item) { items.push_back(item); });
    EXPECT_EQ(items, (std::vector<std::string_view>{"a", "b c", "", ""}));
}

} // namespace
} // namespace postern
