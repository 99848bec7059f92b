// How long to wait before a process that died is started again. Pure.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>

namespace postern {

inline constexpr std::chrono::seconds healthy_life{10};

// The first time at once, because mail is waiting; then from 100 ms doubling to 10 s, until it has
// lived for a while.
class RestartDelay {
  public:
    // The process ended after `lifetime`.
    std::chrono::milliseconds next(std::chrono::nanoseconds lifetime) {
        if (lifetime >= healthy_life)
            failures_ = 0;
        uint32_t failures = failures_++;
        if (failures == 0)
            return std::chrono::milliseconds(0);
        return std::min(std::chrono::milliseconds(50) * (1u << std::min(failures, 10u)),
                        std::chrono::milliseconds(10000));
    }

  private:
    uint32_t failures_ = 0;
};

} // namespace postern
