// Replies: as we write them, and as next hops send them, good and bad.
#include "common/smtp/limits.h"
#include "common/smtp/reply.h"

#include <gtest/gtest.h>
#include <random>

namespace postern {
namespace {

using namespace std::string_literals; // for strings with a NUL inside

using State = ReplyParser::State;

TEST(ReplyWriter, Examples) {
    EXPECT_EQ(to_wire(Reply(250, status::success, "Ok")), "250 2.0.0 Ok\r\n");
    EXPECT_EQ(to_wire(Reply(220, "mx.example ESMTP")), "220 mx.example ESMTP\r\n");
    EXPECT_EQ(to_wire(Reply(354, status::success, "Go on")), "354 Go on\r\n");
    EXPECT_EQ(to_wire(Reply(250, "mx.example\nPIPELINING\nSIZE 100")),
              "250-mx.example\r\n250-PIPELINING\r\n250 SIZE 100\r\n");
    EXPECT_EQ(to_wire(Reply(550, status::not_authorized, "a\nb")),
              "550-5.7.1 a\r\n550 5.7.1 b\r\n");
    EXPECT_EQ(to_wire(Reply(550, status::not_authorized, "")), "550 5.7.1\r\n");
    Reply utf8(250, status::recipient_valid, "<b\xc3\xb6@c.example>\xff\xc2\x85");
    EXPECT_EQ(to_wire(utf8), "250 2.1.5 <b??@c.example>???\r\n");
    utf8.utf8 = true;
    EXPECT_EQ(to_wire(utf8), "250 2.1.5 <b\xc3\xb6@c.example>???\r\n");
    EXPECT_EQ(to_wire(Reply(250, "")), "250 \r\n") << "4.2: the space is sent without text too";
    EXPECT_EQ(to_wire(Reply(250, "a\n")), "250-a\r\n250 \r\n");
    EXPECT_EQ(to_wire(Reply(250, "a\n\nb")), "250-a\r\n250-\r\n250 b\r\n");
    EXPECT_EQ(to_wire(Reply(250, "a\r\nb")), "250-a\r\n250 b\r\n");
}

TEST(ReplyWriter, ClassOfTheStatusIsThatOfTheCode) {
    EXPECT_EQ(to_wire(Reply(450, status::bad_mailbox, "x")), "450 4.1.1 x\r\n");
    EXPECT_EQ(to_wire(Reply(550, status::system_full, "x")), "550 5.3.1 x\r\n");
}

TEST(ReplyWriter, NothingUnprintableGetsOut) {
    EXPECT_EQ(to_wire(Reply(550, "a\rb\x01\x7f\xc3\xa9")), "550 a?b????\r\n");
    EXPECT_EQ(to_wire(Reply(550, "a\tb")), "550 a\tb\r\n");
}

TEST(ReplyWriter, LongTextIsWrapped) {
    std::string text;
    for (int i = 0; i < 300; ++i)
        text += (i > 0 ? " word" : "word") + std::to_string(i);
    for (const std::string& one : {text, std::string(3000, 'x')}) {
        for (EnhancedStatusCode code : {status::none, status::not_authorized}) {
            const std::string wire = to_wire(Reply(550, code, one));
            std::string_view rest = wire;
            std::string joined;
            while (!rest.empty()) {
                const std::size_t end = rest.find("\r\n");
                ASSERT_NE(end, std::string::npos);
                EXPECT_LE(end + 2, limits::reply_line);
                EXPECT_EQ(rest[3], end + 2 == rest.size() ? ' ' : '-');
                std::string_view line = rest.substr(4, end - 4);
                if (code.present()) {
                    EXPECT_EQ(line.substr(0, 6), "5.7.1 ");
                    line.remove_prefix(6);
                }
                joined += joined.empty() || one.find(' ') == std::string::npos ? "" : " ";
                joined += line;
                rest.remove_prefix(end + 2);
            }
            EXPECT_EQ(joined, one);
        }
    }
}

TEST(ReplyLine, ForLogs) {
    EXPECT_EQ(to_line(Reply(550, status::bad_mailbox, "No such user\nhere")),
              "550 5.1.1 No such user here");
    EXPECT_EQ(to_line(Reply(421, "")), "421");
    EXPECT_EQ(to_line(Reply(421, "a\r\x1b[31m")), "421 a??[31m");
    EXPECT_EQ(to_line(Reply(421, std::string(100, 'x')), 20), "421 xxxxxxxxxxxxx...");
}

struct Received {
    std::string wire;
    int code;
    std::string status;
    std::string text;
};

const Received good_replies[] = {
    {"250 Ok\r\n", 250, "", "Ok"},
    {"250 2.0.0 Ok\r\n", 250, "2.0.0", "Ok"},
    {"250 2.0.0\r\n", 250, "2.0.0", ""},
    {"250\r\n", 250, "", ""},
    {"250 \r\n", 250, "", ""},
    {"250-\r\n250\r\n", 250, "", "\n"},
    {"250\n", 250, "", ""},
    {"250 Ok\n", 250, "", "Ok"},
    {"250-a\n250 b\n", 250, "", "a\nb"},
    {"250-a\r\n250-b\r\n250 c\r\n", 250, "", "a\nb\nc"},
    {"250-a\r\n250\r\n", 250, "", "a\n"},
    {"250-2.1.0 a\r\n250 2.1.0 b\r\n", 250, "2.1.0", "a\nb"},
    {"550-5.7.1 a\r\n550 b\r\n", 550, "5.7.1", "a\nb"},
    {"550-a\r\n550 5.7.1 b\r\n", 550, "", "a\n5.7.1 b"},
    {"550-5.7.1 a\r\n550 5.7.2 b\r\n", 550, "5.7.1", "a\n5.7.2 b"},
    {"550 4.7.1 wrong class\r\n", 550, "", "4.7.1 wrong class"},
    {"550 5.7.1: no space\r\n", 550, "", "5.7.1: no space"},
    {"550 5.7.1000 x\r\n", 550, "", "5.7.1000 x"},
    {"550 5.07.1 x\r\n", 550, "", "5.07.1 x"},
    {"550 5..1 x\r\n", 550, "", "5..1 x"},
    {"550 5.1 x\r\n", 550, "", "5.1 x"},
    {"550 5.999.999 x\r\n", 550, "5.999.999", "x"},
    {"250 234 begins with digits\r\n", 250, "", "234 begins with digits"},
    {"250-234 begins with digits\r\n250 x\r\n", 250, "", "234 begins with digits\nx"},
    {"220  two spaces\r\n", 220, "", " two spaces"},
    {"299 x\r\n", 299, "", "x"},
    {"200 x\r\n", 200, "", "x"},
    {"599 x\r\n", 599, "", "x"},
    {"354 Go\r\n", 354, "", "Go"},
    {"550 a\tb\x1b[31m\x7f\xc3\xa9\r\n", 550, "", "a\\x09b\\x1b[31m\\x7f\\xc3\\xa9"},
    {"550 a\rb\r\n", 550, "", "a\\x0db"},
    {"550 a\r\r\n", 550, "", "a\\x0d"},
    {"550 C:\\mail\r\n", 550, "", "C:\\\\mail"},
    {"550 a\0b\r\n"s, 550, "", "a\\x00b"},
};

TEST(ReplyParser, GoodRepliesHoweverCut) {
    for (const Received& row : good_replies) {
        SCOPED_TRACE(testing::PrintToString(row.wire));
        const std::string wire = row.wire + "next";
        for (std::size_t cut = 0; cut <= row.wire.size(); ++cut) {
            ReplyParser parser;
            std::string_view first = std::string_view(wire).substr(0, cut);
            std::string_view second = std::string_view(wire).substr(cut);
            State state = parser.feed(first);
            EXPECT_TRUE(first.empty());
            if (state == State::need_more)
                state = parser.feed(second);
            ASSERT_EQ(state, State::complete) << parser.error();
            EXPECT_EQ(second, "next") << "the rest is left";
            const Reply reply = parser.take();
            EXPECT_EQ(reply.code, row.code);
            EXPECT_EQ(to_string(reply.status), row.status);
            EXPECT_EQ(reply.text, row.text);
            EXPECT_FALSE(parser.in_reply());
        }
        ReplyParser parser;
        State state = State::need_more;
        for (std::size_t i = 0; i < row.wire.size(); ++i) {
            ASSERT_EQ(state, State::need_more);
            std::string_view octet = std::string_view(row.wire).substr(i, 1);
            state = parser.feed(octet);
        }
        EXPECT_EQ(state, State::complete);
        EXPECT_EQ(parser.take().text, row.text);
    }
}

const std::string bad_replies[] = {
    "\r\n",
    "\n",
    "2\r\n",
    "25\r\n",
    "25x Ok\r\n",
    "xyz\r\n",
    "150 x\r\n",
    "650 x\r\n",
    "050 x\r\n",
    "999\r\n",
    "2500 x\r\n",
    "250x\r\n",
    "250_x\r\n",
    "250\tx\r\n",
    "250+x\r\n",
    " 250 x\r\n",
    "-250 x\r\n",
    "\xff\xfb\x01\r\n",
    "HTTP/1.1 400 Bad Request\r\n",
    "SSH-2.0-OpenSSH_9.2\r\n",
    "* OK IMAP4rev1\r\n",
    "+OK POP3\r\n",
    "\0\0\0\r\n"s,
    "\x15\x03\x01\x00\x02\x02\x0a"s, // a TLS alert: its last octet is LF
    "250-a\r\n\r\n",
    "250-a\r\n251 b\r\n",
    "250-a\r\n550 b\r\n",
    "250-a\r\n250-b\r\n354 c\r\n",
    "250-a\r\ngarbage\r\n",
    "250-a\r\n b\r\n",
    "250 " + std::string(limits::received_reply_line, 'x') + "\r\n",
    std::string(limits::received_reply_line + 1, '2'),
};

TEST(ReplyParser, GarbageIsAnErrorAndStaysOne) {
    for (const std::string& wire : bad_replies) {
        SCOPED_TRACE(testing::PrintToString(wire));
        ReplyParser whole;
        std::string_view input = wire;
        ASSERT_EQ(whole.feed(input), State::error);
        EXPECT_FALSE(whole.error().empty());
        std::string_view good = "250 Ok\r\n";
        EXPECT_EQ(whole.feed(good), State::error);

        ReplyParser slow;
        State state = State::need_more;
        for (std::size_t i = 0; i < wire.size() && state == State::need_more; ++i) {
            std::string_view octet = std::string_view(wire).substr(i, 1);
            state = slow.feed(octet);
        }
        EXPECT_EQ(state, State::error);
        EXPECT_EQ(slow.error(), whole.error());
    }
}

TEST(ReplyParser, EndlessRepliesAreCutOff) {
    for (const std::string& line :
         {std::string("250-\r\n"), "250-" + std::string(1000, 'x') + "\r\n",
          std::string("250-\x01\x02\x03\r\n")}) {
        ReplyParser parser;
        std::size_t sent = 0;
        State state = State::need_more;
        while (state == State::need_more && sent < 1'000'000) {
            std::string_view input = line;
            state = parser.feed(input);
            sent += line.size();
        }
        EXPECT_EQ(state, State::error);
        EXPECT_LE(sent, limits::received_reply + line.size());
    }
}

TEST(ReplyParser, LimitsExactly) {
    const std::string longest = "250 " + std::string(limits::received_reply_line - 6, 'x') + "\r\n";
    ReplyParser parser;
    std::string_view input = longest;
    EXPECT_EQ(parser.feed(input), State::complete);
    parser.take();

    std::string many;
    for (std::size_t i = 1; i < limits::received_reply_lines; ++i)
        many += "250-\r\n";
    const std::string fits = many + "250 \r\n";
    const std::string too_many = many + "250-\r\n250 \r\n";
    input = fits;
    EXPECT_EQ(parser.feed(input), State::complete);
    parser.take();
    input = too_many;
    EXPECT_EQ(parser.feed(input), State::error);
}

TEST(ReplyParser, PipelinedRepliesOneByOne) {
    ReplyParser parser;
    std::string_view input = "250 2.1.0 a\r\n550-5.1.1 b\r\n550 5.1.1 c\r\n354 d\r\n25";
    ASSERT_EQ(parser.feed(input), State::complete);
    EXPECT_EQ(parser.feed(input), State::complete) << "until it is taken";
    EXPECT_EQ(parser.take(), Reply(250, status::sender_valid, "a"));
    ASSERT_EQ(parser.feed(input), State::complete);
    EXPECT_EQ(parser.take(), Reply(550, status::bad_mailbox, "b\nc"));
    ASSERT_EQ(parser.feed(input), State::complete);
    EXPECT_EQ(parser.take(), Reply(354, "d"));
    EXPECT_FALSE(parser.in_reply());
    EXPECT_EQ(parser.feed(input), State::need_more);
    EXPECT_TRUE(parser.in_reply());
    EXPECT_TRUE(input.empty());
    input = "0 e\r\n";
    ASSERT_EQ(parser.feed(input), State::complete);
    EXPECT_EQ(parser.take().text, "e");
}

// What we write is what a parser reads.
TEST(ReplyParser, ReadsWhatTheWriterWrites) {
    for (const Reply& reply :
         {Reply(250, status::success, "Ok"), Reply(220, "mx.example ESMTP"), Reply(354, "Go"),
          Reply(550, status::bad_mailbox, "a\nb\nc"), Reply(421, status::not_accepting_mail, "")}) {
        const std::string wire = to_wire(reply);
        std::string_view input = wire;
        ReplyParser parser;
        ASSERT_EQ(parser.feed(input), State::complete);
        EXPECT_EQ(parser.take(), reply);
    }
}

TEST(ReplyParser, RandomOctetsAlwaysEndSomewhere) {
    std::mt19937 random(2034);
    static const std::string pieces[] = {"250",    "-", " ",    "\r\n", "\n",
                                         "5.1.1 ", "x", "\xff", "\r"};
    for (int round = 0; round < 20000; ++round) {
        std::string wire;
        for (unsigned i = random() % 12; i > 0; --i)
            wire += pieces[random() % std::size(pieces)];
        ReplyParser parser;
        std::string_view input = wire;
        while (parser.feed(input) == State::complete) {
            const Reply reply = parser.take();
            ASSERT_GE(reply.code, 200);
            for (char c : reply.text)
                ASSERT_TRUE((c >= 32 && c < 127) || c == '\n');
        }
        ASSERT_TRUE(input.empty() || !parser.error().empty());
    }
}

TEST(Sanitize, Examples) {
    EXPECT_EQ(sanitize("plain"), "plain");
    EXPECT_EQ(sanitize("a\r\nb"), "a\\x0d\\x0ab");
    EXPECT_EQ(sanitize("\\x0d"), "\\\\x0d") << "what looks escaped is told from what is";
    EXPECT_EQ(sanitize("\xc3\xa9\x7f"), "\\xc3\\xa9\\x7f");
    EXPECT_EQ(sanitize("abcdef", 4), "abcd...");
    EXPECT_EQ(sanitize("abc\n", 4), "abc...") << "an escape is not cut in two";
    EXPECT_EQ(sanitize("abcd", 4), "abcd");
}

} // namespace
} // namespace postern
