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
    bool is_slow(const std::string& address, uint16_t port) const {
        return slow.is_slow(Endpoint{*IpAddress::parse(address), port}, time.now());
    }
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
    EXPECT_TRUE(is_slow("192.0.2.11", 25));
    EXPECT_FALSE(is_slow("192.0.2.99", 1080));
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
        EXPECT_FALSE(is_slow("192.0.2.11", 25));
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
    bool ended = false;
    TaskGroup first;
    first.spawn([](EgressTest& test, ipc::Deliver order, bool& ended) -> Task<void> {
        co_await test.deliver_it(std::move(order));
        ended = true;
    }(*this, through(EgressProtocol::proxy_v2, {"one.example"}), ended));
    time.advance(6s);
    EXPECT_EQ(run(through(EgressProtocol::proxy_v2, {"one.example"})), "temporary 4.4.2 ");
    EXPECT_EQ(network.tried(), "192.0.2.99:1080");
    EXPECT_FALSE(ended);
    time.advance(4s);
    EXPECT_TRUE(ended);
    EXPECT_EQ(outcome.recipients[0].status, RecipientStatus::delivered);
    EXPECT_FALSE(is_slow("192.0.2.99", 1080)) << "it has answered after all";
}

// The time that the password takes is nobody's but ours.
TEST_F(EgressTest, APasswordIsLookedUpBeforeTheClockStarts) {
    network.password("secrets/me", "bob", "pa:ss");
    network.delay_passwords(10s);
    ipc::Deliver deliver = through(EgressProtocol::socks5, {"one.example"});
    deliver.route.proxy->label = "me";
    network.serve("192.0.2.99:1080", "close");
    EXPECT_EQ(run(std::move(deliver)), "temporary 4.4.2 ");
    EXPECT_FALSE(is_slow("192.0.2.99", 1080));

    deliver = through(EgressProtocol::socks5, {"one.example"});
    deliver.route.proxy.reset();
    deliver.route.label = "me";
    EXPECT_EQ(run(std::move(deliver)), "temporary 4.4.1 ");
    EXPECT_FALSE(is_slow("192.0.2.11", 25));

    const std::string tried = network.tried();
    deliver = through(EgressProtocol::socks5, {"one.example"});
    deliver.route.proxy->label = "nobody";
    EXPECT_EQ(run(std::move(deliver)), "temporary 4.3.5 ");
    EXPECT_EQ(network.tried(), tried) << "nobody was bothered";
    EXPECT_FALSE(outcome.destination_down);
}

} // namespace
} // namespace postern::relay
