// Transactions with next hops that behave, and with those that do not: what each recipient gets.
#include "deliver/relay/transaction.h"

#include <gtest/gtest.h>

#include "common/smtp/limits.h"
#include "regress/unit/relay/dialogue.h"

namespace postern::relay {
namespace {

using namespace std::chrono_literals;
using test::Dialogue;

const std::string plain = "S: 220 mx\n C: EHLO relay.example\n S: 250 mx\n";
const std::string pipelining =
    "S: 220 mx\n C: EHLO relay.example\n S: 250-mx\n S: 250 PIPELINING\n";
const std::string lmtp = "S: 220 mx\n C: LHLO relay.example\n S: 250-mx\n S: 250 PIPELINING\n";
const std::string mail = "C: MAIL FROM:<a@s.example>\n";
const std::string rcpt = "C: RCPT TO:<u@d.example>\n";
const std::string content = "C: Subject: x\n C:\n C: Hello\n C: .\n";
const std::string leave = "C: QUIT\n S: 221 bye";

void expect(const char* what, Dialogue& d, const std::string& verdicts) {
    ASSERT_TRUE(d.run()) << what;
    EXPECT_EQ(d.verdicts(), verdicts) << what;
    EXPECT_EQ(d.next_hop.errors(), "") << what;
}

TEST(Transaction, WithoutPipeliningEachCommandWaitsForItsReply) {
    Dialogue d(plain + mail + "quiet\n S: 250 ok\n" + rcpt + "quiet\n S: 250 ok\n" +
               "C: DATA\n quiet\n S: 354 go\n" + content + "quiet\n S: 250 2.6.0 taken\n" + leave);
    expect("plain", d, "u delivered 2.6.0");
    EXPECT_TRUE(d.usable);
    EXPECT_EQ(d.results[0].diagnosis.text, "250 2.6.0 taken");
    EXPECT_TRUE(d.results[0].diagnosis.from_remote);
    EXPECT_EQ(d.results[0].diagnosis.remote, "mx.example[192.0.2.1]:25");
}

TEST(Transaction, WithPipeliningTheEnvelopeTravelsTogetherButNotTheContent) {
    Dialogue d(pipelining + mail + rcpt + "C: DATA\n quiet\n S: 250 ok\n S: 250 ok\n quiet\n" +
               "S: 354 go\n" + content + "S: 250 ok\n" + leave);
    expect("pipelining", d, "u delivered 2.0.0");
}

// `before` the table's rows a session was opened with PIPELINING; two recipients, u and v.
TEST(Transaction, VerdictsForEachRecipient) {
    const std::string group = mail + rcpt + "C: RCPT TO:<v@d.example>\n C: DATA\n";
    struct Row {
        const char* what;
        std::string script;
        const char* verdicts;
        bool usable;
    };
    const Row rows[] = {
        {"both",
         group + "S: 250 ok\n S: 250 ok\n S: 250 ok\n S: 354 go\n" + content + "S: 250 ok\n" +
             leave,
         "u delivered 2.0.0, v delivered 2.0.0", true},
        {"251 and 252 are positive",
         group + "S: 250 ok\n S: 251 forwards\n S: 252 maybe\n S: 354 go\n" + content +
             "S: 250 ok\n" + leave,
         "u delivered 2.0.0, v delivered 2.0.0", true},
        {"one is unknown",
         group + "S: 250 ok\n S: 550 5.1.1 unknown\n S: 250 ok\n S: 354 go\n" + content +
             "S: 250 ok\n" + leave,
         "u permanent 5.1.1, v delivered 2.0.0", true},
        {"one is greylisted",
         group + "S: 250 ok\n S: 250 ok\n S: 451 4.7.1 later\n S: 354 go\n" + content +
             "S: 250 ok\n" + leave,
         "u delivered 2.0.0, v temporary 4.7.1", true},
        {"a full mailbox: 452 with its own status is no limit on recipients",
         group + "S: 250 ok\n S: 250 ok\n S: 452 4.2.2 full\n S: 354 go\n" + content +
             "S: 250 ok\n" + leave,
         "u delivered 2.0.0, v temporary 4.2.2", true},
        {"552 to RCPT is temporary",
         group + "S: 250 ok\n S: 250 ok\n S: 552 5.2.2 full\n S: 354 go\n" + content +
             "S: 250 ok\n" + leave,
         "u delivered 2.0.0, v temporary 4.2.2", true},
        {"all refused and DATA, too",
         group + "S: 250 ok\n S: 550 no\n S: 450 later\n S: 503 no recipients\n" + leave,
         "u permanent 5.0.0, v temporary 4.0.0", true},
        {"all refused and DATA taken: just the dot",
         group + "S: 250 ok\n S: 550 no\n S: 550 no\n S: 354 go\n C: .\n quiet\n S: 554 no\n" +
             leave,
         "u permanent 5.0.0, v permanent 5.0.0", true},
        {"MAIL refused for good",
         group + "S: 550 5.7.1 not you\n S: 503 no\n S: 503 no\n S: 503 no\n" + leave,
         "u permanent 5.7.1, v permanent 5.7.1", true},
        {"MAIL refused, and what follows is taken all the same",
         group + "S: 550 5.7.1 not you\n S: 250 ok\n S: 250 ok\n S: 354 go\n C: .\n S: 250 ok\n" +
             leave,
         "u permanent 5.7.1, v permanent 5.7.1", true},
        {"MAIL refused for now: others may be asked",
         group + "S: 451 4.3.0 trouble\n S: 503 no\n S: 503 no\n S: 503 no\n" + leave,
         "u open 4.3.0, v open 4.3.0", true},
        {"DATA refused for now",
         group + "S: 250 ok\n S: 250 ok\n S: 250 ok\n S: 451 4.3.0 no\n" + leave,
         "u temporary 4.3.0, v temporary 4.3.0", true},
        {"DATA refused for good",
         group + "S: 250 ok\n S: 250 ok\n S: 550 5.1.1 no\n S: 554 5.7.1 no\n" + leave,
         "u permanent 5.7.1, v permanent 5.1.1", true},
        {"content refused for good",
         group + "S: 250 ok\n S: 250 ok\n S: 250 ok\n S: 354 go\n" + content +
             "S: 554 5.7.1 spam\n" + leave,
         "u permanent 5.7.1, v permanent 5.7.1", true},
        {"content refused for now",
         group + "S: 250 ok\n S: 250 ok\n S: 250 ok\n S: 354 go\n" + content +
             "S: 451 4.7.1 later\n" + leave,
         "u temporary 4.7.1, v temporary 4.7.1", true},
        {"the status code of another class counts for nothing",
         group + "S: 250 ok\n S: 550 2.1.5 liar\n S: 250 ok\n S: 354 go\n" + content +
             "S: 250 5.0.0 ok\n" + leave,
         "u permanent 5.0.0, v delivered 2.0.0", true},
    };
    for (const Row& row : rows) {
        Dialogue d(pipelining + row.script);
        d.recipients = {"u@d.example", "v@d.example"};
        expect(row.what, d, row.verdicts);
        EXPECT_EQ(d.usable, row.usable) << row.what;
    }
}

// RFC 5321 4.2, 4.3.2: of codes that nobody knows, with or without a text.
TEST(Transaction, OnlyTheFirstDigitCounts) {
    Dialogue d(pipelining + mail + rcpt +
               "C: RCPT TO:<v@d.example>\n C: RCPT TO:<w@d.example>\n C: DATA\n"
               "S: 299\n S: 257 no such mailbox\n S: 598 ok\n S: 477\n S: 399 no\n" +
               content + "S: 277 refused\n" + leave);
    d.recipients = {"u@d.example", "v@d.example", "w@d.example"};
    expect("unknown codes", d, "u delivered 2.0.0, v permanent 5.0.0, w temporary 4.0.0");
    EXPECT_TRUE(d.usable);
}

// Without a verdict a recipient stays open: another host may be tried.
TEST(Transaction, BrokenDialogueBeforeTheEndOfTheContent) {
    const std::string envelope = mail + rcpt + "C: DATA\n";
    const std::string accepted = envelope + "S: 250 ok\n S: 250 ok\n S: 354 go\n";
    struct Row {
        const char* what;
        std::string script;
        const char* verdict;
        const char* failure;
        Duration at_most;
    };
    const Row rows[] = {
        {"closes instead of answering MAIL", envelope + "close", "u open 4.4.2",
         "4.4.2 connection closed while waiting for the reply to MAIL", 0s},
        {"resets", envelope + "reset", "u open 4.4.2",
         "4.4.2 connection closed while waiting for the reply to MAIL", 0s},
        {"never answers MAIL", envelope + "stall", "u open 4.4.2",
         "4.4.2 timed out while waiting for the reply to MAIL", limits::client_mail},
        {"421 to MAIL", envelope + "S: 421 4.3.2 shutting down\n close", "u open 4.3.2",
         "4.3.2 421 4.3.2 shutting down", 0s},
        {"MAIL answered with 354", envelope + "S: 354 go\n stall", "u open 4.5.0",
         "4.5.0 the reply to MAIL makes no sense: 354 go", 0s},
        {"garbage", envelope + "S: 250 ok\n S: ok\n stall", "u open 4.5.0",
         "4.5.0 the reply to RCPT is malformed: reply does not begin with a reply code", 0s},
        {"endless reply", envelope + "S: 250 ok\n flood 250-more\n stall", "u open 4.5.0",
         "4.5.0 the reply to RCPT is malformed: reply has too many lines", 1s},
        {"a line without end", envelope + "raw 250 " + std::string(5000, 'x') + "\n stall",
         "u open 4.5.0", "4.5.0 the reply to MAIL is malformed: reply line too long", 0s},
        {"dripping reply", envelope + "drip 100 250-more", "u open 4.4.2",
         "4.4.2 timed out while waiting for the reply to MAIL", limits::client_mail},
        {"closes at RCPT", envelope + "S: 250 ok\n close", "u open 4.4.2",
         "4.4.2 connection closed while waiting for the reply to RCPT", 0s},
        {"never answers RCPT", envelope + "S: 250 ok\n stall", "u open 4.4.2",
         "4.4.2 timed out while waiting for the reply to RCPT", limits::client_rcpt},
        {"421 at RCPT", envelope + "S: 250 ok\n S: 421 too many errors\n close", "u open 4.0.0",
         "4.0.0 421 too many errors", 0s},
        {"RCPT answered with 354", envelope + "S: 250 ok\n S: 354 go\n stall", "u open 4.5.0",
         "4.5.0 the reply to RCPT makes no sense: 354 go", 0s},
        {"closes at DATA", envelope + "S: 250 ok\n S: 250 ok\n close", "u open 4.4.2",
         "4.4.2 connection closed while waiting for the reply to DATA", 0s},
        {"never answers DATA", envelope + "S: 250 ok\n S: 250 ok\n stall", "u open 4.4.2",
         "4.4.2 timed out while waiting for the reply to DATA", limits::client_data_initiation},
        {"421 at DATA", envelope + "S: 250 ok\n S: 250 ok\n S: 421 no\n stall", "u open 4.0.0",
         "4.0.0 421 no", 0s},
        {"DATA answered with 250", envelope + "S: 250 ok\n S: 250 ok\n S: 250 ok\n stall",
         "u open 4.5.0", "4.5.0 the reply to DATA makes no sense: 250 ok", 0s},
        {"the content is acknowledged before it was sent", accepted + "S: 250 taken\n silence",
         "u open 4.5.0", "4.5.0 the server spoke out of turn", 0s},
        {"the content is refused before it was sent", accepted + "S: 552 5.3.4 too big\n silence",
         "u permanent 5.3.4", "4.3.4 552 5.3.4 too big", 0s},
        {"the server leaves before the content was sent", accepted + "S: 421 bye\n silence",
         "u open 4.0.0", "4.0.0 421 bye", 0s},
    };
    for (const Row& row : rows) {
        Dialogue d(pipelining + row.script);
        expect(row.what, d, row.verdict);
        EXPECT_EQ(d.failure, row.failure) << row.what;
        EXPECT_LE(d.time.elapsed(), row.at_most) << row.what;
        EXPECT_FALSE(d.usable) << row.what;
    }
}

TEST(Transaction, VerdictsBeforeTheBreakStay) {
    Dialogue d(pipelining + mail + rcpt + "C: RCPT TO:<v@d.example>\n C: RCPT TO:<w@d.example>\n" +
               "C: DATA\n S: 250 ok\n S: 550 5.1.1 no\n S: 250 ok\n S: 421 4.3.2 bye\n close");
    d.recipients = {"u@d.example", "v@d.example", "w@d.example"};
    expect("421 among the replies to RCPT", d, "u permanent 5.1.1, v open 4.3.2, w open 4.3.2");
}

// The message may have been taken: temporary, and nobody else is asked now.
TEST(Transaction, LostAfterTheEndOfTheContent) {
    struct Row {
        const char* what;
        const char* end;
        const char* verdict;
        Duration at_most;
    };
    const Row rows[] = {
        {"closes", "close", "u temporary 4.4.2", 0s},
        {"resets", "reset", "u temporary 4.4.2", 0s},
        {"stalls", "stall", "u temporary 4.4.2", limits::client_data_termination},
        {"garbage", "S: yes\n stall", "u temporary 4.5.0", 0s},
        {"intermediate", "S: 354 more\n stall", "u temporary 4.5.0", 0s},
        {"421", "S: 421 4.3.2 no\n stall", "u temporary 4.3.2", 0s},
        {"half a reply", "raw 250-ok\n close", "u temporary 4.4.2", 0s},
    };
    for (const Row& row : rows) {
        Dialogue d(pipelining + mail + rcpt + "C: DATA\n S: 250 ok\n S: 250 ok\n S: 354 go\n" +
                   content + row.end);
        expect(row.what, d, row.verdict);
        EXPECT_LE(d.time.elapsed(), row.at_most) << row.what;
        EXPECT_EQ(d.results[0].diagnosis.text.find("may have been taken") != std::string::npos,
                  !d.results[0].diagnosis.from_remote)
            << row.what;
    }
}

TEST(Transaction, Lmtp) {
    const std::string group =
        mail + rcpt + "C: RCPT TO:<v@d.example>\n C: RCPT TO:<w@d.example>\n C: DATA\n";
    struct Row {
        const char* what;
        std::string script;
        const char* verdicts;
    };
    const Row rows[] = {
        {"a reply for each recipient, in order",
         group + "S: 250 ok\n S: 250 ok\n S: 250 ok\n S: 250 ok\n S: 354 go\n" + content +
             "S: 250 2.1.5 ok\n S: 452 4.2.2 full\n S: 550 5.2.1 disabled\n" + leave,
         "u delivered 2.1.5, v temporary 4.2.2, w permanent 5.2.1"},
        {"only for those that were accepted",
         group + "S: 250 ok\n S: 250 ok\n S: 550 5.1.1 no\n S: 250 ok\n S: 354 go\n" + content +
             "S: 250 ok\n S: 452 4.2.2 full\n" + leave,
         "u delivered 2.0.0, v permanent 5.1.1, w temporary 4.2.2"},
        {"lost between the replies",
         group + "S: 250 ok\n S: 250 ok\n S: 250 ok\n S: 250 ok\n S: 354 go\n" + content +
             "S: 250 2.1.5 ok\n close",
         "u delivered 2.1.5, v temporary 4.4.2, w temporary 4.4.2"},
        {"421 between the replies",
         group + "S: 250 ok\n S: 250 ok\n S: 250 ok\n S: 250 ok\n S: 354 go\n" + content +
             "S: 250 2.1.5 ok\n S: 421 4.3.2 no\n stall",
         "u delivered 2.1.5, v temporary 4.3.2, w temporary 4.3.2"},
        {"content wanted although nobody was accepted: the dot, and that is enough",
         group + "S: 250 ok\n S: 550 no\n S: 550 no\n S: 550 no\n S: 354 go\n C: .",
         "u permanent 5.0.0, v permanent 5.0.0, w permanent 5.0.0"},
    };
    for (const Row& row : rows) {
        Dialogue d(lmtp + row.script);
        d.lmtp = true;
        d.recipients = {"u@d.example", "v@d.example", "w@d.example"};
        expect(row.what, d, row.verdicts);
    }
}

TEST(Transaction, TheSessionIsReused) {
    Dialogue d(pipelining + mail + rcpt + "C: DATA\n S: 250 ok\n S: 250 ok\n S: 354 go\n" +
               content + "S: 250 ok\n" + mail + rcpt +
               "C: DATA\n S: 250 ok\n S: 250 ok\n S: 354 go\n" + content + "S: 250 2.6.0 second\n" +
               leave);
    d.messages = 2;
    expect("after success without RSET", d, "u delivered 2.6.0");
}

TEST(Transaction, AfterAFailureRsetComesFirst) {
    Dialogue piped(pipelining + mail + rcpt + "C: DATA\n S: 250 ok\n S: 550 no\n S: 503 no\n" +
                   "C: RSET\n" + mail + rcpt + "C: DATA\n quiet\n S: 250 reset\n S: 250 ok\n" +
                   "S: 250 ok\n S: 354 go\n" + content + "S: 250 ok\n" + leave);
    piped.messages = 2;
    expect("pipelined", piped, "u delivered 2.0.0");

    Dialogue single(plain + mail + "S: 451 no\n C: RSET\n quiet\n S: 250 reset\n" + mail +
                    "S: 250 ok\n" + rcpt + "S: 250 ok\n C: DATA\n S: 354 go\n" + content +
                    "S: 250 ok\n" + leave);
    single.messages = 2;
    expect("one at a time", single, "u delivered 2.0.0");

    Dialogue refused(plain + mail + "S: 550 no\n C: RSET\n S: 502 what?\n stall");
    refused.messages = 2;
    expect("RSET refused: out of step", refused, "u open 4.5.0");
}

// That it gets mail in plain now is no fault of the mail (RFC 3207 4).
TEST(Transaction, AHostThatWantsTlsGetsTheMailLater) {
    const std::string offers = "S: 220 mx\n C: EHLO relay.example\n S: 250-mx\n S: 250 STARTTLS\n";
    const std::string wants = "S: 530 5.7.0 Must issue a STARTTLS command first\n";
    Dialogue at_mail(offers + mail + wants + leave);
    expect("at MAIL", at_mail, "u open 4.7.0");
    Dialogue at_recipient(offers + mail + "S: 250 ok\n" + rcpt + wants + leave);
    expect("at RCPT", at_recipient, "u temporary 4.7.0");
    Dialogue wants_more(plain + mail + "S: 530 5.7.0 Authentication required\n" + leave);
    expect("who does not offer it", wants_more, "u permanent 5.7.0");
}

TEST(Transaction, WithoutPipeliningNothingIsSentInVain) {
    Dialogue mail_refused(plain + mail + "S: 550 5.7.1 no\n" + leave);
    expect("no RCPT after a refused MAIL", mail_refused, "u permanent 5.7.1");
    Dialogue all_refused(plain + mail + "S: 250 ok\n" + rcpt + "S: 550 no\n" + leave);
    expect("no DATA without recipients", all_refused, "u permanent 5.0.0");
}

TEST(Transaction, TooManyRecipientsGoOnInAnotherTransaction) {
    Dialogue d(pipelining + mail +
               "C: RCPT TO:<u@d.example>\n C: RCPT TO:<v@d.example>\n C: RCPT TO:<w@d.example>\n"
               "C: DATA\n S: 250 ok\n S: 250 ok\n S: 452 4.5.3 too many\n S: 552 too many\n"
               "S: 354 go\n" +
               content + "S: 250 2.6.1 first\n" + mail + "C: RCPT TO:<v@d.example>\n C: DATA\n" +
               "S: 250 ok\n S: 250 ok\n S: 354 go\n" + content + "S: 250 2.6.2 second\n" + mail +
               "C: RCPT TO:<w@d.example>\n C: DATA\n S: 250 ok\n S: 250 ok\n S: 354 go\n" +
               content + "S: 250 2.6.3 third\n" + leave);
    d.recipients = {"u@d.example", "v@d.example", "w@d.example"};
    expect("452 and 552", d, "u delivered 2.6.1, v delivered 2.6.2, w delivered 2.6.3");
}

TEST(Transaction, TooManyWithoutProgressIsTemporary) {
    Dialogue d(pipelining + mail +
               "C: RCPT TO:<u@d.example>\n C: RCPT TO:<v@d.example>\n C: DATA\n"
               "S: 250 ok\n S: 452 4.5.3 too many\n S: 452 too many\n S: 503 no\n" +
               leave);
    d.recipients = {"u@d.example", "v@d.example"};
    expect("none accepted", d, "u temporary 4.5.3, v temporary 4.0.0");
}

TEST(Transaction, StatedLimits) {
    const std::string greeting =
        "S: 220 mx\n C: EHLO relay.example\n S: 250-mx\n S: 250-PIPELINING\n";
    const std::string go =
        "C: DATA\n S: 250 ok\n S: 250 ok\n S: 354 go\n" + content + "S: 250 ok\n";
    Dialogue recipients(greeting + "S: 250 LIMITS RCPTMAX=1\n" + mail + rcpt + go + mail +
                        "C: RCPT TO:<v@d.example>\n" + go + leave);
    recipients.recipients = {"u@d.example", "v@d.example"};
    expect("RCPTMAX", recipients, "u delivered 2.0.0, v delivered 2.0.0");

    Dialogue domains(greeting + "S: 250 LIMITS RCPTDOMAINMAX=1\n" + mail + rcpt + go + mail +
                     "C: RCPT TO:<v@e.example>\n" + go + leave);
    domains.recipients = {"u@d.example", "v@e.example"};
    expect("RCPTDOMAINMAX", domains, "u delivered 2.0.0, v delivered 2.0.0");

    // The others have to go over another connection.
    Dialogue transactions(greeting + "S: 250 LIMITS MAILMAX=1 RCPTMAX=1\n" + mail + rcpt + go +
                          "C: QUIT\nS: 221 bye\n");
    transactions.recipients = {"u@d.example", "v@d.example"};
    expect("MAILMAX", transactions, "u delivered 2.0.0, v open ");
    EXPECT_FALSE(transactions.usable);
}

TEST(Transaction, WhatTheNextHopCannotTakeIsNotOffered) {
    Dialogue size("S: 220 mx\n C: EHLO relay.example\n S: 250-mx\n S: 250 SIZE 20\n" + leave);
    expect("too big", size, "u permanent 5.3.4");
    EXPECT_TRUE(size.usable);
    Dialogue eight_bit(pipelining + leave);
    eight_bit.eight_bit = true;
    expect("8-bit", eight_bit, "u permanent 5.6.3");
    Dialogue sender(pipelining + leave);
    sender.reverse_path = "gr\xc3\xbc\xc3\x9f@s.example";
    expect("non-ASCII sender", sender, "u permanent 5.6.7");
}

// RFC 3461 5.2, RFC 2852 4.1.4: who will report, if anybody.
TEST(Transaction, WhatWasAskedForGoesOnToThoseWhoUnderstand) {
    struct Row {
        const char* what;
        bool lmtp;
        const char* offered;
        const char* mail;
        const char* rcpt;
        ipc::Handover handover;
        bool deliver_by = false;
    };
    const Row rows[] = {
        {"DSN", false, "DSN", " RET=HDRS ENVID=x1", " NOTIFY=SUCCESS ORCPT=rfc822;o@d.example",
         ipc::Handover::relayed_aware},
        {"no DSN", false, "HELP", "", "", ipc::Handover::relayed},
        {"DELIVERBY", false, "DELIVERBY", " BY=600;N", "", ipc::Handover::relayed, true},
        {"LMTP", true, "HELP", "", "", ipc::Handover::delivered},
        {"LMTP with DSN", true, "DSN", "", " ORCPT=rfc822;o@d.example", ipc::Handover::delivered},
    };
    for (const Row& row : rows) {
        Dialogue d(std::string("S: 220 mx\n C: ") + (row.lmtp ? "LHLO" : "EHLO") +
                   " relay.example\n S: 250-mx\n S: 250-PIPELINING\n S: 250 " + row.offered +
                   "\n C: MAIL FROM:<a@s.example>" + row.mail + "\n C: RCPT TO:<u@d.example>" +
                   row.rcpt + "\n C: DATA\n S: 250 ok\n S: 250 ok\n S: 354 go\n" + content +
                   "S: 250 ok\n" + leave);
        d.lmtp = row.lmtp;
        d.parameters.returned = Returned::header;
        d.parameters.envelope_id = "x1";
        d.parameters.deliver_by = DeliverBy{600, false, false};
        d.recipient_parameters.notify = notify::success;
        d.recipient_parameters.original_recipient = "rfc822;o@d.example";
        expect(row.what, d, "u delivered 2.0.0");
        EXPECT_EQ(d.results[0].handover, row.handover) << row.what;
        EXPECT_EQ(d.results[0].deliver_by, row.deliver_by) << row.what;
    }
}

TEST(Transaction, Utf8AddressesGoWhereTheyAreUnderstood) {
    const std::string umlaut = "gr\xc3\xbc\xc3\x9f@d.example";
    Dialogue offered("S: 220 mx\n C: EHLO relay.example\n S: 250-mx\n S: 250-PIPELINING\n"
                     "S: 250 SMTPUTF8\n C: MAIL FROM:<a@s.example> SMTPUTF8\n" +
                     rcpt + "C: RCPT TO:<" + umlaut + ">\n C: DATA\n S: 250 ok\n S: 250 ok\n" +
                     "S: 250 ok\n S: 354 go\n" + content + "S: 250 ok\n" + leave);
    offered.recipients = {"u@d.example", umlaut};
    expect("offered", offered, "u delivered 2.0.0, gr\xc3\xbc\xc3\x9f delivered 2.0.0");

    Dialogue one(pipelining + mail + rcpt + "C: DATA\n S: 250 ok\n S: 250 ok\n S: 354 go\n" +
                 content + "S: 250 ok\n" + leave);
    one.recipients = {umlaut, "u@d.example"};
    one.parameters.smtp_utf8 = true;
    expect("not offered, for one recipient", one,
           "gr\xc3\xbc\xc3\x9f permanent 5.6.7, u delivered 2.0.0");

    Dialogue header(pipelining + leave);
    header.parameters.smtp_utf8 = header.utf8_header = true;
    expect("not offered, for the header", header, "u permanent 5.6.9");
    EXPECT_EQ(header.results[0].diagnosis.remote, "mx.example[192.0.2.1]:25");
}

// RFC 2852: what is left of it, and not to whom it can no longer reach in time.
TEST(Transaction, TheTimeForDeliveryPasses) {
    Dialogue d("S: 220 mx\n C: EHLO relay.example\n S: 250-mx\n S: 250-DELIVERBY\n"
               "S: 250 LIMITS RCPTMAX=1\n C: MAIL FROM:<a@s.example> BY=100;R\n S: 250 ok\n" +
               rcpt + "S: 250 ok\n C: DATA\n wait 60\n S: 354 go\n" + content +
               "S: 250 ok\n C: MAIL FROM:<a@s.example> BY=40;R\n S: 250 ok\n"
               "C: RCPT TO:<v@d.example>\n S: 250 ok\n C: DATA\n wait 60\n S: 354 go\n" +
               content + "S: 250 ok\n" + leave);
    d.recipients = {"u@d.example", "v@d.example", "w@d.example"};
    d.parameters.deliver_by = DeliverBy{100, true, false};
    expect("three transactions", d, "u delivered 2.0.0, v delivered 2.0.0, w permanent 5.4.7");
    EXPECT_TRUE(d.usable);
}

TEST(Transaction, NobodySmugglesACommand) {
    Dialogue d(pipelining + mail + "C: RCPT TO:<v@d.example>\n C: DATA\n S: 250 ok\n S: 250 ok\n" +
               "S: 354 go\n" + content + "S: 250 ok\n" + leave);
    d.recipients = {"u@d.example>\r\nRCPT TO:<x@d.example", "v@d.example", ""};
    ASSERT_TRUE(d.run());
    EXPECT_EQ(d.next_hop.errors(), "");
    EXPECT_EQ(d.results[0].verdict, Verdict::permanent);
    EXPECT_EQ(d.results[1].verdict, Verdict::delivered);
    EXPECT_EQ(d.results[2].verdict, Verdict::permanent);
}

TEST(Transaction, NullReversePath) {
    Dialogue d(pipelining + "C: MAIL FROM:<>\n" + rcpt + "C: DATA\n S: 250 ok\n S: 250 ok\n" +
               "S: 354 go\n" + content + "S: 250 ok\n" + leave);
    d.reverse_path = "";
    expect("<>", d, "u delivered 2.0.0");
}

TEST(Transaction, ContentIsDotStuffedAndWellFormed) {
    struct Row {
        const char* content;
        const char* lines; // as sent
    };
    const Row rows[] = {
        {"", "C: ."},
        {".\r\n", "C: ..\n C: ."},
        {"a\r\n.b\r\n..c\r\n", "C: a\n C: ..b\n C: ...c\n C: ."},
        {"no end", "C: no end\n C: ."},
        {"bare\nlf\r.cr\r\n", "C: bare\n C: lf\n C: ..cr\n C: ."},
        {"end\n.\n", "C: end\n C: ..\n C: ."},
        {"a\r\n\r\n", "C: a\n C:\n C: ."},
    };
    for (const Row& row : rows) {
        Dialogue d(pipelining + mail + rcpt + "C: DATA\n S: 250 ok\n S: 250 ok\n S: 354 go\n" +
                   row.lines + "\n quiet\n S: 250 ok\n" + leave);
        d.content = row.content;
        expect(row.content, d, "u delivered 2.0.0");
    }
}

std::string long_content(size_t lines) {
    std::string result;
    for (size_t i = 0; i < lines; ++i)
        result += "." + std::string(997, 'x') + "\r\n";
    return result;
}

TEST(Transaction, LargeContentWaitsForASlowNextHop) {
    Dialogue d(pipelining + mail + rcpt + "C: DATA\n S: 250 ok\n S: 250 ok\n S: 354 go\n" +
               "wait 100\n C* 1000\n wait 100\n C* 2001\n S: 250 ok\n" + leave);
    d.content = long_content(3000);
    expect("slow", d, "u delivered 2.0.0");
}

// RFC 5321 4.5.3.2: how long is waited at least, for each reply and for each piece of the content.
TEST(Transaction, WaitsForASlowNextHop) {
    Dialogue replies(plain + mail + "wait 299\n S: 250 ok\n" + rcpt + "wait 299\n S: 250 ok\n" +
                     "C: DATA\n wait 119\n S: 354 go\n" + content + "wait 599\n S: 250 ok\n" +
                     leave);
    expect("replies", replies, "u delivered 2.0.0");
    Dialogue pieces(plain + mail + "S: 250 ok\n" + rcpt + "S: 250 ok\n C: DATA\n S: 354 go\n" +
                    "wait 179\n C* 1000\n wait 179\n C* 2001\n S: 250 ok\n" + leave);
    pieces.content = long_content(3000);
    expect("pieces", pieces, "u delivered 2.0.0");
}

TEST(Transaction, ANextHopThatStopsReadingIsGivenUp) {
    Dialogue d(pipelining + mail + rcpt + "C: DATA\n S: 250 ok\n S: 250 ok\n S: 354 go\n" +
               "deaf\n stall");
    d.content = long_content(3000);
    expect("deaf", d, "u open 4.4.2");
    EXPECT_EQ(d.time.elapsed(), limits::client_data_block);
    EXPECT_EQ(d.failure, "4.4.2 timed out while sending the content");
}

TEST(Transaction, ARefusalAmidLargeContent) {
    for (const char* end : {"close", "stall"}) {
        Dialogue d(pipelining + mail + rcpt + "C: DATA\n S: 250 ok\n S: 250 ok\n S: 354 go\n" +
                   "C* 10\n S: 552 5.3.4 too big\n" + end);
        d.content = long_content(3000);
        expect(end, d, "u permanent 5.3.4");
    }
    Dialogue d(pipelining + mail + rcpt + "C: DATA\n S: 250 ok\n S: 250 ok\n S: 354 go\n" +
               "C* 10\n close");
    d.content = long_content(3000);
    expect("without a word", d, "u open 4.4.2");
}

TEST(Transaction, ManyRecipientsCannotBeUsedToKeepUsForEver) {
    std::string script = pipelining + "C* 502\n S: 250 ok\n";
    for (int i = 0; i < 500; ++i)
        script += "wait 290\n S: 250 ok\n";
    Dialogue d(script);
    d.recipients.assign(500, "u@d.example");
    ASSERT_TRUE(d.run());
    EXPECT_FALSE(d.usable);
    EXPECT_LE(d.time.elapsed(), stage_limit);
    EXPECT_EQ(d.failure, "4.4.2 timed out while waiting for the reply to RCPT");
}

} // namespace
} // namespace postern::relay
