#include "deliver/local/helper/mbox_text.h"

#include <gtest/gtest.h>

namespace postern {
namespace {

TEST(MboxText, TheFromLine) {
    struct {
        const char* sender;
        int64_t seconds;
        const char* expected;
    } const cases[] = {
        {"a@b.test", 0, "From a@b.test Thu Jan  1 00:00:00 1970\n"},
        {"", 1795673155, "From MAILER-DAEMON Thu Nov 26 06:05:55 2026\n"},
        {"\"x y\"@b.test", 0, "From \"x-y\"@b.test Thu Jan  1 00:00:00 1970\n"},
        {"a\nFrom b", 0, "From a-From-b Thu Jan  1 00:00:00 1970\n"},
        {"a@b.test", INT64_MAX, "From a@b.test Thu Jan  1 00:00:00 1970\n"},
        {"a@b.test", 253402300800, "From a@b.test Thu Jan  1 00:00:00 1970\n"}, // year 10000
    };
    for (const auto& c : cases)
        EXPECT_EQ(mbox_from_line(c.sender, c.seconds), c.expected) << c.sender;
}

// The form mboxrd: what a reader that takes one '>' away gets is what was sent.
TEST(MboxText, LinesThatLookLikeFromAreQuoted) {
    struct {
        const char* in;
        const char* out;
    } const cases[] = {
        {"", ""},
        {"From \n", ">From \n"},
        {"From a\nFrom b\n", ">From a\n>From b\n"},
        {">From a\n", ">>From a\n"},
        {">>>From a\n", ">>>>From a\n"},
        {"From: a\n", "From: a\n"},
        {"Fro\nm \n", "Fro\nm \n"},
        {"from a\n", "from a\n"},
        {" From a\n", " From a\n"},
        {"> From a\n", "> From a\n"},
        {"x From a\n", "x From a\n"},
        {">>>\n>\n\nFrom", ">>>\n>\n\nFrom"},
        {">F>From a\n", ">F>From a\n"},
        {"\n\nFrom me\n\n", "\n\n>From me\n\n"},
        {"FFrom a\n", "FFrom a\n"},
    };
    for (const auto& c : cases) {
        const std::string_view text = c.in;
        // Cut anywhere, it is the same.
        for (size_t cut = 0; cut <= text.size(); ++cut) {
            std::string out;
            MboxQuoting quoting;
            quoting.convert(text.substr(0, cut), out);
            quoting.convert(text.substr(cut), out);
            quoting.finish(out);
            EXPECT_EQ(out, c.out) << "cut at " << cut;
        }
        std::string out;
        MboxQuoting quoting;
        for (char one : text)
            quoting.convert(std::string_view(&one, 1), out);
        quoting.finish(out);
        EXPECT_EQ(out, c.out) << "octet by octet";
    }
}

TEST(MboxText, TheNextMessageBeginsBehindAnEmptyLine) {
    EXPECT_EQ(mbox_separator(""), "");
    EXPECT_EQ(mbox_separator("\n\n"), "");
    EXPECT_EQ(mbox_separator("x\n"), "\n");
    EXPECT_EQ(mbox_separator("\n"), "\n");
    EXPECT_EQ(mbox_separator("xy"), "\n\n");
    EXPECT_EQ(mbox_separator("\nx"), "\n\n");
}

} // namespace
} // namespace postern
