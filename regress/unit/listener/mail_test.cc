// Mail transactions: MAIL, RCPT and DATA up to the queue's answer (RFC 5321 3.3).
#include "regress/unit/listener/dialogue.h"

namespace postern::listener::test {
namespace {

using ipc::RouteVerdict;
using Mail = Dialogue;

TEST_F(Mail, IsAcceptedWhenTheQueueHasIt) {
    greet();
    play(R"(
        C: MAIL FROM:<Sender@Client.Example> SIZE=100 BODY=8BITMIME
        S: 250 2.1.0 Sender ok
        C: RCPT TO:<User@DEST.example>
        S: 250 2.1.5 Recipient ok
        C: RCPT TO:<@relay.example:"odd user"@dest.example>
        S: 250 2.1.5 Recipient ok
        C: DATA
        S: 354 End data with <CR><LF>.<CR><LF>
        C: Subject: test
        C:
        C: ..dot
        C: .
        S: 250 2.0.0 00000000abcd0001 queued
    )");
    ASSERT_EQ(queue.messages.size(), 1u);
    const ipc::Submit& submit = queue.messages[0].submit;
    EXPECT_EQ(submit.envelope.reverse_path, "Sender@client.example");
    EXPECT_EQ(submit.envelope.recipients,
              (std::vector<std::string>{"User@dest.example", "\"odd user\"@dest.example"}));
    EXPECT_EQ(submit.envelope.parameters.body, Body::eight_bit_mime);
    EXPECT_EQ(submit.envelope.accepted_at, SimulatedTime::default_start);
    EXPECT_EQ(submit.envelope.origin.client, client_address);
    EXPECT_EQ(submit.envelope.origin.helo, "client.example");
    EXPECT_EQ(submit.envelope.origin.tag, "edge");
    EXPECT_EQ(submit.envelope.origin.local_hostname, "mx.test.example");
    EXPECT_FALSE(submit.envelope.origin.internal);
    EXPECT_EQ(submit.file_length, 0u);
    EXPECT_TRUE(submit.traits.leading_dot);
    EXPECT_FALSE(submit.traits.eight_bit);
    const std::string trace = "Received: from client.example (unknown [192.0.2.7])\r\n"
                              "\tby mx.test.example with ESMTP id 0000000000005e55-1;\r\n"
                              "\tMon, 23 Nov 2026 12:00:00 +0000\r\n";
    EXPECT_EQ(queue.messages[0].content, trace + "Subject: test\r\n\r\n.dot\r\n");
    EXPECT_EQ(submit.traits.header_length, trace.size() + 17);
    EXPECT_EQ(counters.messages, 1u);
    EXPECT_EQ(counters.recipients, 2u);
    EXPECT_EQ(counters.bytes, queue.messages[0].content.size());
}

TEST_F(Mail, TheTraceNamesTheOnlyRecipientAndThePeer) {
    resolver.pointers[client_address] = {"Host.Client.Example."};
    resolver.addresses.emplace("host.client.example", client_address);
    play(R"(
        S: 220 *
        C: HELO client.example
        S: 250 *
        C: MAIL FROM:<>
        S: 250 2.1.0 *
        C: RCPT TO:<user@dest.example>
        S: 250 2.1.5 *
        C: DATA
        S: 354 *
        C: .
        S: 250 2.0.0 00000000abcd0001 queued
    )");
    ASSERT_EQ(queue.messages.size(), 1u);
    EXPECT_EQ(queue.messages[0].content,
              "Received: from client.example (host.client.example [192.0.2.7])\r\n"
              "\tby mx.test.example with SMTP id 0000000000005e55-1\r\n"
              "\tfor <user@dest.example>;\r\n"
              "\tMon, 23 Nov 2026 12:00:00 +0000\r\n");
    EXPECT_EQ(queue.messages[0].submit.envelope.reverse_path, "");
    EXPECT_EQ(queue.messages[0].submit.envelope.origin.reverse_name, "host.client.example");
    EXPECT_EQ(lookup.queries[0].origin.reverse_name, "host.client.example");
}

// RFC 5321 4.1.4: a name that is not the client's is no reason to refuse its mail.
TEST_F(Mail, WhateverTheClientCallsItself) {
    for (const char* name : {"localhost", "mx.test.example", "nowhere.invalid", "[192.0.2.99]"}) {
        connect();
        receive();
        send(std::string("EHLO ") + name + "\r\n");
        EXPECT_TRUE(receive().starts_with("250-mx.test.example Hello ")) << name;
        play(R"(
            C: MAIL FROM:<a@client.example>
            S: 250 2.1.0 *
            C: RCPT TO:<user@dest.example>
            S: 250 2.1.5 *
            C: DATA
            S: 354 *
            C: .
            S: 250 2.0.0 *
        )");
    }
    EXPECT_EQ(queue.messages.size(), 4u);
}

// RFC 5321 4.4, 6.4: what the content has at its beginning stays, however odd it is.
TEST_F(Mail, TheTraceIsPutInFrontOfWhatIsThere) {
    begin_mail();
    play(R"(
        C: DATA
        S: 354 *
        C: Return-Path: <somebody@else.example>
        C: Received: what no RFC knows; yesterday
        C: Received: from a.example by b.example; Mon, 1 Jan 01 00:00:00 EST
        C: Resent-To: nobody@dest.example
        C: From: no address at all
        C: Content-Type: multipart/mixed
        C:
        C: Hello
        C: .
        S: 250 2.0.0 *
    )");
    ASSERT_EQ(queue.messages.size(), 1u);
    EXPECT_EQ(queue.messages[0].content,
              "Received: from client.example (unknown [192.0.2.7])\r\n"
              "\tby mx.test.example with ESMTP id 0000000000005e55-1\r\n"
              "\tfor <user@dest.example>;\r\n"
              "\tMon, 23 Nov 2026 12:00:00 +0000\r\n"
              "Return-Path: <somebody@else.example>\r\n"
              "Received: what no RFC knows; yesterday\r\n"
              "Received: from a.example by b.example; Mon, 1 Jan 01 00:00:00 EST\r\n"
              "Resent-To: nobody@dest.example\r\n"
              "From: no address at all\r\n"
              "Content-Type: multipart/mixed\r\n"
              "\r\n"
              "Hello\r\n");
}

// RFC 5321 4.1.4.
TEST_F(Mail, ABadMailBeginsNothing) {
    greet();
    play(R"(
        C: MAIL FROM:<a@b@c>
        S: 501 5.1.7 *
        C: RCPT TO:<user@dest.example>
        S: 503 5.5.1 MAIL first
        C: MAIL FROM:<a@client.example>
        S: 250 2.1.0 *
        C: MAIL FROM:<a@b@c>
        S: 501 5.1.7 *
        C: RCPT TO:<user@dest.example>
        S: 250 2.1.5 *
    )");
}

// RFC 5321 4.1.4.
TEST_F(Mail, CommandsOutOfOrderChangeNothing) {
    greet();
    play(R"(
        C: MAIL FROM:<a@client.example>
        S: 250 2.1.0 *
        C: DATA
        S: 503 5.5.1 RCPT first
        C: RCPT TO:<user@dest.example>
        S: 250 2.1.5 *
        C: MAIL FROM:<other@client.example>
        S: 503 5.5.1 *nested MAIL
        C: DATA
        S: 354 *
        C: .
        S: 250 2.0.0 *
    )");
    ASSERT_EQ(queue.messages.size(), 1u);
    EXPECT_EQ(queue.messages[0].submit.envelope.reverse_path, "a@client.example");
    EXPECT_EQ(queue.messages[0].submit.envelope.recipients,
              std::vector<std::string>{"user@dest.example"});
}

// RFC 5321 4.1.1.4: whether it was accepted or not.
TEST_F(Mail, NothingOfAMessageIsLeftForTheNext) {
    for (const bool accepted : {true, false}) {
        queue.messages.clear();
        queue.refusal.reset();
        if (!accepted)
            queue.refusal = refused(452, "4.3.1", "Disk full");
        connect();
        begin_mail("one@dest.example");
        play(std::string("C: DATA\nS: 354 *\nC: .\nS: ") +
             (accepted ? "250 2.0.0 *" : "452 4.3.1 *") +
             "\nC: RCPT TO:<two@dest.example>\nS: 503 5.5.1 MAIL first\n");
        queue.refusal.reset();
        play(R"(
            C: MAIL FROM:<>
            S: 250 2.1.0 *
            C: RCPT TO:<two@dest.example>
            S: 250 2.1.5 *
            C: DATA
            S: 354 *
            C: .
            S: 250 2.0.0 *
        )");
        ASSERT_FALSE(queue.messages.empty());
        EXPECT_EQ(queue.messages.back().submit.envelope.reverse_path, "");
        EXPECT_EQ(queue.messages.back().submit.envelope.recipients,
                  std::vector<std::string>{"two@dest.example"});
    }
}

struct Verdict {
    RouteVerdict verdict;
    const char* reply;
};

class Verdicts : public Dialogue, public testing::WithParamInterface<Verdict> {};

TEST_P(Verdicts, RefuseTheRecipientAndNothingElse) {
    lookup.verdicts["bad@dest.example"] = GetParam().verdict;
    begin_mail("good@dest.example");
    play(std::string("C: RCPT TO:<bad@dest.example>\nS: ") + GetParam().reply +
         "\nC: DATA\nS: 354 *\nC: .\nS: 250 2.0.0 *");
    ASSERT_EQ(queue.messages.size(), 1u);
    EXPECT_EQ(queue.messages[0].submit.envelope.recipients,
              std::vector<std::string>{"good@dest.example"});
    EXPECT_EQ(counters.errors, 0u);
    EXPECT_EQ(counters.refused_relaying + counters.refused_policy + counters.refused_mailbox +
                  counters.refused_temporary,
              1u);
}

INSTANTIATE_TEST_SUITE_P(
    Table, Verdicts,
    testing::Values(Verdict{RouteVerdict::no_rule, "550 5.7.1 Relaying denied"},
                    Verdict{RouteVerdict::refused, "550 5.7.1 Recipient refused"},
                    Verdict{RouteVerdict::no_mailbox, "550 5.1.1 No such mailbox here"},
                    Verdict{RouteVerdict::temporary, "451 4.3.0 *"}));

TEST_F(Mail, DataNeedsARecipientThatWasAccepted) {
    lookup.verdicts["bad@dest.example"] = RouteVerdict::no_rule;
    greet();
    play(R"(
        C: MAIL FROM:<a@client.example>
        S: 250 2.1.0 *
        C: DATA
        S: 503 5.5.1 RCPT first
        C: RCPT TO:<bad@dest.example>
        S: 550 5.7.1 *
        C: DATA
        S: 554 5.5.1 No valid recipients
    )");
}

TEST_F(Mail, PostmasterNeedsNoDomain) {
    begin_mail("Postmaster");
    play(R"(
        C: DATA
        S: 354 *
        C: .
        S: 250 2.0.0 *
    )");
    EXPECT_EQ(lookup.queries[0].recipient, "Postmaster@mx.test.example");
    ASSERT_EQ(queue.messages.size(), 1u);
    EXPECT_EQ(queue.messages[0].submit.envelope.recipients,
              std::vector<std::string>{"Postmaster@mx.test.example"});
}

TEST_F(Mail, ARecipientGivenTwiceGetsOneCopy) {
    begin_mail("user@dest.example");
    play(R"(
        C: RCPT TO:<user@DEST.example>
        S: 250 2.1.5 *
        C: DATA
        S: 354 *
        C: .
        S: 250 2.0.0 *
    )");
    EXPECT_EQ(queue.messages.at(0).submit.envelope.recipients.size(), 1u);
}

TEST_F(Mail, TooManyRecipients) {
    settings->max_recipients = 2;
    begin_mail("one@dest.example");
    play(R"(
        C: RCPT TO:<two@dest.example>
        S: 250 2.1.5 *
        C: RCPT TO:<three@dest.example>
        S: 452 4.5.3 Too many recipients
        C: DATA
        S: 354 *
        C: .
        S: 250 2.0.0 *
    )");
    EXPECT_EQ(queue.messages.at(0).submit.envelope.recipients.size(), 2u);
    EXPECT_EQ(lookup.queries.size(), 2u);
}

TEST_F(Mail, DeclaredSizeOverTheLimit) {
    greet();
    play(R"(
        C: MAIL FROM:<a@client.example> SIZE=1000001
        S: 552 5.3.4 *
        C: MAIL FROM:<a@client.example> SIZE=99999999999999999999
        S: 552 5.3.4 *
        C: RCPT TO:<user@dest.example>
        S: 503 5.5.1 MAIL first
        C: MAIL FROM:<a@client.example> SIZE=1000000
        S: 250 2.1.0 *
    )");
    EXPECT_EQ(counters.refused_size, 2u);
}

TEST_F(Mail, APipelinedBurst) {
    play(R"(
        S: 220 *
        C: EHLO client.example
        offers PIPELINING
        C: MAIL FROM:<a@client.example>
        C: RCPT TO:<one@dest.example>
        C: RCPT TO:<two@dest.example>
        C: RCPT TO:<three@dest.example>
        C: DATA
        S: 250 2.1.0 *
        S: 250 2.1.5 *
        S: 250 2.1.5 *
        S: 250 2.1.5 *
        S: 354 *
        C: Subject: one
        C:
        C: .
        C: MAIL FROM:<a@client.example>
        C: RCPT TO:<one@dest.example>
        C: DATA
        S: 250 2.0.0 00000000abcd0001 queued
        S: 250 2.1.0 *
        S: 250 2.1.5 *
        S: 354 *
        C: .
        C: QUIT
        S: 250 2.0.0 00000000abcd0002 queued
        S: 221 *
        closed
    )");
    EXPECT_EQ(queue.messages.size(), 2u);
}

// Lookup is asked about all of them at once; the replies come in the order of the commands.
TEST_F(Mail, PipelinedRecipientsAreLookedUpTogether) {
    lookup.delays = {{"slow@dest.example", 20s}, {"bad@dest.example", 1s}};
    lookup.verdicts = {{"bad@dest.example", RouteVerdict::no_mailbox}};
    greet();
    play(R"(
        C: MAIL FROM:<a@client.example>
        C: RCPT TO:<slow@dest.example>
        C: RCPT TO:<bad@dest.example>
        C: RCPT TO:<quick@dest.example>
        C: RCPT TO:<nobody@@>
        C: NOOP
        S: 250 2.1.0 *
        pass 19s
        silence
        pass 1s
        S: 250 2.1.5 *
        S: 550 5.1.1 *
        S: 250 2.1.5 *
        S: 501 5.1.3 *
        S: 250 2.0.0 Ok
    )");
    EXPECT_EQ(lookup.most_at_once, 3);
}

TEST_F(Mail, AThousandPipelinedRecipients) {
    settings->max_recipients = 1000;
    lookup.delay = 10ms;
    greet();
    std::string burst = "MAIL FROM:<a@client.example>\r\n";
    std::string replies = "250 2.1.0 Sender ok\r\n";
    for (int i = 0; i < 1000; ++i) {
        burst += "RCPT TO:<user" + std::to_string(i) + "@dest.example>\r\n";
        replies += "250 2.1.5 Recipient ok\r\n";
    }
    send(burst + "RCPT TO:<user0@dest.example>\r\nDATA\r\n");
    time.advance(1s);
    EXPECT_EQ(receive(), replies + "452 4.5.3 Too many recipients\r\n"
                                   "354 End data with <CR><LF>.<CR><LF>\r\n");
    EXPECT_EQ(lookup.most_at_once, static_cast<int>(Session::max_lookups));
    play(R"(
        C: .
        S: 250 2.0.0 *
    )");
    EXPECT_EQ(queue.messages.at(0).submit.envelope.recipients.size(), 1000u);
}

// RFC 2920 3.1: whoever sends DATA ahead has to cope with 554, and is not taken for a spammer.
TEST_F(Mail, APipelinedTransactionThatIsRefused) {
    lookup.verdicts["bad@dest.example"] = RouteVerdict::no_rule;
    greet();
    play(R"(
        C: MAIL FROM:<a@client.example>
        C: RCPT TO:<bad@dest.example>
        C: DATA
        C: RSET
        S: 250 2.1.0 *
        S: 550 5.7.1 *
        S: 554 5.5.1 No valid recipients
        S: 250 2.0.0 Ok
    )");
}

TEST_F(Mail, TheQueueRefuses) {
    queue.refusal = refused(452, "4.3.1", "Disk full");
    begin_mail();
    play(R"(
        C: DATA
        S: 354 *
        C: .
        S: 452 4.3.1 Disk full
        C: MAIL FROM:<a@client.example>
        S: 250 2.1.0 *
    )");
    EXPECT_EQ(counters.messages, 0u);
    EXPECT_EQ(counters.refused_queue, 1u);
}

// What another process says is checked: a refusal never reads like an acceptance.
TEST_F(Mail, TheQueueRefusesWithNonsense) {
    queue.refusal = refused(250, "9.9.9", "queued\r\n250 really");
    begin_mail();
    play(R"(
        C: DATA
        S: 354 *
        C: .
        S: 451 4.3.0 *
    )");
}

TEST_F(Mail, TheQueueDiesBetweenDataAndReply) {
    queue.delay = 2s;
    begin_mail();
    play(R"(
        C: DATA
        S: 354 *
        C: .
        silence
    )");
    queue.gone = true;
    play(R"(
        pass 2s
        S: 451 4.3.0 Message cannot be queued now: try again later
        C: NOOP
        S: 250 2.0.0 Ok
    )");
    EXPECT_EQ(counters.messages, 0u);
}

TEST_F(Mail, TheClientClosesBeforeItReads250) {
    queue.delay = 2s;
    begin_mail();
    play(R"(
        C: DATA
        S: 354 *
        C: .
        close
        pass 2s
        closed
    )");
    EXPECT_EQ(queue.messages.size(), 1u); // RFC 5321 6.1: it may be sent again
}

TEST_F(Mail, TheClientClosesInTheMiddleOfTheContent) {
    begin_mail();
    play(R"(
        C: DATA
        S: 354 *
        C: half a
        close
        closed
    )");
    EXPECT_EQ(queue.messages.size(), 0u);
}

TEST_F(Mail, TooManyHops) {
    begin_mail();
    play(R"(
        C: DATA
        S: 354 *
        C: Received: one
        C: received : two
        C: Subject: no hop
        C:  Received: this is not one
        C: RECEIVED:three
        C:
        C: Received: neither is this
        C: .
        S: 250 2.0.0 *
        C: MAIL FROM:<a@client.example>
        S: 250 2.1.0 *
        C: RCPT TO:<user@dest.example>
        S: 250 2.1.5 *
        C: DATA
        S: 354 *
        C: Received: one
        C: Received: two
        C: Received: three
        C: Received: four
        C:
        C: .
        S: 554 5.4.6 *
    )");
    EXPECT_EQ(queue.messages.size(), 1u);
    EXPECT_EQ(counters.refused_loop, 1u);
}

} // namespace
} // namespace postern::listener::test
