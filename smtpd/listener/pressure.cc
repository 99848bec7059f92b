#include "smtpd/listener/pressure.h"

#include <algorithm>

namespace postern::listener {

void Pressure::configure(uint32_t max_sessions, uint64_t max_memory) {
    max_sessions_ = max_sessions;
    max_memory_ = max_memory;
}

bool Pressure::otherwise_high(TimePoint now) const {
    return now < scarce_until_ || (max_memory_ != 0 && memory_ >= max_memory_ / 5 * 4);
}

bool Pressure::files_high() const {
    return max_files_ != 0 && files_ >= uint64_t{max_files_} * 4 / 5;
}

bool Pressure::high(TimePoint now) const {
    // A limit of few sessions is there to be used.
    return (max_sessions_ >= 5 && sessions_ >= enough_sessions()) || otherwise_high(now) ||
           files_high();
}

uint64_t Pressure::surplus_sessions(TimePoint now) const {
    uint64_t surplus = 0;
    if (max_sessions_ >= 5 && sessions_ >= enough_sessions())
        surplus = sessions_ - enough_sessions() + 1;
    if (otherwise_high(now))
        surplus = std::max(surplus, sessions_ / 20 + 1);
    return surplus;
}

std::vector<uint64_t> longest_idle(std::vector<IdleSession> sessions, size_t count) {
    count = std::min(count, sessions.size());
    std::partial_sort(
        sessions.begin(), sessions.begin() + static_cast<ptrdiff_t>(count), sessions.end(),
        [](const IdleSession& one, const IdleSession& other) { return one.since < other.since; });
    std::vector<uint64_t> ids;
    for (size_t i = 0; i < count; ++i)
        ids.push_back(sessions[i].id);
    return ids;
}

} // namespace postern::listener
