#include "queue/announced_wait.h"

#include <gtest/gtest.h>
#include <string>

namespace postern {
namespace {

TEST(AnnouncedWait, WhatNextHopsSay) {
    struct Case {
        const char* reply;
        int64_t seconds; // 0: nothing is said
    };
    const Case cases[] = {
        {"451 4.7.1 Greylisted, try again in 300 seconds", 300},
        {"450 4.7.1 Please retry after 5 minutes", 300},
        {"451 4.7.1 Greylisting in action, please come back in 00:04:58", 298},
        {"450 4.2.0 <b@x.example>: Recipient address rejected: Greylisted for 5 minutes", 300},
        {"451 greylisted for 00:05:00", 300},
        {"451 come back in 5 min", 300},
        {"421 4.7.0 Try again in 300s.", 300},
        {"421 4.7.0 try again in 5m", 300},
        {"451 Grey-listed: wait 60 seconds", 60},
        {"451 gray listed, retry in at least 1 hour", 3600},
        {"450 Deferred for 1 hour 30 minutes and 5 seconds", 5405},
        {"450 retry in 05:30", 330},
        {"450 TRY AGAIN AFTER 2 HOURS", 7200},
        {"450 you sent 100 messages in 10 minutes, try again after 3 hours", 10800},
        {"450 try again within 30 days", 0},
        {"450 retry in 999999 hours", 86'400},
        {"450 retry in 1000000 hours", 0},
        {"450 retry in 99999999999999999999999999 seconds", 0},
        {"450 retry in 999999:999999:999999", 86'400},
        {"450 retry in 1:2:3:4", 0},
        {"450 retry in ::", 0},
        {"450 retry in 5:", 0},
        {"450 retry in 0 seconds", 0},
        {"450 retry in 00:00:00", 0},
        {"450 retry in 5", 0},
        {"450 retry in", 0},
        {"450 retry", 0},
        {"450 retry in -5 minutes", 300},
        {"450 retry in 2.5 minutes", 0},
        {"450 you sent 100 messages in 10 minutes", 0},
        {"450 you sent 100 messages in 10 minutes, try again later", 0},
        {"450 4.7.1 Greylisted, see http://postgrey.example/help/x.html", 0},
        {"450 entry in 5 minutes", 0},
        {"451 4.3.0 try later", 0},
        {"", 0},
        {"\xff\xfe retry in \x01 5 minutes", 300},
    };
    for (const Case& c : cases) {
        const auto wait = announced_wait(c.reply);
        EXPECT_EQ(wait.value_or(std::chrono::seconds(0)).count(), c.seconds) << c.reply;
    }
}

TEST(AnnouncedWait, LongRepliesAreNotReadToTheEnd) {
    std::string reply;
    for (int i = 0; i < 10'000; ++i)
        reply += "retry in 5 ";
    EXPECT_FALSE(announced_wait(reply));
    EXPECT_FALSE(announced_wait(std::string(100'000, '9')));
}

} // namespace
} // namespace postern
