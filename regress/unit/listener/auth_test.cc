// AUTH (RFC 4954) and what it changes for a session; lookup's part of it is played.
#include "common/base/base64.h"
#include "regress/unit/listener/dialogue.h"

namespace postern::listener::test {
namespace {

using namespace std::string_literals; // for strings with a NUL inside

// AGJvYgBzZWNyZXQ= is "\0bob\0secret", Ym9i is "bob", c2VjcmV0 is "secret", d3Jvbmc= is "wrong".
constexpr const char* log_in = R"(
    C: AUTH PLAIN AGJvYgBzZWNyZXQ=
    S: 235 2.7.0 Authentication succeeded
)";

class Auth : public Dialogue {
  public:
    Auth() {
        encryption.emplace();
        settings->addresses[0].tls.mode = TlsMode::implicit;
        settings->addresses[0].auth.mode = AuthMode::optional;
        settings->addresses[0].auth.credentials = "users";
        settings->addresses[0].mechanisms = {SaslMechanism::plain, SaslMechanism::login};
        settings->max_errors = 20;
        accounts.passwords["bob"] = "secret";
    }
    AuthOptions& options() { return settings->addresses[0].auth; }

    void greet() {
        play(R"(
            S: 220 *
            C: EHLO client.example
            offers AUTH !STARTTLS
        )");
    }
    std::string sent(const std::string& content) {
        play("C: MAIL FROM:<bob@client.example>\nS: 250 *\nC: RCPT TO:<b@dest.example>\nS: 250 *\n"
             "C: DATA\nS: 354 *\nC= " +
             content + ".\\r\\n\nS: 250 2.0.0 *");
        return queue.messages.back().content;
    }
};

TEST_F(Auth, PlainInOneStep) {
    greet();
    play(log_in);
    ASSERT_EQ(accounts.asked.size(), 1u);
    EXPECT_EQ(accounts.asked[0].table, "users");
    EXPECT_EQ(accounts.asked[0].user, "bob");
    EXPECT_EQ(accounts.asked[0].password, "secret");
    EXPECT_EQ(counters.auth_successes, 1u);
    EXPECT_EQ(counters.errors, 0u);
}

TEST_F(Auth, PlainInTwoSteps) {
    greet();
    play(R"(
        C: AUTH plain
        S: 334 
        C: AGJvYgBzZWNyZXQ=
        S: 235 2.7.0 *
    )");
}

TEST_F(Auth, Login) {
    greet();
    play(R"(
        C: AUTH LOGIN
        S: 334 VXNlcm5hbWU6
        C: Ym9i
        S: 334 UGFzc3dvcmQ6
        C: c2VjcmV0
        S: 235 2.7.0 *
    )");
    EXPECT_EQ(accounts.asked.at(0).password, "secret");
}

TEST_F(Auth, LoginWithAnInitialResponse) {
    greet();
    play(R"(
        C: AUTH LOGIN Ym9i
        S: 334 UGFzc3dvcmQ6
        C: c2VjcmV0
        S: 235 2.7.0 *
    )");
}

TEST_F(Auth, ALongResponse) {
    accounts.passwords["bob"] = std::string(511, 'p');
    greet();
    play("C: AUTH PLAIN\nS: 334 \nC: " + encode_base64("\0bob\0"s + std::string(511, 'p')) +
         "\nS: 235 *");
}

// RFC 4954 4: 12288 octets with CRLF.
TEST_F(Auth, ResponsesHaveALimit) {
    greet();
    play("C: AUTH PLAIN\nS: 334 \nC: " + std::string(12287, 'A') +
         "\nS: 500 5.5.6 Authentication exchange line is too long\nC: NOOP\nS: 250 *\n"
         "C: AUTH PLAIN\nS: 334 \nC: " +
         std::string(12284, 'A') + "\nS: 501 5.5.2 *\n");
    EXPECT_TRUE(accounts.asked.empty());
}

TEST_F(Auth, WhatItIsOfferedUnder) {
    settings->addresses[0].tls.mode = TlsMode::offered;
    play(R"(
        S: 220 *
        C: EHLO client.example
        offers STARTTLS !AUTH
        C: AUTH PLAIN AGJvYgBzZWNyZXQ=
        S: 538 5.7.11 Encryption required for requested authentication mechanism
        C: MAIL FROM:<bob@client.example> AUTH=<>
        S: 555 5.5.4 *
        C: STARTTLS
        S: 220 *
        C: AUTH PLAIN AGJvYgBzZWNyZXQ=
        S: 503 5.5.1 Say EHLO or HELO first
        C: EHLO client.example
        offers AUTH !STARTTLS
        C: AUTH PLAIN AGJvYgBzZWNyZXQ=
        S: 235 *
    )");
    EXPECT_EQ(accounts.asked.size(), 1u);
}

TEST_F(Auth, IsNotThereWhereItIsNotConfigured) {
    options() = AuthOptions();
    play(R"(
        S: 220 *
        C: EHLO client.example
        offers !STARTTLS !AUTH
        C: AUTH PLAIN AGJvYgBzZWNyZXQ=
        S: 502 5.5.1 Command not implemented
    )");
}

TEST_F(Auth, HasItsPlace) {
    greet();
    play(R"(
        C: AUTH CRAM-MD5
        S: 504 5.5.4 Authentication mechanism not supported
        C: AUTH
        S: 501 5.5.4 *
        C: MAIL FROM:<bob@client.example> AUTH=<>
        S: 250 *
        C: AUTH PLAIN AGJvYgBzZWNyZXQ=
        S: 503 5.5.1 AUTH is not possible during a transaction
        C: RSET
        S: 250 *
        C: AUTH PLAIN AGJvYgBzZWNyZXQ=
        S: 235 *
        C: AUTH PLAIN AGJvYgBzZWNyZXQ=
        S: 503 5.5.1 Authenticated already
        C: RSET
        S: 250 *
        C: EHLO client.example
        offers PIPELINING
        C: AUTH LOGIN
        S: 503 5.5.1 Authenticated already
        C: MAIL FROM:<bob@client.example> AUTH=bob+4zclient.example
        S: 501 5.5.4 *
        C: MAIL FROM:<bob@client.example> AUTH=bob@client.example
        S: 250 *
    )");
}

TEST_F(Auth, CancelledAndMalformed) {
    greet();
    play(R"(
        C: AUTH LOGIN
        S: 334 *
        C: *
        S: 501 5.7.0 Authentication cancelled
        C: AUTH LOGIN
        S: 334 *
        C: Ym9i
        S: 334 *
        C: *
        S: 501 5.7.0 *
        C: AUTH PLAIN *
        S: 501 5.5.2 Cannot decode as base64
        C: AUTH PLAIN AGJvYgBzZWNyZXQ
        S: 501 5.5.2 *
        C: AUTH PLAIN =
        S: 501 5.5.2 Not a response of this authentication mechanism
        C: AUTH PLAIN
        S: 334 *
        C: =
        S: 501 5.5.2 *
        C: AUTH PLAIN
        S: 334 *
        C:
        S: 501 5.5.2 *
        C: AUTH PLAIN Ym9i
        S: 501 5.5.2 *
        C: AUTH PLAIN
        S: 334 *
        C= AGJvYgBzZWNyZXQ=\n
        S: 500 5.5.2 *
        C: NOOP
        S: 250 *
    )");
    EXPECT_TRUE(accounts.asked.empty());
    EXPECT_EQ(counters.errors, 9u);
    EXPECT_EQ(counters.auth_failures, 0u);
}

// The same words whatever is wrong, after a delay that grows.
TEST_F(Auth, Failures) {
    greet();
    play(R"(
        C: AUTH PLAIN AGJvYgB3cm9uZw==
        silence
        pass 1s
        S: 535 5.7.8 Authentication credentials invalid
        C: AUTH LOGIN
        S: 334 *
        C: bm9ib2R5
        S: 334 *
        C: c2VjcmV0
        pass 1s
        silence
        pass 1s
        S: 535 5.7.8 Authentication credentials invalid
        C: AUTH PLAIN cm9vdABib2IAc2VjcmV0
        pass 3s
        silence
        pass 1s
        S: 421 4.7.0 mx.test.example Too many failed authentications
        closed
    )");
    EXPECT_EQ(accounts.asked.size(), 2u) << "nobody acts for somebody else";
    EXPECT_EQ(counters.auth_failures, 3u);
    // The next session of this client pays for it, but not whoever has the right password.
    connect();
    greet();
    play(R"(
        C: AUTH PLAIN AGJvYgB3cm9uZw==
        pass 7s
        silence
        pass 1s
        S: 535 *
        C: AUTH PLAIN AGJvYgBzZWNyZXQ=
        S: 235 *
    )");
}

// What a check takes is a part of the delay, as long as it is shorter.
TEST_F(Auth, TheTimeOfAFailureDoesNotTellWhoExists) {
    accounts.check = 800ms;
    struct Row {
        const char* client;
        const char* initial_response;
    } rows[] = {{"192.0.2.8", "AGJvYgB3cm9uZw=="}, {"192.0.2.9", "AGV2ZQB3cm9uZw=="}}; // bob, eve
    for (const Row& row : rows) {
        client_address = *IpAddress::parse(row.client);
        connect();
        greet();
        play("C: AUTH PLAIN " + std::string(row.initial_response));
        time.advance(999ms);
        play("silence");
        time.advance(1ms);
        play("S: 535 5.7.8 *");
    }
    accounts.check = 10s;
    play(R"(
        C: AUTH PLAIN AGJvYgB3cm9uZw==
        pass 9s
        silence
        pass 1s
        S: 535 5.7.8 *
    )");
}

TEST_F(Auth, WithoutAnAnswerOfLookup) {
    accounts.away = true;
    greet();
    play(R"(
        C: AUTH PLAIN AGJvYgBzZWNyZXQ=
        S: 454 4.7.0 Temporary authentication failure: try again later
    )");
    accounts.away = false;
    play(log_in);
    EXPECT_EQ(counters.auth_temporary, 1u);
}

TEST_F(Auth, TheClientLeavesOrKeepsUsWaiting) {
    greet();
    play(R"(
        C: AUTH LOGIN
        S: 334 *
        pass 5m
        S: 421 4.4.2 *
        closed
    )");
    connect();
    greet();
    play("C: AUTH LOGIN\nS: 334 *\nclose\nclosed");
    connect();
    greet();
    play("C: AUTH LOGIN\nS: 334 *");
    session->drain();
    play("S: 421 4.3.2 *\nclosed");
}

TEST_F(Auth, ADrainDuringTheDelay) {
    greet();
    play("C: AUTH PLAIN AGJvYgB3cm9uZw==\nsilence");
    session->drain();
    play("silence\npass 1s\nS: 535 *\nS: 421 4.3.2 *\nclosed");
    connect();
    greet();
    play("C: AUTH PLAIN AGJvYgB3cm9uZw==\nsilence");
    session->cut_off();
    play("S: 421 4.3.2 *\nclosed");
}

TEST_F(Auth, WhereItIsRequiredNoMailComesBefore) {
    options().mode = AuthMode::required;
    greet();
    play(R"(
        C: MAIL FROM:<bob@client.example>
        S: 530 5.7.0 Authentication required
        C: RCPT TO:<b@dest.example>
        S: 530 5.7.0 *
        C: DATA
        S: 530 5.7.0 *
        C: VRFY postmaster
        S: 530 5.7.0 *
        C= BDAT 12 LAST\r\nNOT COMMANDS
        S: 530 5.7.0 Authentication required
        C: NOOP
        S: 250 *
        C: RSET
        S: 250 *
        C: STARTTLS
        S: 503 *
        C: NONSENSE
        S: 500 *
        C: AUTH PLAIN AGJvYgBzZWNyZXQ=
        S: 235 *
        C: MAIL FROM:<bob@client.example>
        S: 250 *
        C: RCPT TO:<b@dest.example>
        S: 250 *
    )");
    EXPECT_EQ(lookup.queries.size(), 1u);
}

TEST_F(Auth, WhereItIsRequiredTlsComesFirst) {
    settings->addresses[0].tls.mode = TlsMode::offered;
    options().mode = AuthMode::required;
    play(R"(
        S: 220 *
        C: EHLO client.example
        offers STARTTLS
        C: AUTH PLAIN AGJvYgBzZWNyZXQ=
        S: 538 5.7.11 *
        C: MAIL FROM:<bob@client.example>
        S: 530 5.7.0 Must issue a STARTTLS command first
        C: RSET
        S: 250 *
    )");
}

TEST_F(Auth, RulesAndTheTraceFieldLearnOfIt) {
    greet();
    play(log_in);
    const std::string content = sent("Date: x\\r\\nMessage-ID: <y>\\r\\n\\r\\n");
    EXPECT_EQ(lookup.queries.at(0).origin.authenticated, "bob");
    EXPECT_EQ(queue.messages[0].submit.envelope.origin.authenticated, "bob");
    EXPECT_NE(content.find("\tby mx.test.example with ESMTPSA id "), content.npos) << content;
    EXPECT_EQ(content.find("(authenticated"), content.npos) << "nobody else's business";
}

TEST_F(Auth, TheTraceFieldSaysWhoItWasIfItIsTo) {
    options().in_received = true;
    greet();
    std::string content = sent("\\r\\n");
    EXPECT_NE(content.find(" with ESMTPS id "), content.npos) << content;
    EXPECT_EQ(content.find("(authenticated"), content.npos);
    EXPECT_EQ(lookup.queries.at(0).origin.authenticated, "");
    play(log_in);
    content = sent("\\r\\n");
    EXPECT_NE(content.find("\r\n\t(authenticated as bob)\r\n"), content.npos) << content;
}

TEST_F(Auth, SendersAreTheUsersOwn) {
    options().senders = "senders";
    accounts.senders["bob"] = {"bob@client.example"};
    greet();
    // Without a user there are no addresses that are his.
    play(R"(
        C: MAIL FROM:<anybody@client.example>
        S: 250 *
        C: RSET
        S: 250 *
    )");
    EXPECT_TRUE(accounts.sender_queries.empty());
    play(log_in);
    play(R"(
        C: MAIL FROM:<eve@client.example>
        S: 550 5.7.1 Sender address rejected: not owned by user
        C: RCPT TO:<b@dest.example>
        S: 503 5.5.1 MAIL first
        C: MAIL FROM:<>
        S: 550 5.7.1 *
        C: MAIL FROM:<bob@Client.example>
        S: 250 2.1.0 *
    )");
    ASSERT_EQ(accounts.sender_queries.size(), 3u);
    EXPECT_EQ(accounts.sender_queries[0].table, "senders");
    EXPECT_EQ(accounts.sender_queries[0].user, "bob");
    EXPECT_EQ(counters.auth_senders_refused, 2u);
    accounts.away = true;
    play(R"(
        C: RSET
        S: 250 *
        C: MAIL FROM:<bob@client.example>
        S: 451 4.3.0 *
    )");
}

// RFC 6409 8.2, 8.3

struct Header {
    const char* sent; // with escapes
    const char* added;
};
class Completed : public Auth, public testing::WithParamInterface<Header> {};

TEST_P(Completed, BehindTheTraceField) {
    greet();
    play(log_in);
    const std::string message = unescape(GetParam().sent);
    const std::string added = unescape(GetParam().added);
    const std::string content = sent(GetParam().sent);
    const std::string date = "Mon, 23 Nov 2026 12:00:00 +0000\r\n"; // ends the trace field
    const size_t trace = content.find(date) + date.size();
    EXPECT_EQ(content.substr(trace), added + message);
    const size_t empty_line = ("\r\n" + message).find("\r\n\r\n");
    const size_t header =
        empty_line == std::string::npos ? message.size() : empty_line + 2; // with it
    EXPECT_EQ(queue.messages[0].submit.traits.header_length, trace + added.size() + header);
}

#define A_DATE "Date: Mon, 23 Nov 2026 12:00:00 +0000\\r\\n"
#define AN_ID "Message-ID: <1795435200.0000000000005e55-1@mx.test.example>\\r\\n"

INSTANTIATE_TEST_SUITE_P(
    Table, Completed,
    testing::Values(Header{R"(Subject: x\r\n\r\nDate: y\r\nMessage-ID: z\r\n)", A_DATE AN_ID},
                    Header{R"(Subject: x\r\nDATE : y\r\n\r\nbody\r\n)", AN_ID},
                    Header{R"(Message-Id: <y@z>\r\n\r\n)", A_DATE},
                    Header{R"(Date: x\r\nmessage-id:\r\n <y@z>\r\n\r\nbody\r\n)", ""},
                    Header{R"(Subject: no body\r\n)", A_DATE AN_ID},
                    Header{R"(\r\nbody\r\n)", A_DATE AN_ID}));

TEST_F(Auth, ContentInChunksIsCompletedToo) {
    greet();
    play(log_in);
    play(R"(
        C: MAIL FROM:<bob@client.example>
        S: 250 *
        C: RCPT TO:<b@dest.example>
        S: 250 *
        C= BDAT 9\r\nSubject: 
        S: 250 *
        C= BDAT 5 LAST\r\nx\r\n\r\n
        S: 250 *
    )");
    const std::string& content = queue.messages.at(0).content;
    EXPECT_TRUE(content.ends_with(unescape(A_DATE AN_ID) + "Subject: x\r\n\r\n")) << content;
}

TEST_F(Auth, NobodyElsesMailIsTouched) {
    greet();
    const std::string content = sent("Subject: x\\r\\n\\r\\n");
    EXPECT_TRUE(content.ends_with("+0000\r\nSubject: x\r\n\r\n")) << content;
}

TEST_F(Auth, LargeMailIsCompletedToo) {
    greet();
    play(log_in);
    play("C: MAIL FROM:<bob@client.example>\nS: 250 *\nC: RCPT TO:<b@dest.example>\nS: 250 *\n"
         "C: DATA\nS: 354 *");
    std::string message = "Subject: x\r\n\r\n";
    while (message.size() < 400'000)
        message += std::string(70, 'x') + "\r\n";
    send(message);
    play("C: .\nS: 250 *");
    ASSERT_TRUE(queue.messages[0].in_file);
    const std::string& content = queue.messages[0].content;
    EXPECT_TRUE(content.ends_with(unescape(A_DATE AN_ID) + message));
    EXPECT_EQ(queue.messages[0].submit.file_length, content.size());
}

// What is held back is bounded: beyond that a message stays as it is.
TEST_F(Auth, AHeaderSectionWithoutEndIsNotHeldBack) {
    greet();
    play(log_in);
    play("C: MAIL FROM:<bob@client.example>\nS: 250 *\nC: RCPT TO:<b@dest.example>\nS: 250 *\n"
         "C: DATA\nS: 354 *");
    std::string message;
    while (message.size() < 400'000)
        message += "X-Field: " + std::string(70, 'x') + "\r\n";
    send(message);
    EXPECT_EQ(queue.files_opened, 1);
    play("C: .\nS: 250 *");
    const std::string& content = queue.messages[0].content;
    EXPECT_EQ(content.substr(content.find("X-Field")), message);
    EXPECT_EQ(content.find("\r\nDate:"), content.npos);
}

} // namespace
} // namespace postern::listener::test
