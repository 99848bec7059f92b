#include "queue/backoff.h"

#include <gtest/gtest.h>
#include <map>
#include <random>

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

TEST(Backoff, AnnouncedWaitsAreHonouredWithinBounds) {
    struct Announced {
        const char* what;
        uint32_t failures;
        std::chrono::seconds announced, least, most;
    };
    const Announced cases[] = {
        {"longer than planned", 1, 600s, 601s, 661s},
        {"shorter than planned", 1, 60s, 61s, 67s},
        {"also after the third attempt", 3, 60s, 61s, 67s},
        {"not after the fourth", 4, 60s, 1920s, 2400s},
        {"longer than planned after the tenth", 10, 13000s, 13001s, 14400s},
        {"longer than the longest wait", 1, 86400s, 11520s, 14400s},
        {"hardly less than the longest", 1, 14399s, 14400s, 14400s},
        {"at once", 1, 1s, 31s, 36s},
        {"never", 1, std::chrono::seconds::max(), 11520s, 14400s},
    };
    const Backoff backoff{300s, 14400s};
    for (const Announced& c : cases)
        for (uint64_t random : {uint64_t{0}, uint64_t{7}, uint64_t{123456789}, UINT64_MAX}) {
            const auto wait = retry_after(backoff, c.failures, c.announced, random);
            EXPECT_GE(wait, c.least) << c.what << " random=" << random;
            EXPECT_LE(wait, c.most) << c.what << " random=" << random;
        }
    EXPECT_EQ(retry_after(backoff, 2, std::nullopt, 5), retry_after(backoff, 2, 5));
    EXPECT_EQ(retry_after({10s, 10s}, 1, 60s, 0), 10s) << "the longest wait is the operator's word";
}

// Mail that failed together does not come back together.
TEST(Backoff, TenThousandSpread) {
    std::mt19937_64 random(1);
    struct Wait {
        const char* what;
        uint32_t failures;
        std::optional<std::chrono::seconds> announced;
        int most; // in one second
    };
    for (const Wait& c :
         {Wait{"first", 1, std::nullopt, 250}, Wait{"fifth", 5, std::nullopt, 40},
          Wait{"announced", 1, 300s, 500}, Wait{"announced too late", 1, 86400s, 30}}) {
        std::map<std::chrono::seconds, int> seconds;
        int most = 0;
        for (int i = 0; i < 10'000; ++i)
            most = std::max(
                most, ++seconds[retry_after({300s, 14400s}, c.failures, c.announced, random())]);
        EXPECT_LE(most, c.most) << c.what;
    }
}

} // namespace
} // namespace postern
