// Sessions behind a proxy.
#include "regress/unit/listener/dialogue.h"

namespace postern::listener::test {
namespace {

class Proxied : public Dialogue {
  public:
    Proxied() {
        settings->addresses[0].proxy = ProxyProtocol::v1_or_v2;
        client_address = *IpAddress::parse("192.0.2.100"); // the proxy's
    }
};

TEST_F(Proxied, TheClientIsTheOneBehindIt) {
    resolver.pointers[*IpAddress::parse("198.51.100.7")] = {"client.example"};
    resolver.addresses.emplace("client.example", *IpAddress::parse("198.51.100.7"));
    play(R"(
        silence
        C: PROXY TCP4 198.51.100.7 192.0.2.1 4711 25
        S: 220 *
        C: EHLO client.example
        offers PIPELINING
    )");
    send_mail();
    EXPECT_EQ(lookup.queries[0].origin.client, *IpAddress::parse("198.51.100.7"));
    EXPECT_NE(queue.messages[0].content.find("(client.example [198.51.100.7])"), std::string::npos);
}

TEST_F(Proxied, InPieces) {
    connect();
    for (char c : std::string_view("PROXY TCP6 2001:db8::7 2001:db8::1 4711 25\r\n")) {
        EXPECT_EQ(receive(), "");
        send({&c, 1});
    }
    play("S: 220 *\nC: NOOP\nS: 250 *");
}

TEST_F(Proxied, AHealthCheckIsTheProxysOwn) {
    play(R"(
        C= \r\n\r\n\0\r\nQUIT\n\x20\x00\0\0
        S: 220 *
        C: QUIT
        S: 221 *
        closed
    )");
    EXPECT_EQ(counters.refused_proxy, 0u);
}

TEST_F(Proxied, WithoutAGoodHeaderThereIsNoSession) {
    for (const char* first : {"EHLO client.example\r\n", "PROXY UNKNOWN\r\n",
                              "PROXY TCP4 x y 1 2\r\n", "\r\nEHLO x\r\n"}) {
        connect();
        send(first);
        EXPECT_EQ(receive(), "") << first;
        play("closed");
    }
    EXPECT_EQ(counters.refused_proxy, 4u);
}

TEST_F(Proxied, OnlyVersionTwoIfSaid) {
    settings->addresses[0].proxy = ProxyProtocol::only_v2;
    play("C: PROXY TCP4 198.51.100.7 192.0.2.1 4711 25\nclosed");
    connect();
    play(R"(
        C= \r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc6\x33\x64\x07\xc0\0\x02\x01\x12\x67\0\x19
        S: 220 *
    )");
}

// The limit is for the whole of it.
TEST_F(Proxied, WithinTenSeconds) {
    play(R"(
        pass 6s
        C= PROXY
        pass 3s
        open
        pass 1s
        closed
    )");
    EXPECT_EQ(counters.refused_proxy, 1u);
}

TEST_F(Proxied, EarlyTalkersAreSeenBehindTheHeader) {
    play(R"(
        C: PROXY TCP4 198.51.100.7 192.0.2.1 4711 25
        C: EHLO client.example
        S: 554 5.5.1 *
        S: 503 5.5.1 *
        C: QUIT
        S: 221 *
        closed
    )");
}

TEST_F(Proxied, LimitsAreThoseOfTheClient) {
    settings->clients.per_address.session_rate = 1;
    play("C: PROXY TCP4 198.51.100.7 192.0.2.1 4711 25\nS: 220 *");
    connect();
    play("C: PROXY TCP4 198.51.100.8 192.0.2.1 4711 25\nS: 220 *");
    connect();
    play("C: PROXY TCP4 198.51.100.7 192.0.2.1 4711 25\nS: 421 4.7.0 *\nclosed");
}

} // namespace
} // namespace postern::listener::test
