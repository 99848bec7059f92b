// Connections kept for the next message, and their bounds.
#include "deliver/relay/destination.h"

#include <gtest/gtest.h>
#include <set>

#include "regress/unit/relay/next_hop.h"

namespace postern::relay {
namespace {

using namespace std::chrono_literals;
using test::NextHop;
using test::SimulatedTime;

const char* const polite = "S: 220 mx\n C: EHLO relay.example\n S: 250 mx\n C: QUIT\n S: 221 bye";

struct DestinationsTest : testing::Test {
    SimulatedTime time;
    NextHop hop{time, polite};
    NextHop other{time, polite};
    std::unique_ptr<Connection> opened;
    Destinations::Limits limits;

    Task<void> open_it(NextHop& hop) {
        SessionOptions options("relay.example", false, "mx");
        opened = std::make_unique<Connection>(hop.connect(), std::move(options));
        const bool ready = co_await opened->session.open();
        EXPECT_TRUE(ready);
    }
    std::unique_ptr<Connection> connection(NextHop& hop) {
        TaskGroup group;
        group.spawn(open_it(hop));
        time.run();
        return std::move(opened);
    }
};

TEST_F(DestinationsTest, AConnectionIsKeptForTheSameDestination) {
    Destinations destinations(time, limits);
    Destinations::Lease first = destinations.lease("a");
    EXPECT_EQ(first.take(), nullptr);
    first.keep(connection(hop));
    EXPECT_EQ(destinations.idle(), 1u);
    EXPECT_EQ(destinations.leased(), 0u);

    EXPECT_EQ(destinations.lease("b").take(), nullptr);
    Destinations::Lease second = destinations.lease("a");
    EXPECT_NE(second.take(), nullptr);
    EXPECT_EQ(destinations.idle(), 0u);
    EXPECT_EQ(destinations.leased(), 1u);
}

TEST_F(DestinationsTest, AfterAMomentItIsLeftPolitely) {
    Destinations destinations(time, limits);
    destinations.lease("a").keep(connection(hop));
    time.advance(1900ms);
    EXPECT_EQ(destinations.idle(), 1u);
    time.advance(200ms);
    EXPECT_EQ(destinations.idle(), 0u);
    EXPECT_EQ(destinations.closing(), 0u);
    EXPECT_TRUE(hop.finished()) << hop.errors();
    EXPECT_EQ(destinations.lease("a").take(), nullptr);
}

TEST_F(DestinationsTest, OneThatTheServerHasEndedIsNotUsed) {
    NextHop leaving(time, "S: 220 mx\n C: EHLO relay.example\n S: 250 mx\n wait 1\n S: 421 bye");
    Destinations destinations(time, limits);
    destinations.lease("a").keep(connection(leaving));
    time.advance(1100ms);
    EXPECT_EQ(destinations.idle(), 1u);
    EXPECT_EQ(destinations.lease("a").take(), nullptr);
    EXPECT_EQ(destinations.idle(), 0u);
}

TEST_F(DestinationsTest, AgeAndUseEndIt) {
    limits.messages = 2;
    Destinations destinations(time, limits);
    std::unique_ptr<Connection> used = connection(hop);
    used->messages = 2;
    destinations.lease("a").keep(std::move(used));
    EXPECT_EQ(destinations.idle(), 0u);
    time.run();
    EXPECT_TRUE(hop.finished()) << hop.errors();

    std::unique_ptr<Connection> old = connection(other);
    time.advance(301s);
    destinations.lease("a").keep(std::move(old));
    EXPECT_EQ(destinations.idle(), 0u);
    time.run();
    EXPECT_TRUE(other.finished()) << other.errors();
}

TEST_F(DestinationsTest, TheOneUsedLastIsUsedAgain) {
    Destinations destinations(time, limits);
    {
        Destinations::Lease first = destinations.lease("a");
        Destinations::Lease second = destinations.lease("a");
        EXPECT_EQ(destinations.leased(), 2u);
        first.keep(connection(hop));
        second.keep(connection(other));
    }
    EXPECT_EQ(destinations.leased(), 0u);
    Destinations::Lease dropped = destinations.lease("a");
    EXPECT_NE(dropped.take(), nullptr);
    time.advance(3s);
    EXPECT_TRUE(hop.finished()) << "the other one runs out: " << hop.errors();
}

TEST_F(DestinationsTest, IdleConnectionsAreBounded) {
    limits.idle_connections = 1;
    Destinations destinations(time, limits);
    destinations.lease("a").keep(connection(hop));
    destinations.lease("b").keep(connection(other));
    time.run();
    EXPECT_EQ(destinations.idle(), 1u);
    EXPECT_TRUE(hop.finished()) << "the older one goes: " << hop.errors();
    EXPECT_FALSE(other.finished());
}

TEST_F(DestinationsTest, AtTheEndAllAreLeft) {
    Destinations destinations(time, limits);
    Destinations::Lease held = destinations.lease("b");
    destinations.lease("a").keep(connection(hop));
    destinations.stop_keeping();
    time.run();
    EXPECT_TRUE(hop.finished()) << hop.errors();
    held.keep(connection(other));
    time.run();
    EXPECT_TRUE(other.finished()) << other.errors();
    EXPECT_EQ(destinations.idle(), 0u);
}

TEST(DestinationKey, TellsApartWhatMustNotShareAConnection) {
    ipc::Route by_domain;
    by_domain.domain = "d.example";
    ipc::Route same = by_domain;
    same.domain = "D.Example.";
    same.action = "another";
    EXPECT_EQ(destination_key(by_domain, "h"), destination_key(same, "h"));
    EXPECT_NE(destination_key(by_domain, "h"), destination_key(by_domain, "i"));

    std::vector<ipc::Route> routes(7, by_domain);
    routes[1].domain = "e.example";
    routes[2].sources = {{*IpAddress::parse("192.0.2.1")}};
    routes[3].host.emplace();
    routes[4].host.emplace().host = "d.example";
    routes[5].host.emplace().host = "d.example";
    routes[5].host->port = 26;
    routes[6].host.emplace().host = "d.example";
    routes[6].host->scheme = RelayScheme::smtp_no_tls;
    std::set<std::string> keys;
    for (const ipc::Route& route : routes)
        keys.insert(destination_key(route, "h"));
    EXPECT_EQ(keys.size(), routes.size());
}

} // namespace
} // namespace postern::relay
