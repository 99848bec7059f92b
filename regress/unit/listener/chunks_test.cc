// BDAT (RFC 3030): chunks of content between commands.
#include "regress/unit/listener/dialogue.h"

namespace postern::listener::test {
namespace {

class Chunks : public Dialogue {
  public:
    // Without our trace field.
    std::string received(size_t message = 0) {
        const std::string& content = queue.messages.at(message).content;
        return content.substr(content.find("+0000\r\n") + 7);
    }
};

TEST_F(Chunks, OneIsAMessage) {
    begin_mail();
    play(R"(
        C: BDAT 17 LAST
        C= Subject: x\r\n\r\ny\r\n
        S: 250 2.0.0 * queued
    )");
    EXPECT_EQ(received(), "Subject: x\r\n\r\ny\r\n");
    EXPECT_NE(queue.messages[0].content.find("with ESMTP id"), std::string::npos);
    EXPECT_FALSE(queue.messages[0].submit.traits.leading_dot);
    EXPECT_EQ(queue.messages[0].submit.traits.header_length, queue.messages[0].content.size() - 3);
    EXPECT_EQ(counters.messages, 1u);
}

TEST_F(Chunks, SeveralAreOne) {
    begin_mail();
    play(R"(
        C: BDAT 4
        C= Subj
        S: 250 2.0.0 4 octets received
        C: bdat 008
        C= ect: x\r\n
        S: 250 2.0.0 8 octets received
        C: NOOP
        S: 250 2.0.0 Ok
        C: BDAT 3
        C= \r\ny
        S: 250 2.0.0 3 octets received
        C: BDAT 2 last
        C= \r\n
        S: 250 2.0.0 * queued
        C: MAIL FROM:<sender@client.example>
        S: 250 2.1.0 *
    )");
    EXPECT_EQ(received(), "Subject: x\r\n\r\ny\r\n");
}

TEST_F(Chunks, AnEmptyLastOneEndsTheMessage) {
    begin_mail();
    play(R"(
        C: BDAT 3
        C= a\r\n
        S: 250 2.0.0 3 octets received
        C: BDAT 0 LAST
        S: 250 2.0.0 * queued
    )");
    EXPECT_EQ(received(), "a\r\n");
}

TEST_F(Chunks, AnEmptyMessageIsOneAsWithData) {
    begin_mail();
    play("C: BDAT 0 LAST\nS: 250 2.0.0 * queued");
    EXPECT_EQ(received(), "");
}

TEST_F(Chunks, AllInOnePacket) {
    greet();
    play(R"(
        C: MAIL FROM:<sender@client.example>
        C: RCPT TO:<user@dest.example>
        C: BDAT 3
        C= a\r\n
        C: BDAT 3 LAST
        C= b\r\n
        C: MAIL FROM:<sender@client.example>
        C: RCPT TO:<user@dest.example>
        C: DATA
        S: 250 2.1.0 *
        S: 250 2.1.5 *
        S: 250 2.0.0 3 octets received
        S: 250 2.0.0 * queued
        S: 250 2.1.0 *
        S: 250 2.1.5 *
        S: 354 *
        C: c
        C: .
        C: QUIT
        S: 250 2.0.0 * queued
        S: 221 *
        closed
    )");
    EXPECT_EQ(received(0), "a\r\nb\r\n");
    EXPECT_EQ(received(1), "c\r\n");
}

TEST_F(Chunks, OctetByOctet) {
    begin_mail();
    for (char c : std::string_view("BDAT 5\r\na\r\n.\rBDAT 5 LAST\r\n\n.\r\n\nNOOP\r\n"))
        send({&c, 1});
    play(R"(
        S: 250 2.0.0 5 octets received
        S: 550 5.6.0 *
        S: 250 2.0.0 Ok
    )");
    EXPECT_EQ(queue.messages.size(), 0u) << "there is a bare LF in it";
}

// No dot has a meaning; those at the start of a line are doubled when the message goes on.
TEST_F(Chunks, DotsAreContent) {
    begin_mail();
    play(R"(
        C: BDAT 11
        C= a\r\n.\r\n..b\r\n
        S: 250 2.0.0 *
        C: BDAT 9 LAST
        C= .\r\nQUIT\r\n
        S: 250 2.0.0 * queued
        open
    )");
    EXPECT_EQ(received(), "a\r\n.\r\n..b\r\n.\r\nQUIT\r\n");
    EXPECT_TRUE(queue.messages[0].submit.traits.leading_dot);
}

// A message is made of lines; the last one is ended if the client has not.
TEST_F(Chunks, AMissingLineEndIsAdded) {
    begin_mail();
    play("C: BDAT 12 LAST\nC= Subject: end\nS: 250 2.0.0 * queued");
    EXPECT_EQ(received(), "Subject: end\r\n");
    EXPECT_EQ(queue.messages[0].submit.traits.header_length, queue.messages[0].content.size());
}

// It cannot be told from a bare one.
TEST_F(Chunks, ACrAtTheEndIsRefused) {
    begin_mail();
    play(R"(
        C: BDAT 2
        C= a\r
        S: 250 2.0.0 2 octets received
        C: BDAT 0 LAST
        S: 550 5.6.0 *
        C: MAIL FROM:<sender@client.example>
        S: 250 2.1.0 *
    )");
    EXPECT_EQ(queue.messages.size(), 0u);
}

TEST_F(Chunks, ACrLfMayBeSplit) {
    begin_mail();
    play(R"(
        C: BDAT 2
        C= a\r
        S: 250 2.0.0 *
        C: BDAT 1 LAST
        C= \n
        S: 250 2.0.0 * queued
    )");
    EXPECT_EQ(received(), "a\r\n");
}

struct BadContent {
    const char* octets; // with escapes
    const char* reply;
};
class BadChunks : public Dialogue, public testing::WithParamInterface<BadContent> {};

// What DATA refuses, BDAT does: at once, and whatever was sent ahead is read and not taken.
TEST_P(BadChunks, AreRefusedInStep) {
    begin_mail();
    const std::string octets = unescape(GetParam().octets);
    send("BDAT " + std::to_string(octets.size()) + "\r\n" + octets +
         "BDAT 6\r\nQUIT\r\nBDAT 6 LAST\r\nRSET\r\nMAIL FROM:<sender@client.example>\r\n"
         "RSET\r\nMAIL FROM:<sender@client.example>\r\n");
    // Those behind it are refused for the same reason, whether for good or for now; with the last
    // one it is over.
    const std::string refused = std::string("S: ") + GetParam().reply + "\n";
    play(refused + refused + refused + R"(
        S: 250 2.1.0 *
        S: 250 2.0.0 Ok
        S: 250 2.1.0 *
    )");
    EXPECT_EQ(queue.messages.size(), 0u);
}

INSTANTIATE_TEST_SUITE_P(
    Table, BadChunks,
    testing::Values(BadContent{R"(a\nb\r\n)", "550 5.6.0 *"},
                    BadContent{R"(a\rb\r\n)", "550 5.6.0 *"},
                    BadContent{R"(a\0b\r\n)", "550 5.6.0 *"},
                    BadContent{R"(\r\n.\n)", "550 5.6.0 *"},
                    BadContent{R"(Received: a\r\nReceived: b\r\nReceived: c\r\nReceived: d\r\n)",
                               "554 5.4.6 *"}));

TEST_F(Chunks, ALineOverTheLimitIsRefused) {
    settings->max_message_size = 8 * 1024 * 1024;
    begin_mail();
    const std::string half(limits::tolerated_text_line / 2, 'x');
    send("BDAT " + std::to_string(half.size()) + "\r\n" + half);
    play("S: 250 2.0.0 *");
    send("BDAT " + std::to_string(half.size()) + " LAST\r\n" + half);
    play("S: 550 5.6.0 *\nC: NOOP\nS: 250 *");
}

// RFC 3030 2: RSET forgets the chunks.
TEST_F(Chunks, RsetAndEhloForgetThem) {
    for (const char* command : {"RSET", "EHLO client.example", "HELO client.example"}) {
        connect();
        begin_mail();
        play("C: BDAT 3\nC= a\\r\\n\nS: 250 2.0.0 3 octets received");
        send(std::string(command) + "\r\n");
        EXPECT_TRUE(receive().starts_with("250"));
        play("C: BDAT 6 LAST\nC= QUIT\\r\\n\nS: 503 5.5.1 *\nopen");
    }
    EXPECT_EQ(queue.messages.size(), 0u);
}

TEST_F(Chunks, TheyAndDataDoNotMix) {
    begin_mail();
    play(R"(
        C: BDAT 3
        C= a\r\n
        S: 250 2.0.0 3 octets received
        C: DATA
        S: 503 5.5.1 BDAT *
        C: RCPT TO:<other@dest.example>
        S: 503 5.5.1 BDAT *
        C: MAIL FROM:<other@client.example>
        S: 503 5.5.1 *
        C: BDAT 3 LAST
        C= b\r\n
        S: 250 2.0.0 * queued
    )");
    EXPECT_EQ(received(), "a\r\nb\r\n");
    EXPECT_EQ(queue.messages[0].submit.envelope.recipients.size(), 1u);
}

// Out of place, but what follows is a chunk all the same.
TEST_F(Chunks, OutOfPlace) {
    lookup.verdicts["nobody@dest.example"] = ipc::RouteVerdict::no_mailbox;
    play(R"(
        S: 220 *
        C: BDAT 6 LAST
        C= QUIT\r\n
        S: 503 5.5.1 Say EHLO or HELO first
        C: HELO client.example
        S: 250 *
        C: MAIL FROM:<sender@client.example>
        S: 250 *
        C: RCPT TO:<user@dest.example>
        S: 250 *
        C: BDAT 6 LAST
        C= QUIT\r\n
        S: 503 5.5.1 Say EHLO first*
        C: EHLO client.example
        offers PIPELINING
        C: BDAT 6 LAST
        C= QUIT\r\n
        S: 503 5.5.1 MAIL first
        C: MAIL FROM:<sender@client.example>
        C: BDAT 6 LAST
        C= QUIT\r\n
        S: 250 *
        S: 503 5.5.1 RCPT first
        C: RCPT TO:<nobody@dest.example>
        C: BDAT 6
        C= QUIT\r\n
        C: BDAT 6 LAST
        C= QUIT\r\n
        S: 550 5.1.1 *
        S: 554 5.5.1 *
        S: 554 5.5.1 *
        open
    )");
    EXPECT_EQ(queue.messages.size(), 0u);
}

// Where the chunk ends is not known then, and nothing of it must be read as a command.
TEST_F(Chunks, ABadLineEndsTheSession) {
    for (const char* line : {"BDAT\r\n", "BDAT x\r\n", "BDAT -1\r\n", "BDAT 6 FIRST\r\n",
                             "BDAT 6 LAST LAST\r\n", "BDAT\t6\r\n", "BDAT 0x6\r\n",
                             "BDAT 111111111111111111111\r\n", "BDAT 6\n", "BDAT six\n"}) {
        connect();
        begin_mail();
        send(line + std::string("RSET\r\nRSET\r\n"));
        const std::string said = receive();
        EXPECT_TRUE(said.starts_with("50")) << line << said;
        EXPECT_EQ(said.find("250"), std::string::npos) << line << said;
        play("closed");
    }
}

TEST_F(Chunks, ALongLineEndsTheSession) {
    begin_mail();
    send("BDAT" + std::string(600, ' ') + "6 LAST\r\nQUIT\r\n");
    play("S: 501 5.5.4 *\nclosed");
}

// However long it is, and however it comes.
TEST_F(Chunks, ALineThatNobodyKeepsEndsTheSession) {
    for (size_t length :
         {limits::any_command_line, Session::command_input, 3 * Session::command_input}) {
        connect();
        begin_mail();
        send("bdat " + std::string(length, '0') + "6 LAST\r\nNOOP\r\nNOOP\r\n");
        play("S: 501 5.5.4 *\nclosed");
        connect();
        begin_mail();
        for (size_t sent = 0; sent < length; sent += 500)
            send(sent == 0 ? "BDAT" + std::string(496, ' ') : std::string(500, ' '));
        send("6 LAST\r\nNOOP\r\nNOOP\r\n");
        play("S: 501 5.5.4 *\nclosed");
    }
}

// It is none.
TEST_F(Chunks, AnotherLongLineDoesNot) {
    begin_mail();
    send("NOOP BDAT" + std::string(2 * Session::command_input, ' ') + "6 LAST\r\nNOOP\r\n");
    play("S: 500 5.5.2 *\nS: 250 *\nopen");
}

TEST_F(Chunks, LargeContentTravelsInAFile) {
    settings->max_message_size = 0; // no limit
    begin_mail();
    std::string body = "Subject: large\r\n\r\n";
    while (body.size() < 700'000)
        body += ".line " + std::to_string(body.size()) + "\r\n";
    for (size_t at = 0; at < body.size(); at += 100'000) {
        const std::string_view chunk = std::string_view(body).substr(at, 100'000);
        const bool last = at + chunk.size() == body.size();
        send("BDAT " + std::to_string(chunk.size()) + (last ? " LAST\r\n" : "\r\n"));
        send(chunk);
        play("S: 250 2.0.0 *");
    }
    ASSERT_EQ(queue.messages.size(), 1u);
    EXPECT_TRUE(queue.messages[0].in_file);
    EXPECT_EQ(received(), body);
}

TEST_F(Chunks, ContentFilesAreOfTheClientsShare) {
    begin_mail();
    send("BDAT 300000\r\n" + std::string(300'000, 'x'));
    play("S: 250 2.0.0 *");
    EXPECT_EQ(queue.file_client, client_address);
    // Those whom no limit is for are not held to that.
    settings->clients.exempt = {*Network::parse("192.0.2.0/24")};
    connect();
    begin_mail();
    send("BDAT 300000\r\n" + std::string(300'000, 'x'));
    play("S: 250 2.0.0 *");
    EXPECT_EQ(queue.file_client, IpAddress());
}

TEST_F(Chunks, ContentFilesAreGivenBack) {
    begin_mail();
    const std::string chunk(300'000, 'x');
    send("BDAT 300000\r\n" + chunk);
    play("S: 250 2.0.0 *");
    EXPECT_EQ(queue.files_opened, 1);
    play("C: RSET\nS: 250 2.0.0 Ok");
    EXPECT_EQ(queue.files_given_back, 1);
    play("C: MAIL FROM:<>\nS: 250 *\nC: RCPT TO:<user@dest.example>\nS: 250 *");
    send("BDAT 300000\r\n" + chunk);
    play("S: 250 2.0.0 *\nclose");
    session.reset();
    EXPECT_EQ(queue.files_given_back, 2);
}

TEST_F(Chunks, TheQueueHasNoRoom) {
    queue.file_refusal = refused(452, "4.3.1", "Disk full");
    begin_mail();
    send("BDAT 300000\r\n" + std::string(300'000, 'x') + "BDAT 6 LAST\r\nQUIT\r\n");
    play("S: 452 4.3.1 Disk full\nS: 452 4.3.1 Disk full\nC: MAIL FROM:<>\nS: 250 2.1.0 *\nopen");
    EXPECT_EQ(counters.refused_queue, 1u);
}

TEST_F(Chunks, TooBig) {
    settings->max_message_size = 100'000;
    begin_mail();
    const std::string chunk(60'000, 'x');
    send("BDAT 60000\r\n" + chunk);
    play("S: 250 2.0.0 *");
    send("BDAT 60000\r\n" + chunk + "BDAT 60000 LAST\r\n" + chunk);
    play("S: 552 5.3.4 *\nS: 552 5.3.4 *");
    EXPECT_EQ(counters.refused_size, 1u);
    play("C: MAIL FROM:<>\nS: 250 *\nC: RCPT TO:<user@dest.example>\nS: 250 *");
    const std::string exact = std::string(990, 'x') + "\r\n";
    send("BDAT 100000 LAST\r\n");
    for (int i = 0; i < 100; ++i)
        send(std::string(998, 'x') + "\r\n");
    play("S: 250 2.0.0 * queued");
}

// What one message wasted is not held against the next.
TEST_F(Chunks, UnwantedOctetsAreForgottenWithTheirMessage) {
    settings->max_message_size = 100'000;
    greet();
    for (int i = 0; i < 2; ++i) {
        send("BDAT 550000\r\n");
        for (int piece = 0; piece < 10; ++piece)
            send(std::string(55'000, 'x'));
        play("S: 503 5.5.1 MAIL first");
    }
    play("C: MAIL FROM:<>\nS: 250 *\nC: RCPT TO:<user@dest.example>\nS: 250 *\nC: DATA\nS: 354 *");
    send("one\r\n");
    send("two\r\n.\r\n");
    play("S: 250 2.0.0 * queued");
}

// Its octets go nowhere, and it has an end.
TEST_F(Chunks, EndlessOnes) {
    settings->max_message_size = 100'000;
    for (const char* size : {"18446744073709551615", "99999999999999999999", "4000000000"}) {
        for (bool in_place : {true, false}) {
            connect();
            if (in_place)
                begin_mail();
            else
                greet();
            send(std::string("BDAT ") + size + "\r\n");
            const std::string piece(32 * 1024, 'x');
            int pieces = 0;
            while (client && !is_over && !client->peer_gone() && ++pieces < 60 &&
                   counters.refused_size + counters.limited_bytes == 0)
                send(piece);
            EXPECT_LT(pieces, 60);
            play(in_place ? "S: 552 5.3.4 *\nclosed" : "S: 421 4.7.0 *\nclosed");
            counters.refused_size = counters.limited_bytes = 0;
        }
    }
    EXPECT_EQ(queue.files_opened, queue.files_given_back);
}

// Many small ones that nobody wants are as endless.
TEST_F(Chunks, UnwantedOnesAreCounted) {
    greet();
    for (uint32_t i = 0; i < Budget::free_chunks + settings->max_errors; ++i)
        send("BDAT 3\r\nabc");
    EXPECT_EQ(receive().find("421"), std::string::npos);
    send("BDAT 3\r\nabc");
    play("S: 421 4.7.0 *\nclosed");
}

TEST_F(Chunks, SmallOnesAreCountedToo) {
    begin_mail(); // EHLO counts as well
    for (uint32_t i = 1; i < Budget::free_commands + settings->max_errors; ++i)
        send("BDAT 1\r\na");
    EXPECT_EQ(receive().find("421"), std::string::npos);
    send("BDAT 1\r\na");
    play("S: 421 4.7.0 *\nclosed");
}

TEST_F(Chunks, AStalledOneTimesOut) {
    begin_mail();
    play(R"(
        C: BDAT 10
        C= abc
        pass 299s
        open
        silence
        C= d
        pass 5m
        S: 421 4.4.2 *
        closed
    )");
    EXPECT_EQ(counters.timeouts, 1u);
}

TEST_F(Chunks, AStalledOneOutOfPlaceTimesOut) {
    greet();
    play(R"(
        C: BDAT 10
        C= abc
        pass 5m
        S: 421 4.4.2 *
        closed
    )");
}

// Each within its five minutes, and still too slow for the file that the queue keeps open.
TEST_F(Chunks, SlowOnes) {
    begin_mail();
    play(R"(
        C: BDAT 3
        C= abc
        S: 250 2.0.0 *
        pass 4m
        C: NOOP
        S: 250 *
        pass 4m
        C: BDAT 3
        C= abc
        S: 250 2.0.0 *
        pass 3m
        C: NOOP
        S: 250 *
        S: 421 4.4.2 *
        closed
    )");
    EXPECT_EQ(queue.messages.size(), 0u);
}

TEST_F(Chunks, TheConnectionBreaksWithin) {
    begin_mail();
    play("C: BDAT 10 LAST\nC= abc\nclose");
    EXPECT_TRUE(is_over);
    EXPECT_EQ(queue.messages.size(), 0u);
}

} // namespace
} // namespace postern::listener::test
