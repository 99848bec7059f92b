#include "regress/support/simulated_time.h"

#include <cstdio>
#include <cstdlib>

namespace postern::test {

int64_t SimulatedTime::wall_seconds() const {
    return wall_start_ + std::chrono::duration_cast<std::chrono::seconds>(elapsed_).count();
}

void SimulatedTime::run() {
    for (int turn = 0; turn < turns_limit; ++turn) {
        run_ready();
        if (!has_ready() && next_expiry() > now())
            return;
    }
    std::fprintf(stderr, "SimulatedTime: still not idle after %d turns\n", turns_limit);
    std::abort();
}

void SimulatedTime::step_to(TimePoint when) {
    elapsed_ = when - start_;
    run();
}

void SimulatedTime::advance(Duration duration) {
    run();
    const TimePoint end = now() + duration;
    while (next_expiry() <= end)
        step_to(next_expiry());
    step_to(end);
}

bool SimulatedTime::advance_to_next_timer() {
    run();
    if (next_expiry() == TimePoint::max())
        return false;
    step_to(next_expiry());
    return true;
}

Duration SimulatedTime::until_next_timer() const {
    return next_expiry() == TimePoint::max() ? Duration::max() : next_expiry() - now();
}

} // namespace postern::test
