// What MAIL and RCPT may ask for, extension by extension: what is offered to whom, what reaches the
// queue, what is refused.
#include "regress/unit/listener/dialogue.h"

namespace postern::listener::test {
namespace {

class ExtensionsTest : public Dialogue {
  public:
    ExtensionOptions& options() { return settings->addresses[0].extensions; }
    const ipc::Envelope& envelope() { return queue.messages.at(0).submit.envelope; }
    // From after MAIL and RCPT on.
    void finish() {
        play(R"(
            C: DATA
            S: 354 *
            C: Subject: x
            C:
            C: .
            S: 250 2.0.0 * queued
        )");
    }
    // bob has authenticated, under TLS from the first byte.
    void log_in() {
        encryption.emplace();
        settings->addresses[0].tls.mode = TlsMode::implicit;
        settings->addresses[0].auth.mode = AuthMode::optional;
        settings->addresses[0].mechanisms = {SaslMechanism::plain};
        accounts.passwords["bob"] = "secret";
        play(R"(
            S: 220 *
            C: EHLO client.example
            offers AUTH REQUIRETLS
            C: AUTH PLAIN AGJvYgBzZWNyZXQ=
            S: 235 *
        )");
    }
};

// RFC 3461
TEST_F(ExtensionsTest, DeliveryStatusNotifications) {
    play(R"(
        S: 220 *
        C: EHLO client.example
        offers DSN
        C: MAIL FROM:<a@client.example> RET=HDRS ENVID=QQ314159
        S: 250 2.1.0 Sender ok
        C: RCPT TO:<b@dest.example>
        C: RCPT TO:<c@dest.example> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;c+2B1@old.example
        C: RCPT TO:<d@dest.example> NOTIFY=NEVER
        C: RCPT TO:<c@dest.example> NOTIFY=DELAY
        C: RCPT TO:<b@dest.example> NOTIFY=SUCCESS
        S: 250 2.1.5 Recipient ok
        S: 250 2.1.5 Recipient ok
        S: 250 2.1.5 Recipient ok
        S: 250 2.1.5 Recipient ok
        S: 250 2.1.5 Recipient ok
    )");
    finish();
    EXPECT_EQ(envelope().parameters.returned, Returned::header);
    EXPECT_EQ(envelope().parameters.envelope_id, "QQ314159");
    ASSERT_EQ(envelope().recipients.size(), 3u) << "the same one twice is one";
    // Who hears of it by one of them does.
    constexpr Notify all = notify::success | notify::failure | notify::delay;
    EXPECT_EQ(envelope().parameters_of(0).notify, all);
    EXPECT_EQ(envelope().parameters_of(1).notify, all);
    EXPECT_EQ(envelope().parameters_of(1).original_recipient, "rfc822;c+2B1@old.example");
    EXPECT_EQ(envelope().parameters_of(2).notify, notify::never);
}

TEST_F(ExtensionsTest, AnOperatorMayNotWantNotifications) {
    options().dsn = false;
    play(R"(
        S: 220 *
        C: EHLO client.example
        offers !DSN
        C: MAIL FROM:<a@client.example> RET=HDRS
        S: 555 5.5.4 *
        C: MAIL FROM:<a@client.example>
        S: 250 *
        C: RCPT TO:<b@dest.example> NOTIFY=SUCCESS
        S: 555 5.5.4 *
    )");
}

// A recipient with the longest parameters must fit into one message to the queue, too.
TEST_F(ExtensionsTest, ParametersCountForTheRoomOfRecipients) {
    settings->max_recipients = 0;
    settings->max_errors = 10'000;
    greet();
    play("C: MAIL FROM:<a@client.example>\nS: 250 *");
    const std::string original = " ORCPT=rfc822;" + std::string(493, 'x');
    size_t taken = 0;
    for (bool room = true; room; taken += room) {
        send("RCPT TO:<user" + std::to_string(taken) + "@dest.example>" + original + "\r\n");
        const std::string reply = receive();
        room = reply.starts_with("250");
        EXPECT_TRUE(room || reply.starts_with("452 4.5.3 ")) << reply;
    }
    EXPECT_GT(taken * 500, Transaction::max_recipient_bytes * 9 / 10);
    EXPECT_LT(taken * 500, Transaction::max_recipient_bytes);
    finish();
    EXPECT_EQ(envelope().options.size(), taken);
}

// RFC 6531
TEST_F(ExtensionsTest, InternationalizedMail) {
    play(R"(
        S: 220 *
        C: EHLO client.example
        offers SMTPUTF8 8BITMIME
        C= MAIL FROM:<j\xc3\xbcrgen@b\xc3\xbccher.example> SMTPUTF8\r\n
        S: 250 2.1.0 Sender ok
        C= RCPT TO:<\xc3\xa5sa@dest.example>\r\n
        S: 250 2.1.5 Recipient ok
    )");
    finish();
    EXPECT_TRUE(envelope().parameters.smtp_utf8);
    EXPECT_EQ(envelope().reverse_path, "j\xc3\xbcrgen@xn--bcher-kva.example");
    EXPECT_EQ(envelope().recipients.at(0), "\xc3\xa5sa@dest.example");
    EXPECT_EQ(lookup.queries.at(0).recipient, "\xc3\xa5sa@dest.example");
    const std::string& content = queue.messages[0].content;
    EXPECT_NE(content.find("with UTF8SMTP id"), std::string::npos) << content;
    EXPECT_NE(content.find("for <\xc3\xa5sa@dest.example>;"), std::string::npos) << content;
    EXPECT_TRUE(queue.messages[0].submit.traits.eight_bit) << "its trace is";
}

TEST_F(ExtensionsTest, Utf8NeedsTheWordForIt) {
    greet();
    play(R"(
        C= MAIL FROM:<j\xc3\xbcrgen@client.example>\r\n
        S: 550 5.6.7 *
        C: MAIL FROM:<a@client.example>
        S: 250 *
        C= RCPT TO:<\xc3\xa5sa@dest.example>\r\n
        S: 553 5.6.7 *
    )");
}

TEST_F(ExtensionsTest, AnOperatorMayNotWantUtf8) {
    options().smtp_utf8 = false;
    play(R"(
        S: 220 *
        C: EHLO client.example
        offers !SMTPUTF8
        C= MAIL FROM:<a@client.example> SMTPUTF8\r\n
        S: 555 5.5.4 *
    )");
}

// RFC 3030 3: octets that are no lines, of a length that only BDAT can tell.
TEST_F(ExtensionsTest, BinaryContent) {
    options().binary_mime = true;
    play(R"(
        S: 220 *
        C: EHLO client.example
        offers BINARYMIME CHUNKING
        C: MAIL FROM:<a@client.example> BODY=BINARYMIME
        S: 250 *
        C: RCPT TO:<b@dest.example>
        S: 250 *
        C: DATA
        S: 503 5.5.1 BODY=BINARYMIME comes with BDAT, not with DATA
        C: BDAT 20 LAST
        C= Subject: x\r\n\r\n\0\xff\r.\n\r
        S: 250 2.0.0 * queued
    )");
    const std::string& content = queue.messages.at(0).content;
    EXPECT_TRUE(content.ends_with(std::string("Subject: x\r\n\r\n\0\xff\r.\n\r", 20)))
        << "as it came, to the last octet";
    EXPECT_EQ(envelope().parameters.body, Body::binary_mime);
}

TEST_F(ExtensionsTest, BinaryContentOnlyWhereItIsOffered) {
    play(R"(
        S: 220 *
        C: EHLO client.example
        offers !BINARYMIME
        C: MAIL FROM:<a@client.example> BODY=BINARYMIME
        S: 501 5.5.4 *
    )");
}

// RFC 8689: under TLS only.
TEST_F(ExtensionsTest, RequireTls) {
    greet();
    play("C: MAIL FROM:<a@client.example> REQUIRETLS\nS: 555 5.5.4 *");
}

TEST_F(ExtensionsTest, RequireTlsUnderTls) {
    log_in();
    play(R"(
        C: MAIL FROM:<bob@client.example> REQUIRETLS
        S: 250 *
        C: RCPT TO:<b@dest.example>
        S: 250 *
    )");
    finish();
    EXPECT_TRUE(envelope().parameters.require_tls);
}

// RFC 6710: strangers do not get ahead of others by saying so, but may stand back.
TEST_F(ExtensionsTest, PriorityOfAStranger) {
    greet();
    play(R"(
        C: MAIL FROM:<a@client.example> MT-PRIORITY=4
        S: 250 2.3.6 0 is the new priority assigned to the message
        C: RSET
        S: 250 *
        C: MAIL FROM:<a@client.example> MT-PRIORITY=-4
        S: 250 2.1.0 *
        C: RCPT TO:<b@dest.example>
        S: 250 *
    )");
    finish();
    EXPECT_EQ(envelope().parameters.priority, -4);
}

TEST_F(ExtensionsTest, PriorityOfAUser) {
    log_in();
    play(R"(
        C: MAIL FROM:<bob@client.example> MT-PRIORITY=4
        S: 250 2.1.0 *
        C: RCPT TO:<b@dest.example>
        S: 250 *
    )");
    finish();
    EXPECT_EQ(envelope().parameters.priority, 4);
}

// RFC 2852: the time that the content takes is part of it.
TEST_F(ExtensionsTest, DeliverBy) {
    greet();
    play(R"(
        C: MAIL FROM:<a@client.example> BY=120;RT
        S: 250 *
        C: RCPT TO:<b@dest.example>
        S: 250 *
        pass 30s
    )");
    finish();
    EXPECT_EQ(envelope().parameters.deliver_by, (postern::DeliverBy{90, true, true}));
}

// It runs out, but not beyond what can be said of it.
TEST_F(ExtensionsTest, DeliverByAtItsLimit) {
    greet();
    play(R"(
        C: MAIL FROM:<a@client.example> BY=-999999999;N
        S: 250 *
        C: RCPT TO:<b@dest.example>
        S: 250 *
        pass 30s
    )");
    finish();
    EXPECT_TRUE(is_valid(envelope().parameters));
}

// RFC 4865: for those who submit mail.
TEST_F(ExtensionsTest, FutureReleaseIsNotForEverybody) {
    greet();
    play("C: MAIL FROM:<a@client.example> HOLDFOR=60\nS: 555 5.5.4 *");
}

TEST_F(ExtensionsTest, FutureRelease) {
    settings->max_hold = 3600;
    encryption.emplace();
    settings->addresses[0].tls.mode = TlsMode::implicit;
    settings->addresses[0].auth.mode = AuthMode::optional;
    settings->addresses[0].mechanisms = {SaslMechanism::plain};
    accounts.passwords["bob"] = "secret";
    play(R"(
        S: 220 *
        C: EHLO client.example
        S: 250-*
        S: 250-PIPELINING
        S: 250-SIZE *
        S: 250-AUTH *
        S: 250-8BITMIME
        S: 250-CHUNKING
        S: 250-SMTPUTF8
        S: 250-DSN
        S: 250-REQUIRETLS
        S: 250-MT-PRIORITY
        S: 250-DELIVERBY
        S: 250-FUTURERELEASE 3600 2026-11-23T13:00:00Z
        S: 250-LIMITS *
        S: 250-HELP
        S: 250 ENHANCEDSTATUSCODES
        C: MAIL FROM:<bob@client.example> HOLDFOR=60
        S: 530 5.7.0 Authentication required
        C: AUTH PLAIN AGJvYgBzZWNyZXQ=
        S: 235 *
        C: MAIL FROM:<bob@client.example> HOLDFOR=3601
        S: 501 5.5.4 No message is held for longer than 3600 seconds
        C: MAIL FROM:<bob@client.example> HOLDUNTIL=2026-11-23T13:00:01Z
        S: 501 5.5.4 *
        C: MAIL FROM:<bob@client.example> HOLDUNTIL=2026-11-23T13:00:00Z
        S: 250 *
        C: RCPT TO:<b@dest.example>
        S: 250 *
    )");
    finish();
    EXPECT_EQ(envelope().release_at, SimulatedTime::default_start + 3600);
    play(R"(
        C: MAIL FROM:<bob@client.example> HOLDUNTIL=1960-01-01T00:00:00Z
        S: 250 *
        C: RCPT TO:<b@dest.example>
        S: 250 *
    )");
    finish();
    EXPECT_EQ(queue.messages.at(1).submit.envelope.release_at, 0) << "long over";
    play(R"(
        C: MAIL FROM:<bob@client.example> HOLDFOR=60
        S: 250 *
        C: RCPT TO:<b@dest.example>
        S: 250 *
    )");
    finish();
    EXPECT_EQ(queue.messages.at(2).submit.envelope.release_at, SimulatedTime::default_start + 60);
}

// RFC 5321 4.1.1.11, 2.2.1: none of them after HELO.
TEST_F(ExtensionsTest, NothingAfterHelo) {
    play("S: 220 *\nC: HELO client.example\nS: 250 *");
    for (const char* parameter : {"SIZE=5", "BODY=8BITMIME", "RET=FULL", "BY=5;N", "MT-PRIORITY=1"})
        play("C: MAIL FROM:<a@client.example> " + std::string(parameter) + "\nS: 555 5.5.4 *");
}

} // namespace
} // namespace postern::listener::test
