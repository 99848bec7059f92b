// XCLIENT: somebody whom we trust says for whom it speaks.
#include "regress/unit/listener/dialogue.h"

namespace postern::listener::test {
namespace {

class Xclient : public Dialogue {
  public:
    Xclient() {
        settings->addresses[0].xclient_from = {*Network::parse("192.0.2.0/24")};
        resolver.pointers[*IpAddress::parse("198.51.100.7")] = {"seven.example"};
        resolver.addresses.emplace("seven.example", *IpAddress::parse("198.51.100.7"));
    }
    // What these attributes say is taken, and the session begins anew.
    void speak_for(const std::string& attributes) {
        play("C: XCLIENT " + attributes + "\nS: 220 *\nC: EHLO x.example\noffers XCLIENT");
    }
};

TEST_F(Xclient, TheClientIsWhoWasNamed) {
    play(R"(
        S: 220 *
        C: EHLO proxy.example
        S: 250-mx.test.example Hello proxy.example
        offers XCLIENT
        C: XCLIENT NAME=spike.example ADDR=198.51.100.7 HELO=spike.helo PROTO=SMTP
        S: 220 mx.test.example ESMTP Postern
        C: MAIL FROM:<a@client.example>
        S: 503 5.5.1 Say EHLO or HELO first
        C: EHLO proxy.example
        offers XCLIENT
    )");
    send_mail();
    const ipc::Origin& origin = lookup.queries.at(0).origin;
    EXPECT_EQ(origin.client, *IpAddress::parse("198.51.100.7"));
    EXPECT_EQ(origin.reverse_name, "spike.example");
    EXPECT_EQ(origin.helo, "spike.helo");
    EXPECT_TRUE(queue.messages[0].content.starts_with(
        "Received: from spike.helo (spike.example [198.51.100.7])\r\n"
        "\tby mx.test.example with SMTP id "))
        << queue.messages[0].content;
}

TEST_F(Xclient, WithoutANameTheDnsIsAsked) {
    greet();
    speak_for("ADDR=198.51.100.7");
    send_mail();
    EXPECT_EQ(lookup.queries.at(0).origin.reverse_name, "seven.example");
    EXPECT_EQ(lookup.queries.at(0).origin.helo, "x.example");
    speak_for("NAME=[UNAVAILABLE]");
    send_mail();
    EXPECT_EQ(lookup.queries.at(1).origin.reverse_name, "");
}

// An answer about the one before must not be taken for the new client's.
TEST_F(Xclient, LateAnswersFromTheDnsDoNotCount) {
    resolver.pointers[client_address] = {"proxy.example"};
    resolver.addresses.emplace("proxy.example", client_address);
    resolver.delay = 500ms;
    greet();
    speak_for("ADDR=198.51.100.7");
    play("pass 3s");
    send_mail();
    EXPECT_EQ(lookup.queries.at(0).origin.reverse_name, "seven.example");
}

// A name is that of its address.
TEST_F(Xclient, TheNameOfOneClientIsNotThatOfTheNext) {
    greet();
    play("C: XCLIENT NAME=good.example ADDR=198.51.100.9\nS: 220 *");
    speak_for("ADDR=198.51.100.7");
    send_mail();
    EXPECT_EQ(lookup.queries.at(0).origin.reverse_name, "seven.example");
}

// Whose name is given is not looked up, and nobody waits for the answer.
TEST_F(Xclient, AGivenNameIsNotWaitedFor) {
    resolver.delay = 1h;
    greet();
    speak_for("NAME=good.example ADDR=198.51.100.9");
    play("C: MAIL FROM:<a@client.example>\nS: 250 *");
}

TEST_F(Xclient, LoginIsAuthentication) {
    settings->addresses[0].auth.mode = AuthMode::required;
    settings->addresses[0].auth.in_received = true;
    greet();
    play("C: MAIL FROM:<a@client.example>\nS: 530 5.7.0 *");
    speak_for("ADDR=198.51.100.7 LOGIN=Alice");
    send_mail();
    EXPECT_EQ(lookup.queries.at(0).origin.authenticated, "alice");
    EXPECT_NE(queue.messages[0].content.find(" with ESMTPA id "), std::string::npos);
    EXPECT_NE(queue.messages[0].content.find("(authenticated as alice)"), std::string::npos);
    // Who it is has to be said each time.
    speak_for("ADDR=198.51.100.7");
    play("C: MAIL FROM:<a@client.example>\nS: 530 5.7.0 *");
}

TEST_F(Xclient, OnlyForThoseWhoAreTrusted) {
    client_address = *IpAddress::parse("203.0.113.9");
    play(R"(
        S: 220 *
        C: EHLO client.example
        offers !XCLIENT
        C: XCLIENT ADDR=192.0.2.7 LOGIN=alice
        S: 550 5.7.1 *
        C: MAIL FROM:<a@client.example>
        S: 250 *
        C: RCPT TO:<user@dest.example>
        S: 250 *
    )");
    EXPECT_EQ(lookup.queries.at(0).origin.client, client_address);
    EXPECT_EQ(lookup.queries.at(0).origin.authenticated, "");
    // Nor for the one that was named, by whatever address.
    settings->addresses[0].xclient_from.clear();
    connect();
    greet();
    play("C: XCLIENT ADDR=192.0.2.7\nS: 502 5.5.1 *");
}

TEST_F(Xclient, ItMayBeSaidAgain) {
    greet();
    play("C: XCLIENT ADDR=198.51.100.7\nS: 220 *");
    speak_for("ADDR=198.51.100.8");
    send_mail();
    EXPECT_EQ(lookup.queries.at(0).origin.client, *IpAddress::parse("198.51.100.8"));
}

TEST_F(Xclient, Mistakes) {
    begin_mail();
    play(R"(
        C: XCLIENT ADDR=198.51.100.7
        S: 503 5.5.1 *
        C: DATA
        S: 354 *
        C: .
        S: 250 *
        C: XCLIENT ADDR=nonsense
        S: 501 5.5.4 *
        C: XCLIENT
        S: 501 5.5.4 *
    )");
    EXPECT_EQ(lookup.queries.at(0).origin.client, client_address);
}

TEST_F(Xclient, LimitsAreThoseOfTheClient) {
    settings->clients.per_address.session_rate = 1;
    greet();
    play("C: XCLIENT ADDR=198.51.100.7\nS: 220 *\n"
         "C: XCLIENT ADDR=198.51.100.8\nS: 220 *\n"
         "C: XCLIENT ADDR=198.51.100.7\nS: 421 4.7.0 *\nclosed");
}

TEST_F(Xclient, NoStarttlsAfterIt) {
    encryption.emplace();
    settings->addresses[0].tls.mode = TlsMode::offered;
    play(R"(
        S: 220 *
        C: EHLO proxy.example
        offers STARTTLS XCLIENT
        C: XCLIENT ADDR=198.51.100.7
        S: 220 *
        C: EHLO proxy.example
        offers !STARTTLS XCLIENT
        C: STARTTLS
        S: 503 5.5.1 *
    )");
    // Under TLS it is no different.
    connect();
    play(R"(
        S: 220 *
        C: EHLO proxy.example
        offers STARTTLS
        C: STARTTLS
        S: 220 *
        C: XCLIENT ADDR=198.51.100.7
        S: 220 *
        C: EHLO proxy.example
        offers !STARTTLS
    )");
    send_mail();
    EXPECT_NE(queue.messages[0].content.find(" with ESMTPS id "), std::string::npos);
}

TEST_F(Xclient, WhereTlsIsRequiredItComesFirst) {
    encryption.emplace();
    settings->addresses[0].tls.mode = TlsMode::required;
    greet();
    play("C: XCLIENT ADDR=198.51.100.7\nS: 530 5.7.0 *");
}

} // namespace
} // namespace postern::listener::test
