#include "smtpd/listener/login_delays.h"

#include <gtest/gtest.h>

namespace postern::listener::test {
namespace {

using namespace std::chrono_literals;

IpAddress address(const std::string& text) { return *IpAddress::parse(text); }

class LoginDelaysTest : public testing::Test {
  protected:
    Duration failed(const std::string& client, const std::string& account) {
        return delays.failed(address(client), account, now);
    }
    LoginDelays delays;
    TimePoint now{1000h};
};

TEST_F(LoginDelaysTest, GrowToALimit) {
    for (Duration expected : {1s, 2s, 4s, 8s, 16s, 30s, 30s, 30s})
        EXPECT_EQ(failed("192.0.2.1", "bob"), expected);
}

TEST_F(LoginDelaysTest, OfAClientWhoTriesManyAccounts) {
    EXPECT_EQ(failed("192.0.2.1", "a"), 1s);
    EXPECT_EQ(failed("192.0.2.1", "b"), 2s);
    EXPECT_EQ(failed("192.0.2.1", "c"), 4s);
    EXPECT_EQ(failed("192.0.2.2", "d"), 1s);
}

TEST_F(LoginDelaysTest, OfAnAccountThatManyClientsTry) {
    EXPECT_EQ(failed("192.0.2.1", "bob"), 1s);
    EXPECT_EQ(failed("192.0.2.2", "bob"), 2s);
    EXPECT_EQ(failed("2001:db8::1", "bob"), 4s);
    EXPECT_EQ(failed("192.0.2.3", "eve"), 1s);
}

TEST_F(LoginDelaysTest, NetworksOfIpV6CountAsOneClient) {
    EXPECT_EQ(failed("2001:db8:0:1::1", "a"), 1s);
    EXPECT_EQ(failed("2001:db8:0:1:ffff::2", "b"), 2s);
    EXPECT_EQ(failed("2001:db8:0:2::1", "c"), 1s);
}

TEST_F(LoginDelaysTest, AreForgotten) {
    EXPECT_EQ(failed("192.0.2.1", "bob"), 1s);
    now += LoginDelays::memory - 1s;
    EXPECT_EQ(failed("192.0.2.1", "bob"), 2s);
    now += LoginDelays::memory;
    EXPECT_EQ(failed("192.0.2.1", "bob"), 1s);
}

// Memory is bounded: the one whose last failure is the longest ago gives way.
TEST_F(LoginDelaysTest, MoreThanCanBeRemembered) {
    failed("192.0.2.1", "old");
    failed("192.0.2.2", "old but busy");
    for (size_t i = 0; i < LoginDelays::max_entries - 1; ++i) {
        failed("192.0.2.2", "old but busy");
        failed("10.0." + std::to_string(i / 256) + "." + std::to_string(i % 256),
               "account" + std::to_string(i));
    }
    EXPECT_EQ(failed("192.0.2.2", "new"), LoginDelays::longest);
    EXPECT_EQ(failed("10.1.0.0", "old but busy"), LoginDelays::longest);
    EXPECT_EQ(failed("192.0.2.1", "other"), 1s);
    EXPECT_EQ(failed("10.1.0.1", "old"), 1s);
}

} // namespace
} // namespace postern::listener::test
