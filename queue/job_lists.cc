#include "queue/job_lists.h"

#include <algorithm>
#include <cassert>
#include <utility>

namespace postern {

void JobLists::List::add(Job& job, bool front) {
    job.previous = front ? nullptr : last;
    job.next = front ? first : nullptr;
    (job.previous ? job.previous->next : first) = &job;
    (job.next ? job.next->previous : last) = &job;
}

void JobLists::List::remove(Job& job) {
    (job.previous ? job.previous->next : first) = job.next;
    (job.next ? job.next->previous : last) = job.previous;
    job.next = job.previous = nullptr;
}

void JobLists::add(Job& job, bool front) {
    ++size_;
    if (lanes_ && !front)
        return add_to_lane(job);
    lists_[rank_of(job)].add(job, front);
    if (!lanes_ && size_ > many)
        take_turns();
}

void JobLists::take_turns() {
    lanes_ = std::make_unique<Lanes>();
    for (List& list : lists_)
        while (Job* job = list.first) {
            list.remove(*job);
            add_to_lane(*job);
        }
}

// A sender who was not there before is the last of the ring: just before the one whose turn it is.
void JobLists::add_to_lane(Job& job) {
    const auto [place, added] = lanes_->by_key.try_emplace(key_of(job));
    Lane& lane = place->second;
    lane.jobs.add(job, false);
    if (!added)
        return;
    Lane*& turn = lanes_->turn[rank_of(job)];
    if (!turn) {
        turn = lane.next = lane.previous = &lane;
        return;
    }
    lane.next = turn;
    lane.previous = turn->previous;
    lane.previous->next = &lane;
    turn->previous = &lane;
}

void JobLists::remove_lane(size_t rank, uint32_t key, Lane& lane) {
    Lane*& turn = lanes_->turn[rank];
    if (turn == &lane)
        turn = lane.next == &lane ? nullptr : lane.next;
    lane.next->previous = lane.previous;
    lane.previous->next = lane.next;
    lanes_->by_key.erase(key);
}

void JobLists::unlink(Job& job) {
    assert(size_ > 0);
    --size_;
    const size_t rank = rank_of(job);
    List& list = lists_[rank];
    const bool at_an_end = !job.previous || !job.next;
    if (!lanes_ || !at_an_end || list.first == &job || list.last == &job)
        return list.remove(job); // of one in the midst, the list does not matter
    const uint32_t key = key_of(job);
    Lane& lane = lanes_->by_key.at(key);
    lane.jobs.remove(job);
    if (!lane.jobs.first)
        remove_lane(rank, key, lane);
}

void JobLists::remove(Job& job) {
    unlink(job);
    if (lanes_ && lanes_->by_key.empty())
        lanes_.reset();
}

// The first that has something; but every fourth time one of those behind it.
size_t JobLists::next_rank() {
    size_t first = 0;
    while (!waits(first))
        ++first;
    if (++turns_ % 4 != 0)
        return first;
    for (uint32_t step = 1; step <= ranks; ++step) {
        const uint32_t rank = (other_ + step) % ranks;
        if (rank > first && waits(rank))
            return other_ = rank;
    }
    return first;
}

Job& JobLists::take_next() {
    assert(size_ > 0);
    const size_t rank = next_rank();
    Job* job = lists_[rank].first;
    if (!job) {
        Lane*& turn = lanes_->turn[rank];
        job = turn->jobs.first;
        turn = turn->next;
    }
    remove(*job);
    return *job;
}

// Of one rank. Senders are unlike long: from the end, they take turns as well.
void JobLists::add_last(size_t rank, size_t count, std::vector<Job*>& result) const {
    if (result.size() == count)
        return;
    std::vector<Job*> ends;
    if (const Lane* first = lanes_ ? lanes_->turn[rank] : nullptr) {
        const Lane* lane = first;
        do {
            lane = lane->previous; // whose turn is last
            ends.push_back(lane->jobs.last);
        } while (lane != first);
    }
    for (std::vector<Job*> rest; !ends.empty(); ends = std::exchange(rest, {}))
        for (Job* job : ends) {
            if (result.size() == count)
                return;
            result.push_back(job);
            if (job->previous)
                rest.push_back(job->previous);
        }
    for (Job* job = lists_[rank].last; job && result.size() < count; job = job->previous)
        result.push_back(job);
}

std::vector<Job*> JobLists::last(size_t count) const {
    std::vector<Job*> result;
    for (size_t rank = ranks; rank-- > 0;)
        add_last(rank, count, result);
    return result;
}

WallTime JobLists::take_expired(List& list, WallTime now, size_t limit,
                                std::vector<Job*>& expired) {
    WallTime earliest = INT64_MAX;
    for (Job *job = list.first, *next; job; job = next) {
        next = job->next;
        if (job->expires_at <= now && expired.size() < limit) {
            unlink(*job); // `list` goes with the last one, if it is of a lane
            expired.push_back(job);
        } else {
            earliest = std::min<WallTime>(earliest, job->expires_at);
        }
    }
    return earliest;
}

WallTime JobLists::take_expired(WallTime now, size_t limit, std::vector<Job*>& expired) {
    WallTime earliest = INT64_MAX;
    for (List& list : lists_)
        earliest = std::min(earliest, take_expired(list, now, limit, expired));
    if (!lanes_)
        return earliest;
    for (auto place = lanes_->by_key.begin(); place != lanes_->by_key.end();) {
        List& list = place++->second.jobs;
        earliest = std::min(earliest, take_expired(list, now, limit, expired));
    }
    if (lanes_->by_key.empty())
        lanes_.reset();
    return earliest;
}

} // namespace postern
