// What the scheduler knows of one destination. For the scheduler's own files.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "queue/concurrency_window.h"
#include "queue/job_lists.h"
#include "queue/scheduler.h"

namespace postern {

// Who takes turns at a deliverer: a destination, or a lane.
struct Scheduler::RingMember {
    RingMember* ring_next = nullptr; // nothing: it is in no ring
    RingMember* ring_previous = nullptr;
    uint16_t deliverer = 0;
    Lane* lane = nullptr; // itself, if it is one
};

// The destinations of one deliverer whose mail leaves from an address that has a limit, and that
// have work: they are in no ring themselves. The lane is in it while the source may have another
// delivery and somebody waits.
struct Scheduler::Lane : RingMember {
    struct Place {
        uint32_t number; // of a destination
        uint64_t ticket; // its, unless it waits here no longer
    };
    std::deque<Place> waiting;
};

// One of our addresses that has a limit.
struct Scheduler::Source {
    SourceAllowance allowance;
    RateMeter meter;
    TimePoint refill = TimePoint::min();      // until then its rate is used up
    uint32_t out = 0;                         // deliveries
    std::vector<std::unique_ptr<Lane>> lanes; // by deliverer
};

struct Scheduler::Destination : RingMember {
    enum class State : uint8_t {
        open,
        held,    // nothing goes out
        probing, // one goes out
    };

    static constexpr WallTime never = INT64_MAX;

    uint32_t number = 0;
    State state = State::open;
    bool local = false;
    uint32_t slots = 0;                      // taken
    uint32_t failures = 0;                   // since somebody answered, of whole holds
    std::string domain;                      // of its Place
    std::vector<IpAddress> source_addresses; // Place::sources
    Source* source = nullptr;                // if that has a limit
    uint64_t ticket = 0;                     // of its place in a lane of that; 0: it has none
    Allowance allowance;
    ConcurrencyWindow window;
    RateMeter meter;
    TimePoint refill = TimePoint::max(); // its place in `refills_`, if it has one
    bool used_up = false;                // its rate, until then
    WallTime earliest_expiry = never;    // of the waiting jobs; never too late
    WallTime wake = never;               // its place in `wakes_`, if it has one
    JobLists jobs;
    Hold hold;                                         // meaningful unless open
    std::unique_ptr<std::deque<uint64_t>> left_behind; // ids of messages; never empty

    bool empty() const { return jobs.empty(); }
};

} // namespace postern
