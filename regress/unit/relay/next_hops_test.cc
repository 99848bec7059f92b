// Asking the DNS for a route's next hops: what is asked, what is waited for, what is not.
#include "deliver/relay/next_hops.h"

#include <gtest/gtest.h>

#include "regress/unit/relay/fake_network.h"

namespace postern::relay {
namespace {

using namespace std::chrono_literals;
using ipc::RecordType;
using ipc::ResolveStatus;
using test::FakeNetwork;
using test::SimulatedTime;

struct NextHops : testing::Test {
    SimulatedTime time;
    FakeNetwork network{time};
    Ourselves ourselves;
    Random random = [](uint64_t) { return uint64_t{0}; };
    ExchangerList list;

    Task<void> ask(ipc::Route route) {
        list = co_await find_exchangers(network, route, ourselves, random);
    }
    // "mx[192.0.2.1]:25 ...", or the status.
    std::string find(const ipc::Route& route) {
        EXPECT_TRUE(test::run_to_end(time, ask(route)));
        std::string result;
        for (const Exchanger& exchanger : list.exchangers)
            result += (result.empty() ? "" : " ") + to_string(exchanger);
        return list.failure ? to_string(list.failure->status) : result;
    }
    std::string find_domain(const std::string& domain) {
        ipc::Route route;
        route.domain = domain;
        return find(route);
    }
    std::string find_host(const std::string& host, uint16_t port = 2626) {
        ipc::Route route;
        route.host.emplace();
        route.host->host = host;
        route.host->port = port;
        return find(route);
    }
};

TEST_F(NextHops, ThroughMx) {
    network.mx("d.example", 20, "b.example");
    network.mx("d.example", 10, "a.example");
    network.address("a.example", "192.0.2.1");
    network.address("a.example", "2001:db8::1");
    network.address("b.example", "192.0.2.2");
    EXPECT_EQ(find_domain("d.example"),
              "a.example[2001:db8::1]:25 a.example[192.0.2.1]:25 b.example[192.0.2.2]:25");
    EXPECT_EQ(network.questions(), 5u);
}

TEST_F(NextHops, ImplicitMx) {
    network.address("d.example", "192.0.2.1");
    EXPECT_EQ(find_domain("d.example"), "d.example[192.0.2.1]:25");
}

TEST_F(NextHops, Failures) {
    EXPECT_EQ(find_domain("nothing.example"), "5.4.4");
    network.answer(RecordType::mx, "none.example", ResolveStatus::no_domain);
    EXPECT_EQ(find_domain("none.example"), "5.1.2");
    network.answer(RecordType::mx, "later.example", ResolveStatus::temporary);
    EXPECT_EQ(find_domain("later.example"), "4.4.3");
    network.mx("null.example", 0, "");
    EXPECT_EQ(find_domain("null.example"), "5.1.10");
    EXPECT_EQ(find_domain(""), "5.1.2");
    EXPECT_EQ(find_domain("bad domain"), "5.1.2");
    EXPECT_EQ(find_domain("m\xc3\xbcll.example"), "5.1.2");
}

TEST_F(NextHops, LiteralsAndLocalhostNeedNoDns) {
    EXPECT_EQ(find_domain("[192.0.2.1]"), "[192.0.2.1]:25");
    EXPECT_EQ(find_domain("[IPv6:2001:db8::1]"), "[2001:db8::1]:25");
    EXPECT_EQ(find_domain("localhost"), "localhost[::1]:25 localhost[127.0.0.1]:25");
    EXPECT_EQ(find_host("192.0.2.1"), "[192.0.2.1]:2626");
    EXPECT_EQ(find_host("2001:db8::1"), "[2001:db8::1]:2626");
    EXPECT_EQ(find_host("localhost"), "localhost[::1]:2626 localhost[127.0.0.1]:2626");
    EXPECT_EQ(network.questions(), 0u);
}

TEST_F(NextHops, AConfiguredHostHasNoMx) {
    network.mx("smart.example", 10, "other.example");
    network.address("smart.example", "192.0.2.1");
    EXPECT_EQ(find_host("smart.example", 587), "smart.example[192.0.2.1]:587");
}

TEST_F(NextHops, AConfiguredHostThatIsNotThereIsTheOperatorsMistake) {
    EXPECT_EQ(find_host("gone.example"), "4.3.5");
    network.answer(RecordType::a, "later.example", ResolveStatus::temporary);
    EXPECT_EQ(find_host("later.example"), "4.4.3");
}

TEST_F(NextHops, OneFamilyDoesNotWaitLongForTheOther) {
    network.mx("d.example", 10, "a.example");
    network.address("a.example", "192.0.2.1");
    network.delay(RecordType::aaaa, "a.example", 1h);
    EXPECT_EQ(find_domain("d.example"), "a.example[192.0.2.1]:25");
    EXPECT_EQ(time.elapsed(), stragglers_limit);
}

TEST_F(NextHops, AnAnswerInTimeCounts) {
    network.mx("d.example", 10, "a.example");
    network.address("a.example", "192.0.2.1");
    network.address("a.example", "2001:db8::1");
    network.delay(RecordType::aaaa, "a.example", 2s);
    EXPECT_EQ(find_domain("d.example"), "a.example[2001:db8::1]:25 a.example[192.0.2.1]:25");
    EXPECT_EQ(time.elapsed(), 2s);
}

TEST_F(NextHops, WithoutAnyAnswerItEnds) {
    network.mx("d.example", 10, "a.example");
    network.delay(RecordType::a, "a.example", 1h);
    network.delay(RecordType::aaaa, "a.example", 1h);
    EXPECT_EQ(find_domain("d.example"), "4.4.3");
    EXPECT_EQ(time.elapsed(), lookups_limit);
}

} // namespace
} // namespace postern::relay
