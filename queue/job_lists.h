// The jobs that wait at one destination, and which of them is the next. Pure.
//
// - Those of a raised priority go before ordinary ones, and those before the ones of a lowered
//   priority (RFC 6710); in each, mail that has not been tried before mail that has. Every fourth
//   job is one of the others, in turns, so that none waits for ever.
// - Of equals, the first that came is the first served, as long as there are few. When there are
//   many, their senders take turns, so that one who sends much does not keep the others waiting.
//
// All but last() and take_expired(), which looks at every job, takes constant time. Turns cost some
// bytes for each sender while there are many jobs, and nothing otherwise.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <unordered_map>
#include <vector>

#include "queue/mail_table.h"

namespace postern {

class JobLists {
  public:
    // With so many waiting, senders begin to take turns.
    static constexpr size_t many = 32;

    // Behind its equals; or before them: it had its turn already.
    void add(Job& job, bool front);
    void remove(Job& job);
    // Removes the one that is to go out. There must be one.
    Job& take_next();
    // Removes what has expired, `limit` at most, to the end of `expired`. The earliest expiry of
    // those that stay; INT64_MAX: there is none.
    WallTime take_expired(WallTime now, size_t limit, std::vector<Job*>& expired);

    // Those that go out last, if nothing is added: the last one first, `count` at most.
    std::vector<Job*> last(size_t count) const;

    size_t size() const { return size_; }
    bool empty() const { return size_ == 0; }

  private:
    static constexpr size_t ranks = 6;
    struct List {
        Job* first = nullptr;
        Job* last = nullptr;
        void add(Job& job, bool front);
        void remove(Job& job);
    };
    struct Lane { // the jobs of one sender and rank; never empty
        List jobs;
        Lane* next = nullptr; // of the same rank, in a ring
        Lane* previous = nullptr;
    };
    struct Lanes {
        std::unordered_map<uint32_t, Lane> by_key;
        std::array<Lane*, ranks> turn{}; // whose turn it is
    };

    static size_t rank_of(const Job& job) { return size_t{job.rank} * 2 + job.retry; }
    static uint32_t key_of(const Job& job) {
        return static_cast<uint32_t>(rank_of(job) << 16) | job.sender;
    }
    bool waits(size_t rank) const { return lists_[rank].first || (lanes_ && lanes_->turn[rank]); }
    void add_last(size_t rank, size_t count, std::vector<Job*>& result) const;
    size_t next_rank();
    void add_to_lane(Job& job);
    void remove_lane(size_t rank, uint32_t key, Lane& lane);
    void unlink(Job& job);
    void take_turns();
    WallTime take_expired(List& list, WallTime now, size_t limit, std::vector<Job*>& expired);

    std::array<List, ranks> lists_; // before the lanes, if there are any
    std::unique_ptr<Lanes> lanes_;
    size_t size_ = 0;
    uint32_t turns_ = 0;
    uint32_t other_ = 0; // the rank behind the first that had its turn last
};

} // namespace postern
