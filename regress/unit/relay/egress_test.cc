// Deliveries through proxies: what is told to them, and who is blamed for what goes wrong.
#include "regress/unit/relay/delivery_fixture.h"

namespace postern::relay {
namespace {

struct EgressTest : DeliveryTest {
    EgressTest() {
        network.address("dual.example", "2001:db8::21");
        network.address("dual.example", "192.0.2.21");
        network.address("one.example", "192.0.2.11");
    }
    ~EgressTest() override {
        time.advance(10s);
        EXPECT_EQ(network.errors(), "");
    }
    // To the hosts, through 192.0.2.99.
    ipc::Deliver through(EgressProtocol protocol, const std::vector<std::string>& hosts) {
        ipc::Deliver deliver = order();
        for (const std::string& name : hosts) {
            RelayTarget target;
            target.host.host = name;
            if (!deliver.route.host)
                deliver.route.host = target.host;
            else
                deliver.route.others.push_back(target);
        }
        EgressProxy& proxy = deliver.route.proxy.emplace();
        proxy.protocol = protocol;
        proxy.host = "192.0.2.99";
        deliver.route.sources = {{*IpAddress::parse("192.0.2.77"), ""}};
        deliver.route.credentials = "secrets";
        return deliver;
    }
    // The proxy, or a server by way of it.
    bool is_slow(const std::string& address, uint16_t port, const std::string& from) const {
        return slow.is_slow({Endpoint{*IpAddress::parse(address), port}, from}, time.now());
    }
    bool proxy_is_slow(EgressProtocol protocol = EgressProtocol::proxy_v2) const {
        return is_slow("192.0.2.99", 1080, protocol == EgressProtocol::socks5 ? "192.0.2.77" : "");
    }
    bool server_is_slow() const { return is_slow("192.0.2.11", 25, by_proxy); }
    // Begins one, and lets it go on while others come and go.
    void begin(ipc::Deliver order) {
        under_way.spawn([](EgressTest& test, ipc::Deliver order) -> Task<void> {
            Surroundings around{test.network, test.destinations, test.slow, test.tls, test.random};
            ipc::Outcome outcome = co_await deliver(around, test.identity, std::move(order));
            test.delivered += outcome.recipients[0].status == RecipientStatus::delivered;
        }(*this, std::move(order)));
    }
    static inline const std::string by_proxy = "192.0.2.77 192.0.2.99:1080";
    int delivered = 0;
    TaskGroup under_way;
};

// The next octets of a next hop: the header for a connection from 192.0.2.77 to an address with
// this last octet, to port 25.
std::string told(const std::string& last_octet) {
    return "C= \\r\\n\\r\\n\\0\\r\\nQUIT\\n\\x21\\x11\\0\\x0c\\xc0\\0\\x02\\x4d\\xc0\\0\\x02\\x" +
           last_octet + "\\0\\0\\0\\x19\n";
}

// The source is said, and not bound.
TEST_F(EgressTest, AProxyIsToldByAHeaderFromWhereToWhom) {
    network.serve("192.0.2.99:1080", told("0b") + hello + takes + leave);
    EXPECT_EQ(run(through(EgressProtocol::proxy_v2, {"one.example"})),
              "delivered 2.6.0 one.example[192.0.2.11]:25");
    EXPECT_EQ(network.tried(), "192.0.2.99:1080");
    EXPECT_EQ(network.sources(), "");
}

TEST_F(EgressTest, ThereIsASourceForEachFamilyOrNone) {
    const std::string six =
        "C= \\r\\n\\r\\n\\0\\r\\nQUIT\\n\\x21\\x21\\0\\x24"
        "\\x20\\x01\\x0d\\xb8\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\x77"
        "\\x20\\x01\\x0d\\xb8\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\x21\\0\\0\\0\\x19\n";
    std::string named = hello;
    named.replace(named.find("gw.example"), 10, "six.example");
    ipc::Deliver both = through(EgressProtocol::proxy_v2, {"dual.example"});
    both.route.sources.push_back({*IpAddress::parse("2001:db8::77"), "six.example"});
    network.serve("192.0.2.99:1080", six + named + takes + leave);
    EXPECT_EQ(run(std::move(both)), "delivered 2.6.0 dual.example[2001:db8::21]:25");

    network.serve("192.0.2.99:1080", told("15") + hello + takes + leave);
    EXPECT_EQ(run(through(EgressProtocol::proxy_v2, {"dual.example"})),
              "delivered 2.6.0 dual.example[192.0.2.21]:25");

    ipc::Deliver none = through(EgressProtocol::proxy_v2, {"one.example"});
    none.route.sources = {{*IpAddress::parse("2001:db8::77"), ""}};
    EXPECT_EQ(run(std::move(none)), "temporary 4.4.1 ");
    none = through(EgressProtocol::proxy_v2, {"one.example"});
    none.route.sources.clear();
    EXPECT_EQ(run(std::move(none)), "temporary 4.3.5 ");
    EXPECT_EQ(network.tried(), "192.0.2.99:1080 192.0.2.99:1080");
}

// It closes when it cannot connect: that is the server's failure, and there may be another one.
TEST_F(EgressTest, AProxyThatClosesCouldNotConnect) {
    network.serve("192.0.2.99:1080", told("0b") + "close");
    network.serve("192.0.2.99:1080", told("15") + hello + takes + leave);
    EXPECT_EQ(run(through(EgressProtocol::proxy_v2, {"one.example", "dual.example"})),
              "delivered 2.6.0 dual.example[192.0.2.21]:25");
    network.serve("192.0.2.99:1080", told("0b") + "wait 6\n close");
    EXPECT_EQ(run(through(EgressProtocol::proxy_v2, {"one.example"})),
              "temporary 4.4.2 one.example[192.0.2.11]:25");
    EXPECT_TRUE(outcome.destination_down);
    EXPECT_EQ(outcome.recipients[0].diagnostic, "connection closed while waiting for the greeting "
                                                "(through proxy [192.0.2.99]:1080)");
    EXPECT_TRUE(server_is_slow());
    EXPECT_FALSE(proxy_is_slow());
}

TEST_F(EgressTest, ASocksProxyIsConnectedToFromTheSourceAndAsked) {
    network.serve("192.0.2.99:1080",
                  "C= \\x05\\x01\\0\n raw \x05" + std::string(1, '\0') +
                      "\n C= \\x05\\x01\\0\\x04"
                      "\\x20\\x01\\x0d\\xb8\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\x21"
                      "\\0\\x19\n raw \x05" +
                      std::string("\0\0\1\0\0\0\0\0\0", 9) + "\n" + hello + takes + leave);
    EXPECT_EQ(run(through(EgressProtocol::socks5, {"dual.example"})),
              "delivered 2.6.0 dual.example[2001:db8::21]:25");
    EXPECT_EQ(network.sources(), "192.0.2.77 ");
}

// It would cost every message its wait, and every host of the list.
TEST_F(EgressTest, AProxyThatIsAwayEndsTheWalkAndIsLeftAloneForAWhile) {
    for (const EgressProtocol protocol : {EgressProtocol::socks5, EgressProtocol::proxy_v2}) {
        const std::vector<std::string> hosts = {"one.example", "dual.example"};
        const std::string tried = network.tried();
        const std::string once = (tried.empty() ? "" : " ") + std::string("192.0.2.99:1080");
        network.fail("192.0.2.99:1080", ETIMEDOUT, 30s);
        EXPECT_EQ(run(through(protocol, hosts)), "temporary 4.4.2 ");
        EXPECT_FALSE(outcome.destination_down);
        EXPECT_FALSE(server_is_slow());
        const TimePoint before = time.now();
        EXPECT_EQ(run(through(protocol, hosts)), "temporary 4.4.2 ");
        EXPECT_EQ(time.now(), before);
        EXPECT_EQ(network.tried(), tried + once);
        time.advance(SlowAddresses::remembered);
        run(through(protocol, hosts));
        EXPECT_EQ(network.tried(), tried + once + " 192.0.2.99:1080");
        time.advance(SlowAddresses::remembered);
    }
}

TEST_F(EgressTest, WhoBeginsWhileAProxyDoesNotAnswerDoesNotWaitForIt) {
    network.serve("192.0.2.99:1080", told("0b") + hello + takes + leave, 9s);
    begin(through(EgressProtocol::proxy_v2, {"one.example"}));
    time.advance(6s);
    EXPECT_EQ(run(through(EgressProtocol::proxy_v2, {"one.example"})), "temporary 4.4.2 ");
    EXPECT_EQ(network.tried(), "192.0.2.99:1080");
    EXPECT_EQ(delivered, 0);
    time.advance(4s);
    EXPECT_EQ(delivered, 1);
    EXPECT_FALSE(proxy_is_slow()) << "it has answered after all";
}

// A packet is lost, while others pass: that is no reason to turn anybody away.
TEST_F(EgressTest, AProxyThatOthersGetThroughIsNotTakenForAway) {
    const auto to_one = [this] { return through(EgressProtocol::proxy_v2, {"one.example"}); };
    const std::string passes = told("0b") + hello + takes + leave;
    network.serve("192.0.2.99:1080", passes, 8s);
    begin(to_one());
    time.advance(2s);
    network.serve("192.0.2.99:1080", passes);
    EXPECT_EQ(run(to_one()), "delivered 2.6.0 one.example[192.0.2.11]:25");
    time.advance(4s); // the connection that was kept is closed, and the first one still waits
    EXPECT_FALSE(proxy_is_slow());
    network.serve("192.0.2.99:1080", passes);
    EXPECT_EQ(run(to_one()), "delivered 2.6.0 one.example[192.0.2.11]:25");
    time.advance(4s);
    EXPECT_EQ(delivered, 1);

    // Whoever was on the way already, and gets an answer, lifts it for all.
    network.serve("192.0.2.99:1080", passes, 29s);
    begin(to_one());
    time.advance(4s);
    network.serve("192.0.2.99:1080", passes, 3s);
    begin(to_one());
    time.advance(2s);
    EXPECT_TRUE(proxy_is_slow());
    time.advance(2s);
    EXPECT_EQ(delivered, 2);
    EXPECT_FALSE(proxy_is_slow());
    time.advance(30s);
    EXPECT_EQ(delivered, 3);
}

TEST_F(EgressTest, OneFindsOutWhetherAProxyIsBack) {
    const auto to_one = [this] { return through(EgressProtocol::proxy_v2, {"one.example"}); };
    network.fail("192.0.2.99:1080", ETIMEDOUT, 30s);
    run(to_one());
    time.advance(SlowAddresses::remembered);
    const std::string before = network.tried();
    begin(to_one());
    for (int i = 0; i < 3; ++i)
        EXPECT_EQ(run(to_one()), "temporary 4.4.2 ");
    EXPECT_EQ(network.tried(), before + " 192.0.2.99:1080") << "the others did not wait";
    time.advance(30s);
}

// It takes connections, or the kernel does for it, and nothing comes. One silent server says
// nothing of the proxy, nor does the silence of the server anything where the proxy may be to
// blame.
TEST_F(EgressTest, AProxyThatIsSilentForAllIsToBlame) {
    const auto to = [this](const std::vector<std::string>& hosts) {
        return through(EgressProtocol::proxy_v2, hosts);
    };
    const auto other = [&](const std::vector<std::string>& hosts) {
        ipc::Deliver deliver = to(hosts);
        deliver.route.action = "another";
        return deliver;
    };
    network.serve("192.0.2.99:1080", told("0b") + "silence");
    EXPECT_EQ(run(to({"one.example"})), "temporary 4.4.2 one.example[192.0.2.11]:25");
    EXPECT_EQ(outcome.recipients[0].diagnostic, "timed out while waiting for the greeting (through "
                                                "proxy [192.0.2.99]:1080)");
    EXPECT_FALSE(outcome.destination_down);
    EXPECT_FALSE(server_is_slow());
    EXPECT_FALSE(proxy_is_slow());

    // The same server once more, and the next one is asked, as it may be the server after all.
    network.serve("192.0.2.99:1080", told("0b") + "silence");
    network.serve("192.0.2.99:1080", told("15") + hello + takes + leave);
    EXPECT_EQ(run(to({"one.example", "dual.example"})),
              "delivered 2.6.0 dual.example[192.0.2.21]:25");
    time.advance(10s);

    network.address("two.example", "192.0.2.12");
    network.serve("192.0.2.99:1080", told("0b") + "silence");
    network.serve("192.0.2.99:1080", told("15") + "silence");
    network.serve("192.0.2.99:1080", told("0c") + hello + takes + leave);
    EXPECT_EQ(run(to({"one.example", "dual.example", "two.example"})),
              "delivered 2.6.0 two.example[192.0.2.12]:25")
        << "those of one destination may all be silent";

    network.serve("192.0.2.99:1080", told("0b") + "silence");
    EXPECT_EQ(run(to({"one.example"})), "temporary 4.4.2 one.example[192.0.2.11]:25");
    time.advance(SlowAddresses::lately);
    network.serve("192.0.2.99:1080", told("15") + "silence");
    network.serve("192.0.2.99:1080", told("0c") + hello + takes + leave);
    EXPECT_EQ(run(other({"dual.example", "two.example"})),
              "delivered 2.6.0 two.example[192.0.2.12]:25")
        << "that was long ago";

    network.serve("192.0.2.99:1080", told("0b") + "silence");
    EXPECT_EQ(run(to({"one.example"})), "temporary 4.4.2 one.example[192.0.2.11]:25");
    network.serve("192.0.2.99:1080", told("15") + "silence");
    EXPECT_EQ(run(other({"dual.example", "two.example"})),
              "temporary 4.4.2 dual.example[192.0.2.21]:25")
        << "the walk has ended";
    EXPECT_FALSE(outcome.destination_down);
    EXPECT_TRUE(proxy_is_slow());
    const TimePoint before = time.now();
    EXPECT_EQ(run(to({"two.example"})), "temporary 4.4.2 ");
    EXPECT_EQ(time.now(), before);
    time.advance(SlowAddresses::remembered);
    network.serve("192.0.2.99:1080", told("0c") + hello + takes + leave);
    EXPECT_EQ(run(to({"two.example"})), "delivered 2.6.0 two.example[192.0.2.12]:25");
}

TEST_F(EgressTest, AServerThatIsSilentWhileOthersAreHeardIsToBlame) {
    network.serve("192.0.2.99:1080", told("0b") + "silence");
    begin(through(EgressProtocol::proxy_v2, {"one.example"}));
    time.advance(10s);
    network.serve("192.0.2.99:1080", told("15") + hello + takes + leave);
    EXPECT_EQ(run(through(EgressProtocol::proxy_v2, {"dual.example"})),
              "delivered 2.6.0 dual.example[192.0.2.21]:25");
    time.advance(300s);
    EXPECT_EQ(under_way.size(), 0u);
    EXPECT_TRUE(server_is_slow());
    EXPECT_FALSE(proxy_is_slow());
}

// From the first octet on it would be TLS.
TEST_F(EgressTest, SilenceInAHandshakeIsSilenceToo) {
    for (const int error : {ETIMEDOUT, 0}) {
        network.handshake("192.0.2.11:465", "TLS: no", error);
        std::string told_465 = told("0b");
        told_465.replace(told_465.rfind("\\0\\x19"), 6, "\\x01\\xd1");
        network.serve("192.0.2.99:1080", told_465 + "silence");
        ipc::Deliver deliver = through(EgressProtocol::proxy_v2, {"one.example"});
        deliver.route.host->scheme = RelayScheme::smtps;
        deliver.route.host->port = 465;
        EXPECT_EQ(run(std::move(deliver)), "temporary 4.7.5 one.example[192.0.2.11]:465");
        EXPECT_EQ(outcome.destination_down, error == 0) << "it has spoken";
    }
}

// What is between two addresses, or behind a proxy, is on this way alone.
TEST_F(EgressTest, WhatOneWayIsLikeSaysNothingOfAnother) {
    network.serve("192.0.2.99:1080", told("0b") + "wait 6\n close");
    run(through(EgressProtocol::proxy_v2, {"one.example"}));
    EXPECT_TRUE(server_is_slow());
    EXPECT_FALSE(is_slow("192.0.2.11", 25, ""));
    EXPECT_FALSE(is_slow("192.0.2.11", 25, "192.0.2.77"));
    EXPECT_FALSE(is_slow("192.0.2.11", 25, "192.0.2.78 192.0.2.99:1080"));

    // A connection that breaks is no handshake that fails, where a proxy may have broken it.
    for (const int error : {ECONNRESET, 0}) {
        network.handshake("192.0.2.11:25", "TLS: no", error);
        network.serve("192.0.2.99:1080", told("0b") + goes + "silence");
        network.serve("192.0.2.99:1080", told("0b") + hello + takes + leave);
        EXPECT_EQ(run(through(EgressProtocol::proxy_v2, {"one.example"})),
                  "delivered 2.6.0 one.example[192.0.2.11]:25");
        time.advance(10s);
    }
    network.serve("192.0.2.99:1080", told("0b") + offers + takes + leave);
    EXPECT_EQ(run(through(EgressProtocol::proxy_v2, {"one.example"})),
              "delivered 2.6.0 one.example[192.0.2.11]:25");
    EXPECT_EQ(outcome.recipients[0].tls, "none");
    network.serve("192.0.2.11:25", goes + hello_again + takes + leave);
    ipc::Deliver straight = through(EgressProtocol::proxy_v2, {"one.example"});
    straight.route.proxy.reset();
    EXPECT_EQ(run(std::move(straight)), "delivered 2.6.0 one.example[192.0.2.11]:25");
    EXPECT_EQ(outcome.recipients[0].tls, "TLSv1.3,TLS_X,unverified");
}

// The proxy accepts connections, and is stuck.
TEST_F(EgressTest, ASocksProxyThatSaysNothingIsLeftAlone) {
    const auto to_one = [this] { return through(EgressProtocol::socks5, {"one.example"}); };
    network.serve("192.0.2.99:1080", "stall");
    begin(to_one());
    time.advance(6s);
    EXPECT_TRUE(proxy_is_slow(EgressProtocol::socks5));
    time.advance(60s);
    EXPECT_EQ(under_way.size(), 0u);
}

// Connecting has the same limits by SOCKS: an address that does not answer has the rest of its time
// when the others have been tried.
TEST_F(EgressTest, BySocksTheOtherAddressesAreTriedBeforeAllIsWaitedFor) {
    const std::string agrees = "C= \\x05\\x01\\0\n raw \x05" + std::string(1, '\0') + "\n";
    network.serve("192.0.2.99:1080", agrees + "stall");
    network.serve("192.0.2.99:1080", agrees +
                                         "C= \\x05\\x01\\0\\x01\\xc0\\0\\x02\\x15\\0\\x19\n"
                                         " raw \x05" +
                                         std::string("\0\0\1\0\0\0\0\0\0", 9) + "\n" + hello +
                                         takes + leave);
    const TimePoint before = time.now();
    EXPECT_EQ(run(through(EgressProtocol::socks5, {"dual.example"})),
              "delivered 2.6.0 dual.example[192.0.2.21]:25");
    EXPECT_EQ(time.now() - before, first_connect_limit);
    EXPECT_TRUE(is_slow("2001:db8::21", 25, " 192.0.2.99:1080"));
}

// The proxy's own loopback is nobody's mail host. A configured host is the operator's to choose.
TEST_F(EgressTest, TheDnsDoesNotLeadToTheProxyItself) {
    const auto to_domain = [this](EgressProtocol protocol, const char* domain) {
        ipc::Deliver deliver = through(protocol, {});
        deliver.route.domain = domain;
        return deliver;
    };
    network.address("six.example", "::1");
    network.address("six.example", "127.0.0.5");
    network.mx("some.example", 10, "six.example");
    network.mx("some.example", 20, "one.example");
    for (const EgressProtocol protocol : {EgressProtocol::socks5, EgressProtocol::proxy_v2})
        for (const char* domain : {"six.example", "[127.0.0.1]", "[IPv6:::1]", "localhost"}) {
            EXPECT_EQ(run(to_domain(protocol, domain)), "permanent 5.4.4 ") << domain;
            EXPECT_FALSE(outcome.destination_down);
        }
    EXPECT_EQ(network.tried(), "");
    network.serve("192.0.2.99:1080", told("0b") + hello + takes + leave);
    EXPECT_EQ(run(to_domain(EgressProtocol::proxy_v2, "some.example")),
              "delivered 2.6.0 one.example[192.0.2.11]:25");
    network.mx("later.example", 10, "six.example");
    network.mx("later.example", 20, "unknown.example");
    network.answer(ipc::RecordType::a, "unknown.example", ipc::ResolveStatus::temporary);
    EXPECT_EQ(run(to_domain(EgressProtocol::proxy_v2, "later.example")), "temporary 4.4.4 ");

    ipc::Deliver configured = through(EgressProtocol::socks5, {"127.0.0.1"});
    network.serve("192.0.2.99:1080",
                  "C= \\x05\\x01\\0\n raw \x05" + std::string(1, '\0') +
                      "\n C= \\x05\\x01\\0\\x01\\x7f\\0\\0\\x01\\0\\x19\n raw \x05" +
                      std::string("\0\0\1\0\0\0\0\0\0", 9) + "\n" + hello + takes + leave);
    EXPECT_EQ(run(std::move(configured)), "delivered 2.6.0 [127.0.0.1]:25");
}

// The time that the password takes is nobody's but ours.
TEST_F(EgressTest, APasswordIsLookedUpBeforeTheClockStarts) {
    network.password("secrets/me", "bob", "pa:ss");
    network.delay_passwords(10s);
    ipc::Deliver deliver = through(EgressProtocol::socks5, {"one.example"});
    deliver.route.proxy->label = "me";
    network.serve("192.0.2.99:1080", "close");
    EXPECT_EQ(run(std::move(deliver)), "temporary 4.4.2 ");
    EXPECT_FALSE(proxy_is_slow(EgressProtocol::socks5));

    deliver = through(EgressProtocol::socks5, {"one.example"});
    deliver.route.proxy.reset();
    deliver.route.label = "me";
    EXPECT_EQ(run(std::move(deliver)), "temporary 4.4.1 ");
    EXPECT_FALSE(is_slow("192.0.2.11", 25, "192.0.2.77"));

    const std::string tried = network.tried();
    deliver = through(EgressProtocol::socks5, {"one.example"});
    deliver.route.proxy->label = "nobody";
    EXPECT_EQ(run(std::move(deliver)), "temporary 4.3.5 ");
    EXPECT_EQ(network.tried(), tried) << "nobody was bothered";
    EXPECT_FALSE(outcome.destination_down);
}

} // namespace
} // namespace postern::relay
