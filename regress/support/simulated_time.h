// An Executor that a test drives by hand, in simulated time: nothing sleeps, and a time limit of
// ten minutes passes in no time.
//
//     SimulatedTime time;
//     tasks.spawn(session.run());
//     time.run();          // until nobody can go on without something from outside
//     time.advance(5min);  // every timer on the way expires, in order, at its own time
#pragma once

#include "common/loop/executor.h"

namespace postern::test {

class SimulatedTime final : public Executor {
  public:
    // Mon, 23 Nov 2026 12:00:00 +0000.
    static constexpr int64_t default_start = 1795435200;

    explicit SimulatedTime(int64_t wall_start = default_start) : wall_start_(wall_start) {}

    TimePoint now() const override { return start_ + elapsed_; }
    int64_t wall_seconds() const override;
    Duration elapsed() const { return elapsed_; }
    // Somebody sets the wall clock, forward or back, by so many seconds.
    void set_clock(int64_t by) { wall_start_ += by; }

    // Calls what is ready, without letting time pass. Something that makes itself ready for ever
    // is a bug: after `turns_limit` turns it ends the test program with a word about it.
    void run();
    static constexpr int turns_limit = 100'000;

    // One turn of the loop: what makes itself ready again and again is not done after it.
    void turn() { run_ready(); }

    // Lets `duration` pass, stopping at each timer on the way.
    void advance(Duration duration);

    // Lets time pass up to the next timer. False, and nothing happens, if there is none.
    bool advance_to_next_timer();
    // How long until the next timer expires; Duration::max() without any.
    Duration until_next_timer() const;

  private:
    void step_to(TimePoint when);

    // Not zero, so that a time point before the start is still one.
    static constexpr TimePoint start_{std::chrono::hours(1000)};
    int64_t wall_start_;
    Duration elapsed_{0};
};

} // namespace postern::test
