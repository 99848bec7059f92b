// Addresses that lead nowhere: who waits for them, and for how long.
#include "regress/unit/relay/delivery_fixture.h"

namespace postern::relay {
namespace {

// a.example has an address of each family; nobody answers at that of IPv6, which comes first.
struct SlowAddressesTest : DeliveryTest {
    SlowAddressesTest() {
        network.address("a.example", "2001:db8::1");
        network.fail("[2001:db8::1]:25", ETIMEDOUT, 30s);
    }
    void begin() {
        network.serve("192.0.2.1:25", hello + takes + leave);
        group.spawn(deliver_one(order()));
    }
    Task<void> deliver_one(ipc::Deliver order) {
        Surroundings surroundings{network, destinations, slow, tls, random};
        ipc::Outcome outcome = co_await deliver(surroundings, identity, std::move(order));
        if (outcome.recipients.front().status == RecipientStatus::delivered)
            ++delivered;
    }
    ipc::Deliver order_to_a() {
        ipc::Deliver deliver = order_to("a.example");
        deliver.route.host->port = 25;
        return deliver;
    }
    bool is_slow() const {
        return slow.is_slow({Endpoint{*IpAddress::parse("2001:db8::1"), 25}}, time.now());
    }
    int delivered = 0;
    TaskGroup group;
};

const std::string dead = "[2001:db8::1]:25", alive = " 192.0.2.1:25";

TEST_F(SlowAddressesTest, OnlyThoseWhoBeginInTheFirstSecondsWait) {
    begin();
    time.advance(4s);
    begin();
    EXPECT_EQ(network.tried(), dead + " " + dead);
    time.advance(2s);
    begin();
    time.advance(1s);
    EXPECT_EQ(delivered, 1);
    EXPECT_EQ(network.tried(), dead + " " + dead + alive);
    time.advance(30s);
    EXPECT_EQ(delivered, 3);
}

TEST_F(SlowAddressesTest, OneFindsOutWhetherItIsStillSo) {
    begin();
    time.advance(31s);
    EXPECT_EQ(delivered, 1);
    const std::string before = network.tried();
    time.advance(SlowAddresses::remembered);
    begin();
    begin();
    begin();
    time.advance(1s);
    EXPECT_EQ(delivered, 3) << "only one of them waits";
    EXPECT_EQ(network.tried(), before + " " + dead + alive + alive);
    time.advance(30s);
    EXPECT_EQ(delivered, 4);

    time.advance(SlowAddresses::remembered);
    for (int i = 0; i < 2; ++i) {
        network.serve(dead, hello + takes + leave);
        group.spawn(deliver_one(order()));
        time.advance(10s);
    }
    EXPECT_EQ(delivered, 6);
    EXPECT_EQ(network.errors(), "") << "it is used again by everybody";
}

// RFC 5321 5.1: neither family is held up by the other. Who does not answer has the rest of its time
// when there is nobody else.
TEST_F(SlowAddressesTest, TheOtherAddressesAreTriedBeforeAllIsWaitedFor) {
    begin();
    time.advance(9s);
    EXPECT_EQ(delivered, 0);
    time.advance(2s);
    EXPECT_EQ(delivered, 1);
    time.advance(SlowAddresses::remembered);

    const std::string before = network.tried();
    group.spawn(deliver_one(order()));
    time.advance(29s);
    EXPECT_EQ(network.tried(), before + " " + dead + alive + " 192.0.2.2:25 " + dead);
    EXPECT_EQ(group.size(), 1u);
    time.advance(2s);
    EXPECT_EQ(group.size(), 0u);
    time.advance(2 * SlowAddresses::remembered);

    // It answers in the end, over the Internet or at a relay host.
    for (const bool by_host : {false, true}) {
        network.serve(dead, hello + takes + leave, 15s);
        group.spawn(deliver_one(by_host ? order_to_a() : order()));
        time.advance(24s);
        EXPECT_EQ(delivered, by_host ? 2 : 1);
        time.advance(2s);
        EXPECT_EQ(delivered, by_host ? 3 : 2);
        time.advance(2 * SlowAddresses::remembered);
    }
    EXPECT_EQ(network.errors(), "");
}

// Connecting took long, and then it went well.
TEST_F(SlowAddressesTest, ALateAnswerIsAnAnswer) {
    network.serve("[2001:db8::1]:25", hello + takes + leave, 9s);
    group.spawn(deliver_one(order()));
    time.advance(6s);
    EXPECT_TRUE(is_slow());
    time.advance(5s);
    EXPECT_EQ(delivered, 1);
    EXPECT_FALSE(is_slow());
}

// What others have left of the destination's comes before what may be waited for in vain.
TEST_F(SlowAddressesTest, ASessionFromBeforeIsUsedBeforeTheRestIsWaitedFor) {
    group.spawn(deliver_one(order()));
    time.advance(9s);
    network.serve("192.0.2.1:25", hello + takes + takes + leave);
    group.spawn(deliver_one(order()));
    time.advance(2s);
    EXPECT_EQ(delivered, 2);
    EXPECT_EQ(group.size(), 0u);
    time.advance(2 * SlowAddresses::remembered);

    // Not where it is with somebody who has just refused the mail.
    group.spawn(deliver_one(order()));
    time.advance(9s);
    network.serve("192.0.2.1:25", hello + takes + leave);
    group.spawn(deliver_one(order()));
    network.serve("192.0.2.1:25", hello + "C: MAIL FROM:<a@s.example>\n S: 451 no\n" + leave);
    time.advance(2s);
    EXPECT_EQ(delivered, 3);
    EXPECT_EQ(group.size(), 1u);
    EXPECT_TRUE(network.tried().ends_with(dead)) << network.tried();
    time.advance(30s);
    EXPECT_EQ(group.size(), 0u);
    EXPECT_EQ(network.errors(), "");
}

// One packet is lost, and others get through.
TEST_F(SlowAddressesTest, WhoAnswersOthersIsNotNoted) {
    network.serve(dead, hello + takes + leave, 9s);
    group.spawn(deliver_one(order()));
    time.advance(2s);
    network.serve(dead, hello + takes + leave);
    group.spawn(deliver_one(order()));
    time.advance(4s);
    EXPECT_EQ(delivered, 1);
    EXPECT_FALSE(is_slow());
    time.advance(4s);
    EXPECT_EQ(delivered, 2);
}

// The one that finds out gets an answer at once: nobody has to keep away any longer.
TEST_F(SlowAddressesTest, ARefusalIsAnAnswerToo) {
    begin();
    time.advance(31s);
    EXPECT_TRUE(is_slow());
    time.advance(SlowAddresses::remembered);
    network.fail(dead, ECONNREFUSED);
    begin();
    time.advance(1s);
    EXPECT_FALSE(is_slow());

    // Nor is anybody kept away by one that has not come to connect.
    network.fail(dead, ETIMEDOUT, 30s);
    time.advance(5s);
    begin();
    time.advance(31s);
    EXPECT_TRUE(is_slow());
    time.advance(SlowAddresses::remembered);
    network.impossible("there is no ca lab");
    group.spawn(deliver_one(order()));
    time.advance(1s);
    EXPECT_FALSE(is_slow());
}

} // namespace
} // namespace postern::relay
