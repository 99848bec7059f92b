// The words of suspend and reroute, and how orders are shown.
#include <gtest/gtest.h>

#include "smtpd/smtpctl/format.h"
#include "smtpd/smtpctl/orders.h"

namespace postern {
namespace {

constexpr int64_t now = 1'000'000;

std::vector<std::string> split(const std::string& text) {
    std::vector<std::string> words(1);
    for (char c : text)
        if (c == ' ')
            words.emplace_back();
        else
            words.back() += c;
    return words;
}

TEST(Orders, AreReadAndShown) {
    const std::pair<const char*, const char*> rows[] = {
        {"suspend to *@slow.example", "0 suspend to=*@slow.example age=0s ends=never\n"},
        {"suspend from <> to a@b via mx.example for 2h reason moved",
         "0 suspend from=<> to=a@b via=mx.example age=0s ends=2h reason=moved\n"},
        {"suspend 0000000000001a2b", "0 suspend message=0000000000001a2b age=0s ends=never\n"},
        {"reroute to *@a.example host backup.example",
         "0 reroute to=*@a.example host=smtp://backup.example:25 age=0s ends=never\n"},
        {"reroute to a@b host smtps://b.example",
         "0 reroute to=a@b host=smtps://b.example:465 age=0s ends=never\n"},
        {"reroute from *@b host lmtp://[2001:db8::1]:2400 for 1d",
         "0 reroute from=*@b host=lmtp://[2001:db8::1]:2400 age=0s ends=1d\n"},
    };
    for (const auto& [words, shown] : rows) {
        Result<ipc::StandingOrder> order = parse_order(split(words), now);
        ASSERT_TRUE(order) << words;
        order->given_at = now;
        EXPECT_EQ(format_order(*order, now), shown);
    }
}

// What might mean everything by mistake means nothing.
TEST(Orders, WhatIsWrong) {
    const char* rows[] = {
        "suspend",           "suspend all",
        "suspend to",        "suspend to ",
        "suspend to a to b", "suspend to a older 2h",
        "suspend for 2h",    "suspend to a for soon", "suspend to a for 0s",
        "suspend 1a2b",      "suspend 0000000000001a2b.0",
        "reroute to a",      "reroute host b.example",
        "reroute to a host",
    };
    for (const char* words : rows) {
        const Result<ipc::StandingOrder> order = parse_order(split(words), now);
        ASSERT_FALSE(order) << words;
        EXPECT_EQ(order.error().code, EINVAL) << words;
    }
    for (const char* words : {"reroute to a host gopher://b", "reroute to a host b:0",
                              "reroute to a host u@b"}) {
        const Result<ipc::StandingOrder> order = parse_order(split(words), now);
        ASSERT_FALSE(order) << words;
        EXPECT_NE(order.error().message, "") << words;
    }
}

} // namespace
} // namespace postern
