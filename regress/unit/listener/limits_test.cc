// What a session waits for and for how long (RFC 5321 4.5.3.2), and what it may cost.
#include "regress/unit/listener/dialogue.h"

namespace postern::listener::test {
namespace {

using ipc::RouteVerdict;
using Limits = Dialogue;

TEST_F(Limits, ACommandWithinFiveMinutes) {
    greet();
    play(R"(
        pass 299s
        C: NOOP
        S: 250 2.0.0 Ok
        pass 299s
        open
        silence
        pass 1s
        S: 421 4.4.2 mx.test.example *
        closed
    )");
    EXPECT_EQ(counters.timeouts, 1u);
}

TEST_F(Limits, TheFirstCommandToo) {
    play(R"(
        S: 220 *
        pass 5m
        S: 421 4.4.2 *
        closed
    )");
}

// The limit is for the whole line: sending it byte by byte does not help.
TEST_F(Limits, ASlowLine) {
    greet();
    play(R"(
        C= NO
        pass 150s
        C= OP
        pass 149s
        open
        pass 1s
        S: 421 4.4.2 *
        closed
    )");
}

TEST_F(Limits, EachPieceOfTheContentWithinFiveMinutes) {
    begin_mail();
    play(R"(
        C: DATA
        S: 354 *
        pass 299s
        C: x
        pass 299s
        open
        pass 1s
        S: 421 4.4.2 *
        closed
    )");
    EXPECT_EQ(queue.messages.size(), 0u);
    EXPECT_EQ(counters.timeouts, 1u);
}

// A byte every few minutes would hold a session for ever.
TEST_F(Limits, ContentThatTrickles) {
    begin_mail();
    play(R"(
        C: DATA
        S: 354 *
        pass 4m
        C: x
        pass 4m
        C: x
        pass 150s
        C: x
        S: 421 4.4.2 *
        closed
    )");
    EXPECT_EQ(counters.timeouts, 1u);
}

TEST_F(Limits, SlowContentAboveTheLeastRateIsTaken) {
    begin_mail();
    play("C: DATA\nS: 354 *");
    for (int minute = 0; minute < 60; ++minute) {
        send(std::string(patience::least_rate * 60, 'x') + "\r\n");
        time.advance(1min);
    }
    play("C: .\nS: 250 2.0.0 *");
}

TEST_F(Limits, TheQueueDoesNotAnswer) {
    queue.silent = true;
    begin_mail();
    play(R"(
        C: DATA
        S: 354 *
        C: .
        pass 539s
        silence
        pass 1s
        S: 451 4.3.0 *
        C: NOOP
        S: 250 2.0.0 Ok
    )");
    EXPECT_EQ(counters.refused_queue, 1u);
}

TEST_F(Limits, LookupDoesNotAnswer) {
    lookup.silent = true;
    greet();
    play(R"(
        C: MAIL FROM:<a@client.example>
        S: 250 2.1.0 *
        C: RCPT TO:<user@dest.example>
        pass 59s
        silence
        pass 1s
        S: 451 4.3.0 *
    )");
}

// Not even what should have a limit of its own is trusted to have one.
TEST_F(Limits, LookupAnswersFarTooLate) {
    lookup.delays["user@dest.example"] = 1h;
    greet();
    play(R"(
        C: MAIL FROM:<a@client.example>
        S: 250 2.1.0 *
        C: RCPT TO:<user@dest.example>
        pass 65s
        S: 451 4.3.0 *
        C: RSET
        S: 250 2.0.0 Ok
        pass 1h
        S: 421 4.4.2 *
    )");
}

// The name of the client delays neither the greeting nor EHLO, and MAIL once, for two seconds.
TEST_F(Limits, TheResolverDoesNotAnswer) {
    resolver.delay = 1h;
    greet();
    play(R"(
        C: MAIL FROM:<a@client.example>
        pass 1s
        silence
        pass 1s
        S: 250 2.1.0 *
        C: RSET
        S: 250 2.0.0 *
        C: MAIL FROM:<a@client.example>
        S: 250 2.1.0 *
        C: RCPT TO:<user@dest.example>
        S: 250 2.1.5 *
    )");
    EXPECT_EQ(lookup.queries.at(0).origin.reverse_name, "");
}

TEST_F(Limits, ALateNameServesTheNextTransaction) {
    resolver.pointers[client_address] = {"host.client.example"};
    resolver.addresses.emplace("host.client.example", client_address);
    resolver.delay = 3s;
    greet();
    play(R"(
        C: MAIL FROM:<a@client.example>
        pass 2s
        S: 250 2.1.0 *
        C: RSET
        S: 250 2.0.0 *
        pass 4s
        C: MAIL FROM:<a@client.example>
        C: RCPT TO:<user@dest.example>
        S: 250 2.1.0 *
        S: 250 2.1.5 *
    )");
    EXPECT_EQ(lookup.queries.at(0).origin.reverse_name, "host.client.example");
}

TEST_F(Limits, TooManyBadCommands) {
    greet();
    play(R"(
        C: BOGUS 1
        C: BOGUS 2
        C: BOGUS 3
        C: BOGUS 4
        C: BOGUS 5
        C: BOGUS 6
        C: NOOP
        S: 500 5.5.1 *
        S: 500 5.5.1 *
        S: 500 5.5.1 *
        S: 500 5.5.1 *
        S: 500 5.5.1 *
        S: 421 4.7.0 mx.test.example Too many errors
        closed
    )");
    EXPECT_EQ(counters.errors, 6u);
}

TEST_F(Limits, AnAcceptedMessageForgivesErrors) {
    greet();
    for (int i = 0; i < 4; ++i) {
        play("C: BOGUS\nS: 500 *\nC: BOGUS\nS: 500 *");
        send_mail();
    }
    play("open");
}

// NOOP for ever is no reason to be here.
TEST_F(Limits, TooManyCommandsThatLeadToNothing) {
    settings->max_errors = 5;
    connect();
    receive();
    std::string burst, replies;
    for (uint32_t i = 0; i < Budget::free_commands + 5; ++i) {
        burst += "NOOP\r\n";
        replies += "250 2.0.0 Ok\r\n";
    }
    send(burst);
    EXPECT_EQ(receive(), replies);
    play("C: NOOP\nS: 421 4.7.0 *\nclosed");
}

// Recipients that come to nothing end the session sometime, whatever the reason: each costs a
// question to lookup or a line in the log.
TEST_F(Limits, TooManyRecipientsThatLeadToNothing) {
    struct Case {
        const char* recipient;
        RouteVerdict verdict;
        const char* reply;
    };
    const Case cases[] = {
        {"new@dest.example", RouteVerdict::accepted, "452 4.5.3"},   // no room
        {"late@dest.example", RouteVerdict::temporary, "451 4.3.0"}, // no answer now
        {"first@dest.example", RouteVerdict::accepted, "250 2.1.5"}, // there already
    };
    for (const Case& one : cases) {
        SCOPED_TRACE(one.recipient);
        settings->max_errors = 5;
        settings->max_recipients = one.reply[0] == '4' && one.reply[2] == '2' ? 1 : 10;
        lookup.verdicts[one.recipient] = one.verdict;
        greet();
        play(R"(
            C: MAIL FROM:<x@client.example>
            S: 250 2.1.0 *
            C: RCPT TO:<first@dest.example>
            S: 250 2.1.5 *
        )");
        const std::string command = "RCPT TO:<" + std::string(one.recipient) + ">\r\n";
        for (uint32_t i = 0; i < Budget::free_recipients + 5; ++i) {
            send(command);
            ASSERT_EQ(receive().substr(0, 9), one.reply);
        }
        play("C: " + command.substr(0, command.size() - 2) + "\nS: 421 4.7.0 *\nclosed");
    }
}

// A list may have dead addresses, but somebody who finds nothing but these is trying names.
TEST_F(Limits, TooManyRefusedRecipients) {
    settings->max_recipients = 3;
    for (const char* name : {"a", "b", "c", "d"})
        lookup.verdicts[std::string(name) + "@dest.example"] = RouteVerdict::no_mailbox;
    greet();
    play(R"(
        C: MAIL FROM:<x@client.example>
        C: RCPT TO:<a@dest.example>
        C: RCPT TO:<b@dest.example>
        C: RCPT TO:<c@dest.example>
        C: RCPT TO:<d@dest.example>
        C: RCPT TO:<e@dest.example>
        S: 250 2.1.0 *
        S: 550 5.1.1 *
        S: 550 5.1.1 *
        S: 550 5.1.1 *
        S: 421 4.7.0 *
        closed
    )");
}

TEST_F(Limits, TooManyTransactions) {
    settings->max_mails = 2;
    begin_mail();
    play(R"(
        C: DATA
        S: 354 *
        C: .
        S: 250 2.0.0 *
        C: MAIL FROM:<a@client.example>
        S: 250 2.1.0 *
        C: RSET
        S: 250 2.0.0 *
        C: MAIL FROM:<a@client.example>
        S: 421 4.7.0 mx.test.example Too many messages *
        closed
    )");
}

// Replies that nobody reads are bounded, and so is the patience with it.
TEST_F(Limits, AClientThatDoesNotRead) {
    settings->max_errors = 0;
    connect();
    receive();
    client->stop_reading(true);
    std::string burst;
    for (int i = 0; i < 1000; ++i)
        burst += "HELP\r\n";
    for (int i = 0; i < 200 && client->pending_output() == 0; ++i)
        send(burst);
    // Its commands back up all the way.
    EXPECT_GT(client->pending_output(), 0u);
    EXPECT_FALSE(is_over);
    time.advance(patience::output + patience::last_words + 1s);
    EXPECT_TRUE(is_over);
    EXPECT_EQ(counters.timeouts, 1u);
}

TEST_F(Limits, ABurstIsAnsweredWhenTheClientReadsAtLast) {
    settings->max_errors = 0;
    connect();
    receive();
    std::string burst;
    for (int i = 0; i < 20'000; ++i)
        burst += "NOOP\r\n";
    client->stop_reading(true);
    client->write(burst);
    time.run();
    client->stop_reading(false);
    time.run();
    size_t bytes = 0;
    for (std::string more = receive(); !more.empty(); more = receive())
        bytes += more.size();
    EXPECT_EQ(bytes, 20'000 * std::string_view("250 2.0.0 Ok\r\n").size());
}

TEST_F(Limits, OneSessionDoesNotKeepOthersWaiting) {
    settings->max_errors = 0;
    connect();
    receive();
    // Has its turn whenever the session leaves one, and looks how far that has come meanwhile.
    struct Other final : Callback {
        explicit Other(Dialogue& dialogue) : dialogue(dialogue) {}
        void call() override {
            const size_t now = dialogue.client->under_way();
            most = std::max(most, now - seen);
            seen = now;
            if (++turns < 200)
                dialogue.time.schedule(*this);
        }
        Dialogue& dialogue;
        size_t seen = 0;
        size_t most = 0; // bytes of replies between two turns
        int turns = 0;
    } other(*this);
    constexpr size_t commands = 3000;
    constexpr size_t reply = std::string_view("250 2.0.0 Ok\r\n").size();
    std::string burst;
    for (size_t i = 0; i < commands; ++i)
        burst += "NOOP\r\n";
    client->stop_reading(true); // what is under way stays there
    client->write(burst);
    time.schedule(other);
    time.run();
    EXPECT_EQ(other.seen, commands * reply);
    EXPECT_LE(other.most, 100 * reply);
}

TEST_F(Limits, DrainSendsIdleSessionsAway) {
    begin_mail();
    session->drain();
    play(R"(
        S: 421 4.3.2 mx.test.example *
        closed
    )");
}

TEST_F(Limits, DrainLetsAMessageFinish) {
    queue.delay = 3s;
    begin_mail();
    play("C: DATA\nS: 354 *\nC: half");
    session->drain();
    play(R"(
        silence
        C: .
        pass 3s
        S: 250 2.0.0 *
        S: 421 4.3.2 *
        closed
    )");
    EXPECT_EQ(queue.messages.size(), 1u);
}

TEST_F(Limits, DrainLetsALookupFinish) {
    lookup.delays["user@dest.example"] = 3s;
    greet();
    play(R"(
        C: MAIL FROM:<a@client.example>
        S: 250 *
        C: RCPT TO:<user@dest.example>
        silence
    )");
    session->drain();
    play(R"(
        pass 3s
        S: 250 2.1.5 *
        S: 421 4.3.2 *
        closed
    )");
}

TEST_F(Limits, CuttingOffWaitsForNothing) {
    queue.delay = 1h;
    begin_mail();
    play("C: DATA\nS: 354 *\nC: .\nsilence");
    session->cut_off();
    play("S: 421 4.3.2 *\nclosed");
}

// The end of a session at any moment gives back all that it holds.
TEST_F(Limits, DestroyedInTheMiddleOfAnything) {
    queue.delay = 1h;
    lookup.delays["slow@dest.example"] = 1h;
    resolver.delay = 1s;
    const std::string dialogue = "EHLO client.example\r\nMAIL FROM:<a@client.example>\r\n"
                                 "RCPT TO:<user@dest.example>\r\nRCPT TO:<slow@dest.example>\r\n"
                                 "DATA\r\n" +
                                 std::string(100'000, 'x') + "\r\n.\r\n";
    for (size_t length : {0u, 10u, 21u, 40u, 51u, 80u, 110u, 120u, 90'000u}) {
        connect();
        send(dialogue.substr(0, length));
        time.advance(2s);
        session.reset();
        time.advance(2h);
        EXPECT_EQ(counters.sessions, 0u);
        EXPECT_EQ(queue.files_opened, queue.files_given_back);
    }
}

TEST_F(Limits, LoopbackClientsAreNotLookedUp) {
    client_address = *IpAddress::parse("::1");
    begin_mail();
    EXPECT_EQ(resolver.questions, 0);
    EXPECT_EQ(lookup.queries.at(0).origin.reverse_name, "localhost");
}

} // namespace
} // namespace postern::listener::test
