// Commands and their replies, as RFC 5321 4.1 and 4.3 have them.
#include "regress/unit/listener/dialogue.h"

namespace postern::listener::test {
namespace {

using Commands = Dialogue;

TEST_F(Commands, GreetsAndSaysWhatItCanDo) {
    play(R"(
        S: 220 mx.test.example ESMTP Postern
        C: EHLO client.example
        S: 250-mx.test.example Hello client.example
        S: 250-PIPELINING
        S: 250-SIZE 1000000
        S: 250-8BITMIME
        S: 250-CHUNKING
        S: 250-SMTPUTF8
        S: 250-DSN
        S: 250-MT-PRIORITY
        S: 250-DELIVERBY
        S: 250-LIMITS MAILMAX=50 RCPTMAX=100
        S: 250-HELP
        S: 250 ENHANCEDSTATUSCODES
        C: HELO client.example
        S: 250 mx.test.example Hello client.example
        C: QUIT
        S: 221 2.0.0 mx.test.example Bye
        closed
    )");
    EXPECT_EQ(counters.sessions_total, 1u);
    EXPECT_EQ(counters.sessions, 0u);
}

TEST_F(Commands, AnswersThoseThatChangeNothing) {
    greet();
    play(R"(
        C: NOOP
        S: 250 2.0.0 Ok
        C: noop with arguments
        S: 250 2.0.0 Ok
        C: RSET
        S: 250 2.0.0 Ok
        C: VRFY user
        S: 252 2.0.0 Cannot verify, *
        C: EXPN list
        S: 252 2.0.0 Cannot expand, *
        C: HELP
        S: 214-2.0.0 *
        S: 214-2.0.0 Commands: HELO EHLO STARTTLS AUTH MAIL RCPT DATA BDAT RSET NOOP QUIT VRFY EXPN HELP
        S: 214-2.0.0 *
        S: 214-2.0.0 *
        S: 214-2.0.0 *
        S: 214-2.0.0 *
        S: 214-2.0.0 *
        S: 214 2.0.0 *
    )");
}

TEST_F(Commands, BeforeEhloOnlyMailNeedsAnIntroduction) {
    play(R"(
        S: 220 *
        C: NOOP
        S: 250 2.0.0 Ok
        C: VRFY user
        S: 252 2.0.0 *
        C: EXPN list
        S: 252 2.0.0 *
        C: HELP
        S: 214-*
        S: 214-*
        S: 214-*
        S: 214-*
        S: 214-*
        S: 214-*
        S: 214-*
        S: 214 *
        C: RSET
        S: 250 2.0.0 Ok
        C: MAIL FROM:<a@client.example>
        S: 503 5.5.1 Say EHLO or HELO first
        C: RCPT TO:<a@client.example>
        S: 503 5.5.1 Say EHLO or HELO first
        C: DATA
        S: 503 5.5.1 Say EHLO or HELO first
    )");
}

struct BadCommand {
    const char* line; // with escapes
    const char* reply;
};

class BadCommands : public Dialogue, public testing::WithParamInterface<BadCommand> {};

// Each gets its answer, and the session lives.
TEST_P(BadCommands, GetsItsReply) {
    greet();
    play(std::string("C= ") + GetParam().line + "\nS: " + GetParam().reply +
         "\nC: NOOP\nS: 250 2.0.0 Ok\n");
    EXPECT_EQ(counters.errors, 1u);
}

INSTANTIATE_TEST_SUITE_P(
    Table, BadCommands,
    testing::Values(BadCommand{R"(\r\n)", "500 5.5.1 *"}, BadCommand{R"(BOGUS\r\n)", "500 5.5.1 *"},
                    BadCommand{R"(\x00\xff\x80\x16\x03\x01\r\n)", "500 5.5.1 *"},
                    BadCommand{R"(HELP caf\xc3\xa9\r\n)", "501 5.5.2 *"},
                    BadCommand{R"(EHLO\r\n)", "501 5.5.4 *"},
                    BadCommand{R"(EHLO bad..name\r\n)", "501 5.5.4 *"},
                    BadCommand{R"(STARTTLS\r\n)", "502 5.5.1 *"},
                    BadCommand{R"(AUTH PLAIN AGEAYg==\r\n)", "502 5.5.1 *"},
                    BadCommand{R"(ETRN dest.example\r\n)", "502 5.5.1 *"},
                    BadCommand{R"(DATA now\r\n)", "501 5.5.4 *"},
                    BadCommand{R"(RSET now\r\n)", "501 5.5.4 *"},
                    BadCommand{R"(VRFY\r\n)", "501 5.5.4 *"},
                    BadCommand{R"(MAIL <a@client.example>\r\n)", "501 5.5.2 *"},
                    BadCommand{R"(MAIL FROM:a@client.example\r\n)", "501 5.1.7 *"},
                    BadCommand{R"(MAIL FROM:<a@b@c>\r\n)", "501 5.1.7 *"},
                    BadCommand{R"(MAIL FROM:<\xc3\xa9@client.example>\r\n)", "550 5.6.7 *"},
                    BadCommand{R"(MAIL FROM:<a@b.example> SIZE=x\r\n)", "501 5.5.4 *"},
                    BadCommand{R"(MAIL FROM:<a@b.example> BODY=9BIT\r\n)", "501 5.5.4 *"},
                    BadCommand{R"(MAIL FROM:<a@b.example> SMTPUTF8=1\r\n)", "501 5.5.4 *"},
                    BadCommand{R"(RCPT TO:<a@b.example> NOTIFY=ALWAYS\r\n)", "501 5.5.4 *"},
                    BadCommand{R"(RCPT TO:<>\r\n)", "501 5.1.3 *"},
                    BadCommand{R"(RCPT TO:<a@b.example>\r\n)", "503 5.5.1 MAIL first"},
                    BadCommand{R"(DATA\r\n)", "503 5.5.1 MAIL first"},
                    // A bare LF is no line end; a bare CR is no character of a command.
                    BadCommand{R"(NOOP\n)", "500 5.5.2 *"},
                    BadCommand{R"(MAIL FROM:<a@b.example>\rRCPT\r\n)", "501 5.5.4 *"}));

TEST_F(Commands, LinesEndInCrlfOnly) {
    greet();
    play(R"(
        C= MAIL FROM:<a@client.example>\n
        S: 500 5.5.2 A command line must end in CRLF, not in a bare LF
        C: RCPT TO:<b@dest.example>
        S: 503 5.5.1 *
    )");
}

TEST_F(Commands, LongLinesAreSkippedToTheirEnd) {
    greet();
    for (size_t length : {510u, 1180u, 5000u, 300'000u}) {
        send("NOOP " + std::string(length, 'x') + "\r\nNOOP\r\n");
        EXPECT_EQ(receive(), "500 5.5.2 Line too long\r\n250 2.0.0 Ok\r\n") << length;
    }
    // The longest that a command line may be (RFC 5321 4.5.3.1.4).
    send("NOOP " + std::string(512 - 7, 'x') + "\r\n");
    EXPECT_EQ(receive(), "250 2.0.0 Ok\r\n");
}

TEST_F(Commands, ParametersNeedEhlo) {
    play(R"(
        S: 220 *
        C: HELO client.example
        S: 250 *
        C: MAIL FROM:<a@client.example> SIZE=10
        S: 555 5.5.4 *
        C: MAIL FROM:<a@client.example>
        S: 250 2.1.0 Sender ok
    )");
}

TEST_F(Commands, HelloEndsTheTransaction) {
    begin_mail();
    play(R"(
        C: EHLO again.example
        offers PIPELINING
        C: DATA
        S: 503 5.5.1 MAIL first
        C: MAIL FROM:<>
        S: 250 2.1.0 Sender ok
    )");
}

// A bad EHLO changes nothing (RFC 5321 4.1.4).
TEST_F(Commands, ABadHelloDoesNotEndTheTransaction) {
    begin_mail();
    play(R"(
        C: EHLO (
        S: 501 5.5.4 *
        C: DATA
        S: 354 *
    )");
}

TEST_F(Commands, RsetEndsTheTransaction) {
    begin_mail();
    play(R"(
        C: MAIL FROM:<other@client.example>
        S: 503 5.5.1 *nested MAIL
        C: RSET
        S: 250 2.0.0 Ok
        C: RCPT TO:<user@dest.example>
        S: 503 5.5.1 MAIL first
    )");
}

// RFC 5321 3.1: it hears 554, and 503 until it says QUIT.
TEST_F(Commands, WhoTalksBeforeTheGreetingIsSentAway) {
    spoke_early = true;
    play(R"(
        S: 554 5.5.1 mx.test.example Wait for the greeting *
        C: EHLO client.example
        C: MAIL FROM:<a@client.example>
        S: 503 5.5.1 No service here*
        S: 503 5.5.1 *
        open
        C: NOOP
        S: 503 5.5.1 *
        C: QUIT
        S: 221 2.0.0 *
        closed
    )");
    EXPECT_EQ(counters.early_talkers, 1u);
    EXPECT_EQ(resolver.questions, 0);
}

TEST_F(Commands, WhoIsSentAwayAndStaysHasNoMorePatienceThanOthers) {
    spoke_early = true;
    play(R"(
        S: 554 5.5.1 *
        C: NOOP
        C: NOOP
        C: NOOP
        C: NOOP
        C: NOOP
        C: NOOP
        S: 503 5.5.1 *
        S: 503 5.5.1 *
        S: 503 5.5.1 *
        S: 503 5.5.1 *
        S: 503 5.5.1 *
        S: 421 4.7.0 *
        closed
    )");
    connect();
    play("S: 554 5.5.1 *\npass 5m\nS: 421 4.4.2 *\nclosed");
}

TEST_F(Commands, AWebBrowserIsSentAway) {
    play(R"(
        S: 220 *
        C: POST / HTTP/1.1
        C: Host: mx.test.example
        C:
        C: EHLO client.example
        C: MAIL FROM:<a@client.example>
        S: 421 4.7.0 mx.test.example *
        closed
    )");
}

// "GET" is a bad command like others when it is not the first.
TEST_F(Commands, OnlyTheFirstLineCanBeHttp) {
    greet();
    play(R"(
        C: GET /
        S: 500 5.5.1 *
        open
    )");
}

TEST_F(Commands, NothingBehindQuitIsLookedAt) {
    play(R"(
        S: 220 *
        C: QUIT
        C: NOOP
        S: 221 2.0.0 mx.test.example Bye
        closed
    )");
}

TEST_F(Commands, AClientMayCloseItsSideAndReadOn) {
    play(R"(
        C: EHLO client.example
        C: NOOP
        half-close
        S: 220 *
        offers PIPELINING
        S: 250 2.0.0 Ok
        closed
    )");
}

TEST_F(Commands, AClientMayJustClose) {
    play(R"(
        S: 220 *
        close
        closed
    )");
    EXPECT_EQ(counters.timeouts, 0u);
}

// Whatever comes over the wire is answered or skipped; nothing but the limits ends the session.
TEST_F(Commands, BinaryGarbage) {
    settings->max_errors = 0;
    connect();
    receive();
    uint32_t state = 12345;
    std::string garbage;
    for (int i = 0; i < 200'000; ++i) {
        state = state * 1664525 + 1013904223;
        garbage += static_cast<char>(state >> 24);
    }
    send(garbage + "\r\n");
    EXPECT_NE(receive().find("500 5.5."), std::string::npos);
    EXPECT_FALSE(is_over);
    play(R"(
        C: NOOP
        S: 250 2.0.0 Ok
    )");
}

} // namespace
} // namespace postern::listener::test
