// Greeting, hello and leave-taking with next hops that behave, and with those that do not.
#include "deliver/relay/client_session.h"

#include <gtest/gtest.h>

#include "common/smtp/limits.h"
#include "regress/unit/relay/dialogue.h"

namespace postern::relay {
namespace {

using namespace std::chrono_literals;
using test::Dialogue;

TEST(ClientSession, OpensAndQuits) {
    Dialogue d("S: 220-mx.example\n S: 220 ready\n C: EHLO relay.example\n S: 250-mx.example\n"
               "S: 250-PIPELINING\n S: 250-SIZE 1000\n S: 250 8BITMIME\n C: QUIT\n S: 221 bye");
    d.messages = 0;
    ASSERT_TRUE(d.run());
    EXPECT_TRUE(d.opened);
    EXPECT_TRUE(d.usable);
    EXPECT_EQ(d.next_hop.errors(), "");
    EXPECT_EQ(d.failure, "");
}

// RFC 5321 4.3.1: not before the greeting and the replies are whole.
TEST(ClientSession, SpeaksWhenItIsItsTurn) {
    Dialogue d("quiet\n S: 220-mx.example\n quiet\n S: 220 ready\n C: EHLO relay.example\n quiet\n"
               "S: 250-mx.example\n quiet\n S: 250 SIZE\n C: QUIT\n S: 221 bye");
    d.messages = 0;
    ASSERT_TRUE(d.run());
    EXPECT_TRUE(d.usable);
    EXPECT_EQ(d.next_hop.errors(), "");
}

// RFC 5321 4.5.3.2.1: five minutes for the greeting; for the hello as well.
TEST(ClientSession, WaitsForASlowServer) {
    Dialogue d("wait 299\n S: 220 mx\n C: EHLO relay.example\n wait 299\n S: 250 mx\n"
               "C: QUIT\n S: 221 bye");
    d.messages = 0;
    ASSERT_TRUE(d.run());
    EXPECT_TRUE(d.usable);
    EXPECT_EQ(d.next_hop.errors(), "");
}

TEST(ClientSession, FallsBackToHeloOn5yz) {
    for (const char* refusal : {"500 what?", "502 5.5.1 not here", "504 no", "550 no"}) {
        Dialogue d(std::string("S: 220 mx\n C: EHLO relay.example\n S: ") + refusal +
                   "\n C: HELO relay.example\n S: 250 mx\n C: QUIT\n S: 221 bye");
        d.messages = 0;
        ASSERT_TRUE(d.run());
        EXPECT_TRUE(d.usable) << refusal;
        EXPECT_EQ(d.next_hop.errors(), "") << refusal;
    }
}

TEST(ClientSession, LmtpSaysLhloAndNothingElse) {
    Dialogue good("S: 220 lmtp\n C: LHLO relay.example\n S: 250 lmtp\n C: QUIT\n S: 221 bye");
    good.lmtp = true;
    good.messages = 0;
    ASSERT_TRUE(good.run());
    EXPECT_TRUE(good.usable);
    EXPECT_EQ(good.next_hop.errors(), "");

    Dialogue bad("S: 220 smtp\n C: LHLO relay.example\n S: 500 what?\n C: QUIT\n S: 221 bye");
    bad.lmtp = true;
    ASSERT_TRUE(bad.run());
    EXPECT_FALSE(bad.opened);
    EXPECT_EQ(bad.failure, "4.0.0 500 what?");
}

// Whatever a host says before MAIL, it is about the host: nothing there is permanent.
TEST(ClientSession, OpeningThatFails) {
    struct Row {
        const char* what;
        const char* script;
        const char* failure;
        Duration at_most;
    };
    const Row rows[] = {
        {"closes at once", "close", "4.4.2 connection closed while waiting for the greeting", 0s},
        {"resets at once", "reset", "4.4.2 connection closed while waiting for the greeting", 0s},
        {"never greets", "stall", "4.4.2 timed out while waiting for the greeting",
         limits::client_greeting},
        {"half a greeting", "raw 220 mx\n stall", "4.4.2 timed out while waiting for the greeting",
         limits::client_greeting},
        {"greeting dripping on and on", "drip 60 220-wait",
         "4.4.2 timed out while waiting for the greeting", limits::client_greeting},
        {"endless greeting", "flood 220-and another line\n stall",
         "4.5.0 the greeting is malformed: reply has too many lines", 1s},
        {"not SMTP", "S: SSH-2.0-OpenSSH_9.2",
         "4.5.0 the greeting is malformed: reply does not begin with a reply code", 0s},
        {"mismatched codes", "S: 220-mx\n S: 250 mx",
         "4.5.0 the greeting is malformed: lines of a reply differ in their codes", 0s},
        {"refused for now", "S: 421 4.3.2 come back later", "4.3.2 421 4.3.2 come back later", 0s},
        {"busy", "S: 450 busy\n C: QUIT\n S: 221 bye", "4.0.0 450 busy", 0s},
        {"no service here", "S: 554 5.7.1 go away\n C: QUIT\n S: 221 bye",
         "4.7.1 554 5.7.1 go away", 0s},
        {"an intermediate greeting", "S: 354 what\n C: QUIT\n S: 221 bye", "4.0.0 354 what", 0s},
        {"control characters do not get far", "S: 554 a\x01\x1b[31mb\n C: QUIT\n S: 221 bye",
         "4.0.0 554 a\\x01\\x1b[31mb", 0s},
        {"closes after EHLO", "S: 220 mx\n C: EHLO relay.example\n close",
         "4.4.2 connection closed while waiting for the reply to EHLO", 0s},
        {"no answer to EHLO", "S: 220 mx\n C: EHLO relay.example\n stall",
         "4.4.2 timed out while waiting for the reply to EHLO", limits::client_hello},
        {"EHLO temporarily refused",
         "S: 220 mx\n C: EHLO relay.example\n S: 451 no\n C: QUIT\n S: 221 bye", "4.0.0 451 no",
         0s},
        {"EHLO answered with 421", "S: 220 mx\n C: EHLO relay.example\n S: 421 no\n stall",
         "4.0.0 421 no", 0s},
        {"HELO refused, too",
         "S: 220 mx\n C: EHLO relay.example\n S: 500 no\n C: HELO relay.example\n S: 550 5.7.1 no\n"
         "C: QUIT\n S: 221 bye",
         "4.7.1 550 5.7.1 no", 0s},
        {"HELO closes",
         "S: 220 mx\n C: EHLO relay.example\n S: 500 no\n C: HELO relay.example\n close",
         "4.4.2 connection closed while waiting for the reply to HELO", 0s},
        {"the answer to EHLO before the question", "S: 220 mx\n S: 250 early\n stall",
         "4.5.0 the server spoke out of turn", 0s},
    };
    for (const Row& row : rows) {
        Dialogue d(row.script);
        ASSERT_TRUE(d.run()) << row.what;
        EXPECT_FALSE(d.opened) << row.what;
        EXPECT_EQ(d.failure, row.failure) << row.what;
        EXPECT_LE(d.time.elapsed(), row.at_most) << row.what;
        EXPECT_EQ(d.next_hop.errors(), "") << row.what;
    }
}

// RFC 5321 4.1.1.10: the connection is not closed before that, but where the server has gone, says
// that it goes (421), or says what cannot be understood.
TEST(ClientSession, TakesLeaveOfAServerThatRefusesIt) {
    for (const char* script :
         {"S: 554 no\n C: QUIT\n S: 221 bye", "S: 450 no\n C: QUIT\n S: 221 bye",
          "S: 220 mx\n C: EHLO relay.example\n S: 550 no\n C: HELO relay.example\n S: 550 no\n"
          "C: QUIT\n S: 221 bye",
          "S: 421 no\n silence", "S: nonsense\n silence"}) {
        Dialogue d(script);
        ASSERT_TRUE(d.run()) << script;
        EXPECT_FALSE(d.opened) << script;
        EXPECT_EQ(d.next_hop.errors(), "") << script;
    }
}

TEST(ClientSession, DoesNotWaitLongForTheReplyToQuit) {
    Dialogue d("S: 220 mx\n C: EHLO relay.example\n S: 250 mx\n C: QUIT\n stall");
    d.messages = 0;
    ASSERT_TRUE(d.run());
    EXPECT_TRUE(d.usable);
    EXPECT_EQ(d.time.elapsed(), limits::client_quit);
    EXPECT_EQ(d.next_hop.errors(), "");
}

TEST(ClientSession, IsOfNoUseOnceTheServerHasLeftOrSpoken) {
    for (const char* end : {"close", "S: 421 idle for too long\n stall", "raw 4\n stall"}) {
        Dialogue d(std::string("S: 220 mx\n C: EHLO relay.example\n S: 250 mx\n"
                               "C: MAIL FROM:<a@s.example>\n S: 250 ok\n C: RCPT TO:<u@d.example>\n"
                               "S: 250 ok\n C: DATA\n S: 354 go\n C* 4\n S: 250 ok\n") +
                   end);
        d.pause = 1s;
        ASSERT_TRUE(d.run()) << end;
        EXPECT_FALSE(d.usable) << end;
        EXPECT_EQ(d.verdicts(), "u delivered 2.0.0") << end;
        EXPECT_EQ(d.next_hop.errors(), "") << end;
    }
}

} // namespace
} // namespace postern::relay
