#include "queue/lifetime.h"

#include <gtest/gtest.h>

namespace postern {
namespace {

using namespace std::chrono_literals;

ipc::Envelope envelope(int64_t accepted, int64_t release, std::optional<DeliverBy> by) {
    ipc::Envelope result;
    result.accepted_at = accepted;
    result.release_at = release;
    result.parameters.deliver_by = by;
    return result;
}

TEST(Lifetime, Expiry) {
    struct Row {
        int64_t accepted, release;
        std::optional<DeliverBy> by;
        WallTime expires; // with a ttl of 1000 s
    };
    const Row rows[] = {
        {100, 0, {}, 1100},
        {100, 500, {}, 1500},
        {100, 50, {}, 1100},
        {100, 0, DeliverBy{60, true, false}, 160},
        {100, 500, DeliverBy{60, true, false}, 160},
        {100, 0, DeliverBy{60, false, false}, 1100},
        {100, 0, DeliverBy{5000, true, false}, 1100},
        {100, 0, DeliverBy{-60, true, false}, 40},
    };
    for (const Row& row : rows)
        EXPECT_EQ(expires_at(envelope(row.accepted, row.release, row.by), 1000s), row.expires);
}

TEST(Lifetime, WhatSendersAreTold) {
    const auto plain = envelope(100, 0, {});
    const auto held = envelope(100, 500, {});
    const auto hurried = envelope(100, 0, DeliverBy{60, false, false});
    const auto strict = envelope(100, 0, DeliverBy{60, true, false});
    const WarnDelays none, one{50s}, two{50s, 80s};
    struct Row {
        const ipc::Envelope& envelope;
        const WarnDelays& delays;
        Told before;
        WallTime now;
        Told after;
        WallTime next; // 0: never
    };
    const Row rows[] = {
        {plain, none, 0, 1000, 0, 0},
        {plain, one, 0, 149, 0, 150},
        {plain, one, 0, 150, 1, 0},
        {plain, one, 1, 1000, 1, 0},
        {plain, two, 0, 150, 1, 180},
        {plain, two, 0, 180, 2, 0},
        {plain, one, 3, 1000, 3, 0}, // there were more, before a reload
        {held, one, 0, 549, 0, 550},
        {held, one, 0, 550, 1, 0},
        {hurried, none, 0, 159, 0, 160},
        {hurried, none, 0, 160, told::late, 0},
        {hurried, one, 0, 155, 1, 160},
        {hurried, one, 1, 160, 1 | told::late, 0},
        {hurried, two, 0, 160, 1 | told::late, 180},
        {hurried, two, told::late, 160, 1 | told::late, 180},
        {strict, none, 0, 1000, 0, 0},
        {strict, one, 0, 155, 1, 0},
    };
    for (const Row& row : rows) {
        SCOPED_TRACE(std::to_string(&row - rows));
        EXPECT_EQ(told_by(row.envelope, row.delays, row.before, row.now), row.after);
        EXPECT_EQ(next_told(row.envelope, row.delays, row.after).value_or(0), row.next);
    }
}

} // namespace
} // namespace postern
