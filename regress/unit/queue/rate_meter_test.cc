#include "queue/rate_meter.h"

#include <deque>
#include <gtest/gtest.h>

namespace postern {
namespace {

using namespace std::chrono_literals;

// What is asked for as fast as possible, or in bursts with pauses: no period has more than the
// limit, wherever it begins.
TEST(RateMeter, NoPeriodHasMoreThanTheLimit) {
    for (const RateLimit& limit :
         {RateLimit{1, 1s}, RateLimit{1, 1h}, RateLimit{2, 1s}, RateLimit{7, 3s},
          RateLimit{100, 60s}, RateLimit{1000, 1s}, RateLimit{1'000'000, 1s}})
        for (int pauses : {0, 1}) {
            RateMeter meter;
            TimePoint now{};
            now += 12345s;
            std::deque<TimePoint> within;
            uint64_t random = 1;
            for (int i = 0; i < 3000; ++i) {
                now = std::max(now, meter.next(limit));
                random = random * 6364136223846793005u + 1442695040888963407u;
                if (pauses && random % 16 == 0)
                    now += Duration(limit.period) * static_cast<int64_t>((random >> 33) % 100) / 60;
                meter.count(limit, now);
                within.push_back(now);
                while (within.front() + limit.period <= now)
                    within.pop_front();
                ASSERT_LE(within.size(), limit.messages);
            }
        }
}

TEST(RateMeter, UsesAlmostAllOfIt) {
    const RateLimit limit{100, 60s};
    RateMeter meter;
    TimePoint now{1h};
    const TimePoint start = now;
    for (int i = 0; i < 1000; ++i) {
        now = std::max(now, meter.next(limit));
        now += 3ms; // and is not that punctual
        meter.count(limit, now);
    }
    EXPECT_LT(now - start, 610s);
}

TEST(RateMeter, WhatDidNotHappenDoesNotCount) {
    const RateLimit limit{1, 60s};
    RateMeter meter;
    TimePoint now{1h};
    meter.count(limit, now);
    EXPECT_GT(meter.next(limit), now);
    meter.take_back(limit);
    EXPECT_LE(meter.next(limit), now);
    EXPECT_LE(meter.full_at(), now);
}

TEST(RateMeter, TheLongestAndTheMostFit) {
    const RateLimit rare{1, std::chrono::hours(24 * 3650)};
    RateMeter meter;
    TimePoint now{std::chrono::hours(24 * 3650)};
    meter.count(rare, now);
    EXPECT_GT(meter.next(rare), now + std::chrono::hours(24 * 3600));
    const RateLimit often{UINT32_MAX, 1s};
    RateMeter fast;
    fast.count(often, now);
    EXPECT_LE(fast.next(often), now);
}

} // namespace
} // namespace postern
