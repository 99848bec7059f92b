// Bare CR and LF become CRLF, however the content comes, and what is known of it is known of the
// result.
#include "common/smtp/line_ends.h"

#include <gtest/gtest.h>
#include <vector>

namespace postern {
namespace {

using namespace std::string_literals;

struct Case {
    std::string input;
    std::string output;
    bool leading_dot = false;
};

const Case cases[] = {
    {"", ""},
    {"text\r\n", "text\r\n"},
    {"text\n", "text\r\n"},
    {"text\r", "text\r\n"},
    {"a\nb\r\nc\rd", "a\r\nb\r\nc\r\nd"},
    {"\n", "\r\n"},
    {"\r", "\r\n"},
    {"\n\n", "\r\n\r\n"},
    {"\r\r", "\r\n\r\n"},
    {"\r\r\n", "\r\n\r\n"},
    {"\n\r", "\r\n\r\n"},
    {"\r\n\n", "\r\n\r\n"},
    {"\r\n\r\n\n\r\r", "\r\n\r\n\r\n\r\n\r\n"},
    {"a\0\n\xff"s, "a\0\r\n\xff"s},
    // What becomes a line of its own here has to be dot-stuffed when it is sent on.
    {"a\n.\nb\r\n", "a\r\n.\r\nb\r\n", true},
    {"a\r.\rb\r\n", "a\r\n.\r\nb\r\n", true},
    {"a\n.\r\nb\r\n", "a\r\n.\r\nb\r\n", true},
    {".\n", ".\r\n", true},
    {"a.\n", "a.\r\n"},
};

// All ways to cut it in up to three pieces; one octet at a time besides.
std::vector<std::vector<std::string_view>> cuts(std::string_view text) {
    std::vector<std::vector<std::string_view>> all;
    for (size_t i = 0; i <= text.size(); ++i)
        for (size_t j = i; j <= text.size(); ++j)
            all.push_back({text.substr(0, i), text.substr(i, j - i), text.substr(j)});
    std::vector<std::string_view>& octets = all.emplace_back();
    for (size_t i = 0; i < text.size(); ++i)
        octets.push_back(text.substr(i, 1));
    return all;
}

TEST(LineEnds, BareOnesBecomeCrlfHoweverCut) {
    for (const Case& c : cases)
        for (const auto& pieces : cuts(c.input)) {
            NormalisedContent content((ContentFacts::Options()));
            std::string out;
            for (std::string_view piece : pieces)
                content.pass(piece, [&out](std::string_view part) {
                    EXPECT_FALSE(part.empty());
                    out += part;
                });
            EXPECT_EQ(out, c.output) << testing::PrintToString(c.input);
            const ContentFacts& facts = content.facts();
            EXPECT_FALSE(facts.has_bare_cr() || facts.has_bare_lf());
            EXPECT_EQ(facts.has_leading_dot(), c.leading_dot) << testing::PrintToString(c.input);
            EXPECT_EQ(facts.size(), c.output.size());
        }
}

// Every content of these octets: the slow way says what it must be, and sent on by DATA it comes
// back the same.
TEST(LineEnds, AllShortContentsLeaveAsTheyAre) {
    constexpr std::string_view octets = "\r\n.x";
    for (size_t length = 0; length <= 6; ++length) {
        size_t count = 1;
        for (size_t i = 0; i < length; ++i)
            count *= octets.size();
        for (size_t number = 0; number < count; ++number) {
            std::string input;
            for (size_t i = 0, rest = number; i < length; ++i, rest /= octets.size())
                input += octets[rest % octets.size()];
            std::string expected;
            for (size_t i = 0; i < input.size(); ++i) {
                if (input[i] == '\n' && i > 0 && input[i - 1] == '\r')
                    continue;
                if (input[i] == '\r' || input[i] == '\n')
                    expected += "\r\n";
                else
                    expected += input[i];
            }
            NormalisedContent content((ContentFacts::Options()));
            std::string out;
            const auto append = [&out](std::string_view part) { out += part; };
            content.pass(input, append);
            ASSERT_EQ(out, expected) << testing::PrintToString(input);
            content.finish(append);
            ASSERT_TRUE(out.empty() || out.ends_with("\r\n"));
            std::string read_back;
            DataDecoder decoder;
            const std::string sent =
                content.facts().has_leading_dot() ? dot_stuff(out) : out + ".\r\n";
            ASSERT_EQ(decoder.decode(sent, read_back), sent.size())
                << testing::PrintToString(input);
            ASSERT_TRUE(decoder.complete());
            ASSERT_EQ(read_back, out) << testing::PrintToString(input);
        }
    }
}

TEST(LineEnds, TheLimitsAreThoseOfTheResult) {
    ContentFacts::Options options;
    options.max_size = 10;
    options.max_line = 6;
    NormalisedContent content(options);
    std::string out;
    const auto append = [&out](std::string_view part) { out += part; };
    content.pass("a\nb\nc\n", append); // nine octets
    EXPECT_FALSE(content.facts().too_big());
    content.pass("\n", append);
    EXPECT_TRUE(content.facts().too_big());
    EXPECT_EQ(out.size(), 9u);
    EXPECT_FALSE(content.facts().line_too_long());
    content.pass("1234\n12345\n", append);
    EXPECT_TRUE(content.facts().line_too_long());
}

} // namespace
} // namespace postern
