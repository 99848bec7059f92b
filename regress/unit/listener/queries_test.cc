// VRFY, EXPN and ETRN.
#include "regress/unit/listener/dialogue.h"

namespace postern::listener::test {
namespace {

class Verification : public Dialogue {
  public:
    Verification() {
        settings->addresses[0].vrfy = true;
        lookup.mailboxes = {"alice@dest.example", "bob@mx.test.example",
                            "postmaster@mx.test.example"};
        lookup.verdicts["nobody@dest.example"] = ipc::RouteVerdict::no_mailbox;
        lookup.verdicts["x@elsewhere.example"] = ipc::RouteVerdict::no_rule;
        lookup.verdicts["x@refused.example"] = ipc::RouteVerdict::refused;
        lookup.verdicts["x@later.example"] = ipc::RouteVerdict::temporary;
    }
};

TEST_F(Verification, SaysWhatLookupSays) {
    play(R"(
        S: 220 *
        C: EHLO client.example
        offers VRFY !EXPN
        C: VRFY alice@dest.example
        S: 250 2.1.5 <alice@dest.example>
        C: VRFY <alice@Dest.Example>
        S: 250 2.1.5 <alice@dest.example>
        C: VRFY bob
        S: 250 2.1.5 <bob@mx.test.example>
        C: VRFY <postmaster>
        S: 250 2.1.5 <postmaster@mx.test.example>
        C: VRFY relayed@next.example
        S: 252 2.0.0 *
        C: VRFY x@later.example
        S: 252 2.0.0 Cannot verify now
        C: VRFY nobody@dest.example
        S: 550 5.1.1 *
        C: VRFY x@elsewhere.example
        S: 550 5.7.1 Relaying denied
        C: VRFY x@refused.example
        S: 550 5.7.1 Recipient refused
        C: VRFY John Smith
        S: 553 5.1.3 *
        C: EXPN staff
        S: 550 5.1.1 *
    )");
    EXPECT_EQ(lookup.queries[0].origin.client, client_address);
    EXPECT_EQ(lookup.queries[0].origin.tag, "edge");
    EXPECT_EQ(counters.refused_mailbox, 1u);
}

// RFC 6531 3.7.4.2.
TEST_F(Verification, InUtf8) {
    lookup.mailboxes = {"b\xc3\xb6@dest.example", "bob@mx.test.example"};
    lookup.verdicts["n\xc3\xb6@dest.example"] = ipc::RouteVerdict::no_mailbox;
    play(R"(
        S: 220 *
        C: EHLO client.example
        offers VRFY SMTPUTF8
        C= VRFY b\xc3\xb6@Dest.example SMTPUTF8\r\n
    )"
         "S: 250 2.1.5 <b\xc3\xb6@dest.example>\n"
         R"(
        C: VRFY bob SMTPUTF8
        S: 250 2.1.5 <bob@mx.test.example>
        C= VRFY b\xc3\xb6@dest.example\r\n
        S: 252 2.6.8 *
        C= VRFY n\xc3\xb6@dest.example\r\n
        S: 550 5.1.1 *
        C= EXPN n\xc3\xb6@dest.example SMTPUTF8\r\n
        S: 550 5.1.1 *
        C= VRFY b\xc3@dest.example SMTPUTF8\r\n
        S: 501 5.5.2 *
    )");
    settings->addresses[0].extensions.smtp_utf8 = false;
    connect();
    play(R"(
        S: 220 *
        C: EHLO client.example
        offers VRFY !SMTPUTF8
        C= VRFY b\xc3\xb6@dest.example SMTPUTF8\r\n
        S: 553 5.6.7 *
        C: VRFY bob SMTPUTF8
        S: 553 5.1.3 *
    )");
}

TEST_F(Verification, IsOffByDefault) {
    settings->addresses[0].vrfy = false;
    play(R"(
        S: 220 *
        C: EHLO client.example
        offers !VRFY
        C: VRFY nobody@dest.example
        S: 252 2.0.0 Cannot verify, *
        C: EXPN staff
        S: 252 2.0.0 Cannot expand, *
    )");
    EXPECT_TRUE(lookup.queries.empty());
}

// Within a transaction it is that sender's question, and the transaction goes on.
TEST_F(Verification, WithinATransaction) {
    begin_mail("alice@dest.example");
    play(R"(
        C: VRFY bob
        S: 250 2.1.5 *
        C: DATA
        S: 354 *
    )");
    EXPECT_EQ(lookup.queries.back().reverse_path, "sender@client.example");
}

// The reply is in step, however long lookup takes.
TEST_F(Verification, WaitsForLookup) {
    lookup.delay = 3s;
    greet();
    play(R"(
        C: VRFY bob
        C: NOOP
        silence
        pass 3s
        S: 250 2.1.5 *
        S: 250 2.0.0 Ok
    )");
    lookup.silent = true;
    play("C: VRFY bob\npass 60s\nS: 252 2.0.0 Cannot verify now");
}

// Refusals are held against the client as those of RCPT are.
TEST_F(Verification, NobodyHarvestsAddresses) {
    settings->clients.per_address.error_rate = 3;
    greet();
    play(R"(
        C: VRFY nobody@dest.example
        S: 550 5.1.1 *
        C: VRFY nobody@dest.example
        S: 550 5.1.1 *
        C: VRFY nobody@dest.example
        S: 550 5.1.1 *
        S: 421 4.7.0 *
        closed
    )");
}

TEST_F(Verification, CountsAsARecipient) {
    settings->clients.per_address.rcpt_rate = 2;
    greet();
    play(R"(
        C: VRFY bob
        S: 250 *
        C: VRFY bob
        S: 250 *
        C: VRFY bob
        S: 451 4.7.1 *
        pass 1m
        C: VRFY bob
        S: 250 *
    )");
}

class Etrn : public Dialogue {
  public:
    Etrn() {
        settings->addresses[0].etrn = {"dest.example", "*.branch.example"};
        queue.waiting = {{"dest.example", 3}};
    }
};

TEST_F(Etrn, AsksTheQueue) {
    play(R"(
        S: 220 *
        C: EHLO client.example
        offers ETRN
        C: ETRN Dest.Example
        S: 253 2.0.0 3 pending messages for node dest.example started
        C: ETRN @dest.example
        S: 253 2.0.0 *
        C: ETRN one.branch.example
        S: 251 2.0.0 No messages waiting for node one.branch.example
    )");
    ASSERT_EQ(queue.wakes.size(), 3u);
    EXPECT_EQ(queue.wakes[0].domain, "dest.example");
    EXPECT_FALSE(queue.wakes[0].subdomains);
    EXPECT_TRUE(queue.wakes[1].subdomains);
}

TEST_F(Etrn, WhatIsNotPossible) {
    play(R"(
        S: 220 *
        C: ETRN dest.example
        S: 503 5.5.1 Say EHLO or HELO first
        C: EHLO client.example
        offers ETRN
        C: ETRN other.example
        S: 459 4.7.1 Node other.example not allowed: *
        C: ETRN branch.example
        S: 459 4.7.1 *
        C: ETRN #queue
        S: 459 4.7.1 *
    )");
    connect();
    begin_mail();
    play(R"(
        C: ETRN dest.example
        S: 503 5.5.1 *
        C: DATA
        S: 354 *
    )");
    EXPECT_TRUE(queue.wakes.empty());
}

TEST_F(Etrn, NotNow) {
    greet();
    queue.woken_lately = true;
    play("C: ETRN dest.example\nS: 458 4.3.2 *");
    queue.gone = true;
    play("C: ETRN dest.example\nS: 458 4.3.2 *");
    queue.gone = false;
    queue.silent = true;
    play("C: ETRN dest.example\nC: NOOP\nsilence\npass 60s\nS: 458 4.3.2 *\nS: 250 *");
}

TEST_F(Etrn, HelpKnowsIt) {
    greet();
    play(R"(
        C: HELP
        S: 214-*
        S: 214-2.0.0 Commands: * HELP ETRN
        S: 214-2.0.0 *
        S: 214-2.0.0 *
        S: 214-2.0.0 *
        S: 214-2.0.0 *
        S: 214-2.0.0 *
        S: 214 2.0.0 *
    )");
}

} // namespace
} // namespace postern::listener::test
