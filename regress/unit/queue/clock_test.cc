// The wall clock is set: by an operator, or by NTP after a start with a wrong one. Mail does not
// wait for a time that was taken back.
#include "regress/unit/queue/queue_lab.h"

namespace postern::test {
namespace {

constexpr int64_t day = 86400;

TEST(Clock, SetBackItMakesNoRouteOld) {
    QueueLab lab;
    lab.route = [&lab](const ipc::RouteQuery& query) {
        lab.lookup_silent = lab.questions > 20; // enough of it
        return to_exchanger(query);
    };
    lab.time.set_clock(-day);
    lab.accept("a@from.example", {"b@dest.example"});
    EXPECT_EQ(lab.questions, 1u);
    EXPECT_EQ(lab.handed_count(), 1u);
}

TEST(Clock, SetBackItPutsOffNoAttempt) {
    QueueLab lab;
    lab.accept("a@from.example", {"b@dest.example"});
    lab.answer(lab.handed(0), temporary());
    lab.run();
    lab.time.set_clock(-day);
    lab.advance(10min);
    EXPECT_EQ(lab.handed_count(), 2u) << "it was to be tried after five minutes";
    EXPECT_EQ(lab.show_queue()[0].attempts, 1u);
}

TEST(Clock, SetBackItHoldsNoDestinationLonger) {
    QueueLab lab;
    lab.accept("a@from.example", {"b@dead.example"});
    lab.answer(lab.handed(0), temporary("connection refused"), true);
    lab.accept("a@from.example", {"c@dead.example"});
    ASSERT_EQ(lab.handed_count(), 1u);
    lab.time.set_clock(-day);
    lab.advance(10min);
    EXPECT_EQ(lab.handed_count(), 3u);
}

TEST(Clock, WhatItSaysIsNotChangedByItsSteps) {
    QueueLab lab;
    lab.accept("a@from.example", {"b@dest.example"});
    lab.answer(lab.handed(0), temporary());
    lab.run();
    const int64_t before = lab.show_queue()[0].next_attempt;
    for (int i = 0; i < 8; ++i) { // as NTP corrects a clock that is fast
        lab.time.set_clock(-2);
        lab.advance(30s);
    }
    ASSERT_EQ(lab.handed_count(), 1u);
    EXPECT_EQ(lab.show_queue()[0].next_attempt, before);
}

} // namespace
} // namespace postern::test
