// Names of addresses, and who confirms them.
#include "smtpd/listener/reverse_name.h"

#include <gtest/gtest.h>

#include "regress/support/simulated_time.h"
#include "regress/unit/listener/fakes.h"

namespace postern::listener::test {
namespace {

using namespace std::chrono_literals;

class ReverseName : public testing::Test {
  public:
    Task<void> ask(IpAddress address) {
        found_ = co_await find_reverse_name(resolver, address);
        done_ = true;
    }
    std::string name_of(const char* address, Duration limit = 1min) {
        done_ = false;
        tasks_.spawn(ask(*IpAddress::parse(address)));
        time.advance(limit);
        EXPECT_TRUE(done_);
        return found_;
    }
    void record(const char* name, const char* address) {
        resolver.addresses.emplace(name, *IpAddress::parse(address));
    }

    postern::test::SimulatedTime time;
    FakeResolver resolver{time};

  private:
    std::string found_;
    bool done_ = false;
    TaskGroup tasks_;
};

TEST_F(ReverseName, IsConfirmedByItsOwner) {
    resolver.pointers[*IpAddress::parse("192.0.2.7")] = {"Host.Example."};
    record("host.example", "192.0.2.99");
    EXPECT_EQ(name_of("192.0.2.7"), "");
    record("host.example", "192.0.2.7");
    EXPECT_EQ(name_of("192.0.2.7"), "host.example");
}

TEST_F(ReverseName, OfAnIpv6Address) {
    resolver.pointers[*IpAddress::parse("2001:db8::7")] = {"six.example"};
    record("six.example", "2001:db8::7");
    EXPECT_EQ(name_of("2001:db8::7"), "six.example");
}

TEST_F(ReverseName, TheFirstConfirmedOfSeveral) {
    resolver.pointers[*IpAddress::parse("192.0.2.7")] = {"forged.example", "true.example"};
    record("true.example", "192.0.2.7");
    EXPECT_EQ(name_of("192.0.2.7"), "true.example");
}

TEST_F(ReverseName, AFewAreTriedAndNoMore) {
    auto& names = resolver.pointers[*IpAddress::parse("192.0.2.7")];
    for (int i = 0; i < 100; ++i)
        names.push_back("forged" + std::to_string(i) + ".example");
    names.push_back("true.example");
    record("true.example", "192.0.2.7");
    EXPECT_EQ(name_of("192.0.2.7"), "");
    EXPECT_EQ(resolver.questions, 1 + static_cast<int>(reverse_names_tried));
}

// Anybody can put anything into their reverse zone.
TEST_F(ReverseName, WhatIsNoHostNameIsNotUsed) {
    for (const char* name : {"", "two words.example", "a..b", "x\r\nReceived: y", "(comment)"}) {
        resolver.pointers[*IpAddress::parse("192.0.2.7")] = {name};
        record(name, "192.0.2.7");
        EXPECT_EQ(name_of("192.0.2.7"), "") << name;
    }
}

TEST_F(ReverseName, WithoutAnAnswerThereIsNone) {
    resolver.delay = 1h;
    EXPECT_EQ(name_of("192.0.2.7", resolve_limit), "");
}

TEST_F(ReverseName, LoopbackIsLocalhost) {
    EXPECT_EQ(name_of("127.0.0.1"), "localhost");
    EXPECT_EQ(name_of("::1"), "localhost");
    EXPECT_EQ(resolver.questions, 0);
}

} // namespace
} // namespace postern::listener::test
