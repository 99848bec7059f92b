// The part of recovery that goes on while mail is taken, and its patience: what the disk refuses is
// asked for again after a second, then after twice as long each time, up to a minute, and not with
// every batch. The reason is reported when it is a new one, and every ten minutes.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "queue/spool/recovery.h"

namespace postern {

class BackgroundRecovery {
  public:
    // `recovery` has begun. `uptime`: microseconds.
    BackgroundRecovery(std::unique_ptr<Recovery> recovery, SpoolState& state,
                       std::function<uint64_t()> uptime)
        : recovery_(std::move(recovery)), state_(state), uptime_(std::move(uptime)) {}

    // One piece, unless it is too early to try again. True if something was achieved.
    bool step();
    bool ended() const { return recovery_ == nullptr; }
    // Once it has ended: paths to unlink.
    std::vector<std::string> take_orphans() { return std::move(orphans_); }
    // How long the next step() has to wait; none if the last one achieved something.
    std::optional<std::chrono::microseconds> retry_after() const;

  private:
    void failed(const Error& error);

    std::unique_ptr<Recovery> recovery_;
    SpoolState& state_;
    std::function<uint64_t()> uptime_;
    std::vector<std::string> orphans_;
    unsigned failures_ = 0; // in succession
    uint64_t next_ = 0;     // attempt, after a failure
    std::string reported_;
    uint64_t reported_at_ = 0;
};

} // namespace postern
