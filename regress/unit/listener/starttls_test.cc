// STARTTLS (RFC 3207) and TLS from the first byte (RFC 8314) as a session sees them: the encryption
// itself is played.
#include "regress/unit/listener/dialogue.h"

namespace postern::listener::test {
namespace {

class StarttlsTest : public Dialogue {
  public:
    StarttlsTest() {
        encryption.emplace();
        settings->addresses[0].tls.mode = TlsMode::offered;
    }
};

TEST_F(StarttlsTest, TheSessionBeginsAnew) {
    play(R"(
        S: 220 *
        C: EHLO before.example
        offers STARTTLS
        C: MAIL FROM:<forgotten@client.example>
        S: 250 *
        C: STARTTLS
        S: 220 2.0.0 Ready to start TLS
        C: MAIL FROM:<a@client.example>
        S: 503 5.5.1 Say EHLO or HELO first
        C: EHLO client.example
        offers !STARTTLS
        C: STARTTLS
        S: 503 5.5.1 TLS is in use already
        C: MAIL FROM:<a@client.example>
        S: 250 *
        C: RCPT TO:<b@dest.example>
        S: 250 *
        C: DATA
        S: 354 *
        C: Subject: secret
        C:
        C: .
        S: 250 2.0.0 *
    )");
    ASSERT_EQ(queue.messages.size(), 1u);
    EXPECT_TRUE(queue.messages[0].submit.envelope.origin.tls);
    EXPECT_EQ(queue.messages[0].submit.envelope.origin.helo, "client.example");
    EXPECT_TRUE(lookup.queries.at(0).origin.tls) << "rules may ask for it";
    const std::string& content = queue.messages[0].content;
    EXPECT_NE(content.find("with ESMTPS id "), std::string::npos) << content;
    EXPECT_NE(content.find("\r\n\ttls TLS_AES_128_GCM_SHA256 (TLSv1.3);\r\n"), std::string::npos)
        << content;
    EXPECT_EQ(counters.tls_sessions, 1u);
}

TEST_F(StarttlsTest, IsNotThereWhereItIsNotConfigured) {
    encryption.reset();
    greet();
    play(R"(
        C: STARTTLS
        S: 502 5.5.1 Command not implemented
        open
    )");
}

TEST_F(StarttlsTest, NeedsItsPlace) {
    play(R"(
        S: 220 *
        C: STARTTLS
        S: 503 5.5.1 Say EHLO or HELO first
        C: STARTTLS now
        S: 501 5.5.4 *
        open
    )");
}

// CVE-2011-0411 and its kin: what an attacker adds to the plain text must not be taken for
// something that the client said under TLS.
TEST_F(StarttlsTest, WhatFollowsInTheSamePacketEndsTheSession) {
    for (const char* injected :
         {"RSET\\r\\n", "EHLO x\\r\\nMAIL FROM:<evil@x.example>\\r\\n", "N"}) {
        connect();
        play(std::string(R"(
            S: 220 *
            C: EHLO client.example
            offers STARTTLS
            C= STARTTLS\r\n)") +
             injected + R"(
            S: 554 5.5.1 mx.test.example Nothing may follow STARTTLS before its reply (RFC 3207)
            closed
        )");
    }
    EXPECT_EQ(counters.early_talkers, 3u);
    EXPECT_EQ(counters.tls_sessions, 0u);
}

TEST_F(StarttlsTest, WithoutAKeyholderTheClientMayTryLater) {
    encryption->available = false;
    play(R"(
        S: 220 *
        C: EHLO client.example
        offers STARTTLS
        C: STARTTLS
        S: 454 4.7.0 TLS not available due to temporary reason
        C: NOOP
        S: 250 2.0.0 Ok
    )");
}

TEST_F(StarttlsTest, AHandshakeThatFailsEndsTheSessionWithoutAWord) {
    encryption->failure = "TLS: no shared cipher";
    play(R"(
        S: 220 *
        C: EHLO client.example
        offers STARTTLS
        C: STARTTLS
        S: 220 2.0.0 Ready to start TLS
        closed
    )");
    EXPECT_EQ(counters.tls_failures, 1u);
}

TEST_F(StarttlsTest, ADrainInTheMiddleOfAHandshakeSaysNothingIntoIt) {
    encryption->delay = 30s;
    play(R"(
        S: 220 *
        C: EHLO client.example
        offers STARTTLS
        C: STARTTLS
        S: 220 2.0.0 Ready to start TLS
    )");
    session->cut_off();
    play("closed");
}

TEST_F(StarttlsTest, ADrainDuringAHandshakeWaitsForItsEnd) {
    encryption->delay = 30s;
    play(R"(
        S: 220 *
        C: EHLO client.example
        offers STARTTLS
        C: STARTTLS
        S: 220 2.0.0 Ready to start TLS
    )");
    session->drain();
    play(R"(
        silence
        pass 30s
        S: 421 4.3.2 mx.test.example Service closing: connect again later
        closed
    )");
}

TEST_F(StarttlsTest, WhereItIsRequiredNothingElseComesBefore) {
    settings->addresses[0].tls.mode = TlsMode::required;
    settings->max_errors = 20;
    play(R"(
        S: 220 *
        C: HELO client.example
        S: 250 *
        C: NOOP
        S: 250 *
        C: MAIL FROM:<a@client.example>
        S: 530 5.7.0 Must issue a STARTTLS command first
        C: RCPT TO:<b@dest.example>
        S: 530 5.7.0 *
        C: DATA
        S: 530 5.7.0 *
        C: VRFY postmaster
        S: 530 5.7.0 *
        C: RSET
        S: 530 5.7.0 *
        C: NONSENSE
        S: 500 *
        C: BDAT 20 LAST
        C= QUIT and then some\r\n
        S: 530 5.7.0 *
        C: STARTTLS
        S: 220 *
        C: EHLO client.example
        offers !STARTTLS
        C: MAIL FROM:<a@client.example>
        S: 250 *
        C: QUIT
        S: 221 *
        closed
    )");
}

TEST_F(StarttlsTest, ImplicitTlsComesBeforeTheGreeting) {
    settings->addresses[0].tls.mode = TlsMode::implicit;
    encryption->delay = 5s;
    connect();
    play(R"(
        silence
        pass 5s
        S: 220 mx.test.example ESMTP Postern
        C: EHLO client.example
        offers !STARTTLS
    )");
    EXPECT_EQ(counters.tls_sessions, 1u);
}

TEST_F(StarttlsTest, AFailureOfImplicitTlsIsTheEnd) {
    settings->addresses[0].tls.mode = TlsMode::implicit;
    encryption->failure = "the client kept the handshake waiting";
    connect();
    play("closed");
    EXPECT_EQ(counters.tls_failures, 1u);
}

} // namespace
} // namespace postern::listener::test
