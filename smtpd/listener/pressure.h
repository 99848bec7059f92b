// How much is left of what sessions share: places for them, descriptors, memory, content files.
// Counts only.
//
// When little is left the process is under pressure: sessions then have less patience with their
// clients (patience::pressed_command and so on), as in Postfix's STRESS_README, and those that have
// waited longest are ended to make room (Listener). When the memory is used up, what would need
// more of it is refused with 452, and contents go on into files.
#pragma once

#include <cstdint>
#include <vector>

#include "common/loop/executor.h"

namespace postern::listener {

class Pressure {
  public:
    // How long descriptors count as scarce after they ran out.
    static constexpr Duration scarcity = std::chrono::seconds(60);

    // `max_memory` in bytes; 0: no limit, of both.
    void configure(uint32_t max_sessions, uint64_t max_memory);

    void session_began() { ++sessions_; }
    void session_ended() { --sessions_; }
    // A session holds `now` bytes, and has held `before`.
    void memory_changed(uint64_t before, uint64_t now) { memory_ += now - before; }
    // So many of the queue's content files are open, of `limit`.
    void files_changed(uint32_t used, uint32_t limit) {
        files_ = used;
        max_files_ = limit;
    }
    void descriptors_ran_out(TimePoint now) { scarce_until_ = now + scarcity; }

    // Four fifths of the sessions, of the memory or of the content files are in use, or descriptors
    // ran out lately.
    bool high(TimePoint now) const;
    bool memory_full() const { return max_memory_ != 0 && memory_ >= max_memory_; }
    uint64_t memory() const { return memory_; }
    // How many sessions should end: those beyond four fifths; a twentieth where memory or
    // descriptors are scarce. Those that wait hold no content file: their end would make no room
    // for one.
    uint64_t surplus_sessions(TimePoint now) const;

  private:
    uint64_t enough_sessions() const { return uint64_t{max_sessions_} * 4 / 5; }
    bool otherwise_high(TimePoint now) const;
    bool files_high() const;

    uint32_t max_sessions_ = 0;
    uint64_t max_memory_ = 0;
    uint64_t sessions_ = 0;
    uint64_t memory_ = 0;
    uint32_t files_ = 0;
    uint32_t max_files_ = 0;
    TimePoint scarce_until_ = TimePoint::min();
};

// A session that waits for its client, since when.
struct IdleSession {
    TimePoint since;
    uint64_t id = 0;
};

// The ids of those `count` that have waited longest, longest first.
std::vector<uint64_t> longest_idle(std::vector<IdleSession> sessions, size_t count);

} // namespace postern::listener
