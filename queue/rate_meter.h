// How often something may happen, and no more often. Pure.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>

#include "common/loop/executor.h"

namespace postern {

// So many in any period. 0: no limit.
struct RateLimit {
    uint32_t messages = 0;
    std::chrono::seconds period{1};
    friend bool operator==(const RateLimit&, const RateLimit&) = default;
};

// A token bucket with room for a hundredth of the period, kept as the time at which it is full
// again. It fills so that even with what it holds no period ever has more than the limit; what is
// evenly spaced has 99 % of it.
class RateMeter {
  public:
    // When the next may happen; a time that is over: now.
    TimePoint next(const RateLimit& limit) const { return full_at_ - burst(limit); }
    void count(const RateLimit& limit, TimePoint now) {
        full_at_ = std::max(full_at_, now) + interval(limit);
    }
    // It did not happen.
    void take_back(const RateLimit& limit) { full_at_ -= interval(limit); }
    // From then on it is as if nothing had been.
    TimePoint full_at() const { return full_at_; }

  private:
    static Duration burst(const RateLimit& limit) { return Duration(limit.period) / 100; }
    static Duration interval(const RateLimit& limit) {
        const int64_t count = std::max<uint32_t>(limit.messages, 1);
        return Duration((Duration(limit.period) + burst(limit)).count() / count + 1);
    }
    TimePoint full_at_{};
};

} // namespace postern
