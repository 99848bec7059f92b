// How many lines of a process are passed on: a token bucket. Pure.
#pragma once

#include <algorithm>
#include <cstdint>

#include "common/loop/executor.h"

namespace postern {

// `lines_per_second` for ever, and that many at once after a second of silence.
class LineBudget {
  public:
    static constexpr int64_t lines_per_second = 10'000;

    explicit LineBudget(TimePoint now) : full_at_(now) {}

    // What was passed on; it may be more than there was room for, and is waited for then.
    void spend(int64_t lines, TimePoint now) {
        full_at_ = std::max(full_at_, now) + lines * per_line;
    }
    // How long until there is room for a line.
    Duration wait(TimePoint now) const {
        return std::max(full_at_ - now - (lines_per_second - 1) * per_line, Duration(0));
    }

  private:
    static constexpr Duration per_line = Duration(std::chrono::seconds(1)) / lines_per_second;

    TimePoint full_at_; // when nothing of what was spent counts any more
};

} // namespace postern
