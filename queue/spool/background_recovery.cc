// When recovery is tried again.
#include "queue/spool/background_recovery.h"

#include <algorithm>

namespace postern {

namespace {

constexpr uint64_t second = 1'000'000;
constexpr unsigned most_doublings = 6;
constexpr uint64_t longest_delay = 60 * second;
constexpr uint64_t report_interval = 600 * second;

} // namespace

bool BackgroundRecovery::step() {
    if (ended() || (failures_ != 0 && uptime_() < next_))
        return false;
    auto more = recovery_->step();
    if (!more) {
        failed(more.error());
        return false;
    }
    failures_ = 0;
    if (!*more) {
        orphans_ = recovery_->take_orphans();
        recovery_.reset();
    }
    return true;
}

void BackgroundRecovery::failed(const Error& error) {
    const uint64_t now = uptime_();
    if (error.message != reported_ || now - reported_at_ >= report_interval) {
        state_.report(SpoolEvent::Kind::DiskFailed,
                      error.message +
                          "; the mail that was there at the start waits until it can be read");
        reported_ = error.message;
        reported_at_ = now;
    }
    next_ = now + std::min(second << std::min(failures_, most_doublings), longest_delay);
    ++failures_;
}

std::optional<std::chrono::microseconds> BackgroundRecovery::retry_after() const {
    if (failures_ == 0)
        return std::nullopt;
    const uint64_t now = uptime_();
    return std::chrono::microseconds(next_ > now ? next_ - now : 0);
}

} // namespace postern
