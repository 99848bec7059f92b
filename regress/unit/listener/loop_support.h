// Tests with real descriptors: a loop that runs until something is so, or a few seconds are over.
#pragma once

#include <gtest/gtest.h>

#include <functional>

#include "common/loop/event_loop.h"

namespace postern::listener::test {

// Asks after each turn. False, and a failure, when the time is over.
inline bool run_until(EventLoop& loop, const std::function<bool()>& condition,
                      std::chrono::milliseconds limit = std::chrono::seconds(10)) {
    struct Tick final : Timer {
        Tick(EventLoop& loop, const std::function<bool()>& condition, TimePoint end)
            : loop(loop), condition(condition), end(end) {}
        void expired() override {
            met = condition();
            if (met || loop.now() >= end)
                loop.stop();
            else
                arm(loop, loop.now() + std::chrono::milliseconds(1));
        }
        EventLoop& loop;
        const std::function<bool()>& condition;
        TimePoint end;
        bool met = false;
    } tick(loop, condition, loop.now() + limit);
    tick.arm(loop, loop.now());
    loop.run();
    EXPECT_TRUE(tick.met) << "not within the time";
    return tick.met;
}

} // namespace postern::listener::test
