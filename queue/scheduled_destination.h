// What the scheduler knows of one destination. For the scheduler's own files.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <string>

#include "queue/concurrency_window.h"
#include "queue/job_lists.h"
#include "queue/scheduler.h"

namespace postern {

// One of our addresses that has a limit.
struct Scheduler::Source {
    SourceAllowance allowance;
    RateMeter meter;
    TimePoint refill = TimePoint::min(); // until then its rate is used up
    uint32_t out = 0;                    // deliveries
    uint32_t in_rings = 0;               // destinations that may have another one, each
    struct Place {
        uint32_t number; // of a destination
        uint64_t ticket; // its, unless it waits here no longer, or elsewhere
    };
    std::deque<Place> waiting;
};

struct Scheduler::Destination {
    enum class State : uint8_t {
        open,
        held,    // nothing goes out
        probing, // one goes out
    };

    uint32_t number = 0;
    State state = State::open;
    bool local = false;
    uint16_t deliverer = 0;
    uint32_t slots = 0;    // taken
    uint32_t failures = 0; // since somebody answered, of whole holds
    std::string domain;    // of its Place
    std::optional<IpAddress> source_address;
    Source* source = nullptr; // if that has a limit
    uint64_t ticket = 0;      // of its place where it waits for that; 0: it does not
    Allowance allowance;
    ConcurrencyWindow window;
    RateMeter meter;
    TimePoint refill = TimePoint::max();  // its place in `refills_`, if it has one
    bool used_up = false;                 // its rate, until then
    WallTime earliest_expiry = INT64_MAX; // of the waiting jobs; never too late
    WallTime wake = INT64_MAX;            // its place in `wakes_`, if it has one
    JobLists jobs;
    Hold hold; // meaningful unless open
    Destination* ring_next = nullptr;
    Destination* ring_previous = nullptr;

    std::unique_ptr<std::deque<uint64_t>> left_behind; // ids of messages; never empty

    bool empty() const { return jobs.empty(); }
};

} // namespace postern
