// LMTP (RFC 2033): the same sessions with another hello, and a reply to a message for each
// recipient.
#include "regress/unit/listener/dialogue.h"

namespace postern::listener::test {
namespace {

class Lmtp : public Dialogue {
  public:
    Lmtp() { settings->addresses[0].lmtp = true; }
    void begin(const char* recipients) {
        play("S: 220 mx.test.example LMTP Postern\nC: LHLO client.example\noffers PIPELINING");
        play("C: MAIL FROM:<a@client.example>\nS: 250 2.1.0 *\n" + std::string(recipients));
    }
};

constexpr const char* two = R"(
    C: RCPT TO:<one@dest.example>
    S: 250 *
    C: RCPT TO:<two@dest.example>
    S: 250 *
)";

TEST_F(Lmtp, LhloIsTheHello) {
    play(R"(
        S: 220 mx.test.example LMTP Postern
        C: EHLO client.example
        S: 500 5.5.1 *
        C: HELO client.example
        S: 500 5.5.1 *
        C: MAIL FROM:<a@client.example>
        S: 503 5.5.1 Say LHLO first
        C: LHLO client.example
        S: 250-mx.test.example Hello client.example
        offers PIPELINING SIZE 8BITMIME CHUNKING DSN ENHANCEDSTATUSCODES
        C: HELP
        S: 214-*
        S: 214-2.0.0 Commands: LHLO STARTTLS *
        S: 214-2.0.0   LHLO host.example
        S: 214-*
        S: 214-*
        S: 214-*
        S: 214-*
        S: 214 2.0.0 The protocol is RFC 2033. *
    )");
}

TEST_F(Lmtp, IsNotSpokenElsewhere) {
    settings->addresses[0].lmtp = false;
    greet();
    play("C: LHLO client.example\nS: 500 5.5.1 *");
}

// One reply for each RCPT that was answered with 250, in their order, those given twice too.
TEST_F(Lmtp, OneReplyForEachRecipient) {
    lookup.verdicts["gone@dest.example"] = ipc::RouteVerdict::no_mailbox;
    begin(R"(
        C: RCPT TO:<one@dest.example>
        S: 250 *
        C: RCPT TO:<gone@dest.example>
        S: 550 5.1.1 *
        C: RCPT TO:<two@dest.example>
        S: 250 *
        C: RCPT TO:<one@dest.example>
        S: 250 *
        C: DATA
        S: 354 *
        C: text
        C: .
        C: NOOP
        S: 250 2.0.0 00000000abcd0001 queued
        S: 250 2.0.0 00000000abcd0001 queued
        S: 250 2.0.0 00000000abcd0001 queued
        S: 250 2.0.0 Ok
    )");
    ASSERT_EQ(queue.messages.size(), 1u);
    EXPECT_EQ(queue.messages[0].submit.envelope.recipients.size(), 2u);
    EXPECT_NE(queue.messages[0].content.find(" with LMTP id "), std::string::npos);
}

TEST_F(Lmtp, TheNextMessageHasItsOwnRecipients) {
    begin(R"(
        C: RCPT TO:<one@dest.example>
        C: RCPT TO:<two@dest.example>
        C: DATA
        S: 250 *
        S: 250 *
        S: 354 *
        C: .
        C: MAIL FROM:<>
        C: RCPT TO:<one@dest.example>
        C: DATA
        S: 250 2.0.0 *
        S: 250 2.0.0 *
        S: 250 2.1.0 *
        S: 250 2.1.5 *
        S: 354 *
        C: .
        S: 250 2.0.0 *
    )");
}

TEST_F(Lmtp, ARefusalIsForEachOfThem) {
    begin(two);
    play(R"(
        C: DATA
        S: 354 *
        C= bare\n\r\n.\r\n
        S: 550 5.6.0 *
        S: 550 5.6.0 *
        C: NOOP
        S: 250 *
    )");
    connect();
    queue.refusal = refused(452, "4.3.1", "Insufficient system storage");
    begin(two);
    play(R"(
        C: DATA
        S: 354 *
        C: .
        S: 452 4.3.1 *
        S: 452 4.3.1 *
        C: NOOP
        S: 250 *
    )");
    connect();
    queue.gone = true;
    begin(two);
    play("C: DATA\nS: 354 *\nC: .\nS: 451 4.3.0 *\nS: 451 4.3.0 *");
}

TEST_F(Lmtp, WithoutARecipientThereIsNoData) {
    lookup.verdicts["gone@dest.example"] = ipc::RouteVerdict::no_mailbox;
    begin(R"(
        C: DATA
        S: 503 5.5.1 RCPT first
        C: RCPT TO:<gone@dest.example>
        S: 550 5.1.1 *
        C: DATA
        S: 503 5.5.1 No valid recipients
        C= BDAT 2 LAST\r\nx\n
        S: 503 5.5.1 No valid recipients
        C: NOOP
        S: 250 *
    )");
}

// RFC 2033 4.3: a chunk that is not the last has one reply, the last has one for each recipient.
TEST_F(Lmtp, Chunks) {
    begin(two);
    play(R"(
        C= BDAT 3\r\na\r\n
        S: 250 2.0.0 3 octets received
        C= BDAT 3 LAST\r\nb\r\n
        S: 250 2.0.0 * queued
        S: 250 2.0.0 * queued
    )");
    connect();
    begin(two);
    play(R"(
        C= BDAT 3\r\na\n\n
        S: 550 5.6.0 *
        C= BDAT 3\r\na\r\n
        S: 550 5.6.0 *
        C= BDAT 3 LAST\r\nb\r\n
        S: 550 5.6.0 *
        S: 550 5.6.0 *
        C: MAIL FROM:<>
        S: 250 2.1.0 *
    )");
    connect();
    begin(two);
    play(R"(
        C= BDAT 3 LAST\r\na\n\n
        S: 550 5.6.0 *
        S: 550 5.6.0 *
        C: NOOP
        S: 250 *
    )");
}

TEST_F(Lmtp, TheTraceSaysSo) {
    encryption.emplace();
    settings->addresses[0].tls.mode = TlsMode::offered;
    settings->addresses[0].xclient_from = {*Network::parse("192.0.2.0/24")};
    play(R"(
        S: 220 *
        C: LHLO client.example
        offers STARTTLS
        C: STARTTLS
        S: 220 *
        C: XCLIENT LOGIN=alice
        S: 220 mx.test.example LMTP Postern
        C: LHLO client.example
        offers !STARTTLS
    )");
    send_mail();
    EXPECT_NE(queue.messages[0].content.find(" with LMTPSA id "), std::string::npos);
}

} // namespace
} // namespace postern::listener::test
