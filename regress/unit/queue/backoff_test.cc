#include "queue/backoff.h"

#include <gtest/gtest.h>

namespace postern {
namespace {

using namespace std::chrono_literals;

struct Case {
    const char* what;
    Backoff backoff;
    uint32_t failures;
    std::chrono::seconds least, most;
};

TEST(Backoff, DoublesUpToItsMaximum) {
    const Case cases[] = {
        {"first", {300s, 14400s}, 1, 240s, 300s},
        {"second", {300s, 14400s}, 2, 480s, 600s},
        {"sixth", {300s, 14400s}, 6, 7680s, 9600s},
        {"seventh is cut off", {300s, 14400s}, 7, 11520s, 14400s},
        {"never more", {300s, 14400s}, 4'000'000'000u, 11520s, 14400s},
        {"none yet counts as one", {300s, 14400s}, 0, 240s, 300s},
        {"first above the maximum", {600s, 60s}, 1, 48s, 60s},
        {"a second at least", {0s, 0s}, 3, 1s, 1s},
        {"too short for jitter", {1s, 4s}, 3, 4s, 4s},
        {"largest there is",
         {1s, std::chrono::seconds::max()},
         200,
         std::chrono::seconds::max() / 5 * 4,
         std::chrono::seconds::max()},
    };
    for (const Case& c : cases) {
        bool jitters = false;
        const auto fixed = retry_after(c.backoff, c.failures, 0);
        for (uint64_t random : {uint64_t{0}, uint64_t{1}, uint64_t{59}, uint64_t{997},
                                uint64_t{123456789}, UINT64_MAX}) {
            const auto delay = retry_after(c.backoff, c.failures, random);
            EXPECT_GE(delay, c.least) << c.what << " random=" << random;
            EXPECT_LE(delay, c.most) << c.what << " random=" << random;
            jitters |= delay != fixed;
        }
        EXPECT_EQ(jitters, c.most >= 5s) << c.what;
    }
}

} // namespace
} // namespace postern
