// Which of the limits, and of the retry schedules, is for whom.
#include "queue/allowances.h"

#include <gtest/gtest.h>

#include "common/ipc/local_settings.h"

namespace postern {
namespace {

using namespace std::chrono_literals;

ipc::QueueSettings settings() {
    ipc::QueueSettings result;
    result.retry_delay = 300s;
    result.retry_max = 4h;
    result.max_per_destination = 20;
    return result;
}

TEST(Allowances, TheFirstLimitForADomainDecides) {
    ipc::QueueSettings some = settings();
    some.limits = {
        {{{"slow.example", "*.slow.example"}}, 2, 0, 1s},
        {{{"b\xc3\xbc"
           "cher.example"}},
         3,
         0,
         1s},
        {{{"mail*.example"}}, 0, 100, 60s},
        {std::nullopt, 7, 0, 1s},
        {{{"never.example"}}, 1, 0, 1s},
    };
    struct Case {
        const char* domain;
        uint32_t max_deliveries, rate;
    };
    const Case cases[] = {
        {"slow.example", 2, 0},     {"SLOW.example.", 2, 0},
        {"a.b.slow.example", 2, 0}, {"xn--bcher-kva.example", 3, 0},
        {"mail7.example", 20, 100}, {"other.example", 7, 0},
        {"never.example", 7, 0},    {"", 7, 0},
    };
    const Allowances limited(some);
    for (const Case& c : cases) {
        EXPECT_EQ(limited.of(c.domain).max_deliveries, c.max_deliveries) << c.domain;
        EXPECT_EQ(limited.of(c.domain).rate.messages, c.rate) << c.domain;
    }
    EXPECT_EQ(Allowances(settings()).of("slow.example").max_deliveries, 20u);
}

// All that is for one user of this machine shares it.
TEST(Allowances, NobodyTakesAllOfTheLocalHelpers) {
    for (auto [configured, given] : {std::pair(1u, 1u), {20u, 20u}, {1000u, 25u}}) {
        ipc::QueueSettings some = settings();
        some.max_per_destination = configured;
        some.limits = {{std::nullopt, 7, 0, 1s}};
        EXPECT_EQ(Allowances(some).of("here.example", true).max_deliveries, given);
        EXPECT_LT(given, ipc::max_local_helpers);
    }
}

TEST(Allowances, AHoldFollowsTheRetriesButIsNoLongerThanHalfAnHour) {
    ipc::QueueSettings some = settings();
    some.retries = {
        {{{"rare.example"}}, {FailureClass::unreachable}, 2h, 8h},
        {{{"often.example"}}, {}, 60s, 600s},
        {{{"mailbox.example"}}, {FailureClass::mailbox}, 60s, 600s},
    };
    const Allowances allowances(some);
    const auto expect = [&](const char* domain, std::chrono::seconds first,
                            std::chrono::seconds most) {
        EXPECT_EQ(allowances.of(domain).hold.first, first) << domain;
        EXPECT_EQ(allowances.of(domain).hold.most, most) << domain;
    };
    expect("rare.example", 2h, 2h);
    expect("often.example", 60s, 600s);
    expect("mailbox.example", 300s, 30min);
    expect("x.example", 300s, 30min);
}

TEST(RetrySchedule, TheFirstRuleForDomainAndFailureDecides) {
    ipc::QueueSettings some = settings();
    some.retries = {
        {{{"*.edu.example"}}, {FailureClass::throttled, FailureClass::mailbox}, 1h, 1h},
        {std::nullopt, {FailureClass::throttled}, 60s, 600s},
        {{{"a.edu.example"}}, {}, 30s, 12h},
    };
    const RetrySchedule schedule(some);
    struct Case {
        const char* domain;
        FailureClass failure;
        std::chrono::seconds first;
    };
    const Case cases[] = {
        {"a.edu.example", FailureClass::throttled, 1h},
        {"A.EDU.example.", FailureClass::mailbox, 1h},
        {"a.edu.example", FailureClass::resolver, 30s},
        {"b.edu.example", FailureClass::other, 300s},
        {"x.example", FailureClass::throttled, 60s},
        {"x.example", FailureClass::unreachable, 300s},
        {"", FailureClass::throttled, 60s},
    };
    for (const Case& c : cases)
        EXPECT_EQ(schedule.backoff(c.domain, c.failure).first, c.first) << c.domain;
    EXPECT_EQ(schedule.longest(), 12h);
    EXPECT_EQ(RetrySchedule(settings()).longest(), 4h);
}

} // namespace
} // namespace postern
