// What destinations leave behind when memory is short: see Parking.
#include <algorithm>

#include "queue/scheduled_destination.h"

namespace postern {

bool Scheduler::crowded(const Job& job) const {
    const Destination& destination = *destinations_[job.destination - 1];
    const bool held = destination.state == Destination::State::held;
    return job.listed && destination.hold.waiting > (held ? 1 : crowd_);
}

void Scheduler::leave_behind(Job& job, bool front) {
    Destination& destination = at(job.destination);
    destination.jobs.remove(job);
    unlinked(destination, job);
    if (!destination.left_behind)
        destination.left_behind = std::make_unique<std::deque<uint64_t>>();
    if (front)
        destination.left_behind->push_front(job.message->id);
    else
        destination.left_behind->push_back(job.message->id);
    update_ring(destination);
}

std::vector<Job*> Scheduler::waiting_jobs(uint32_t number, size_t limit) {
    const JobLists& jobs = at(number).jobs;
    return jobs.empty() ? std::vector<Job*>() : jobs.last(std::min(limit, jobs.size() - 1));
}

void Scheduler::update_wish(Destination& destination) {
    // One is enough to find out whether it can be reached.
    const size_t enough = destination.state == Destination::State::probing ? 0 : crowd_ / 2;
    if (destination.left_behind && destination.state != Destination::State::held &&
        destination.hold.waiting <= enough)
        wishing_.insert(destination.number);
    else if (!wishing_.empty())
        wishing_.erase(destination.number);
}

std::vector<uint64_t> Scheduler::take_left_behind(size_t limit) {
    std::vector<uint64_t> result;
    const size_t share = std::max<size_t>(limit / std::max<size_t>(wishing_.size(), 1), 1);
    // They take turns: each has its share at most once.
    for (size_t turns = wishing_.size(); turns > 0 && result.size() < limit; --turns) {
        auto wish = wishing_.upper_bound(served_);
        if (wish == wishing_.end())
            wish = wishing_.begin();
        Destination& destination = at(served_ = *wish);
        update_wish(destination); // what makes a crowd may have changed
        if (!wishing_.contains(served_))
            continue;
        const bool probing = destination.state == Destination::State::probing;
        const size_t room = probing ? 1 : crowd_ - destination.hold.waiting;
        auto& ids = *destination.left_behind;
        const auto end =
            ids.begin() + static_cast<std::ptrdiff_t>(std::min({room, share, ids.size()}));
        result.insert(result.end(), ids.begin(), end);
        ids.erase(ids.begin(), end);
        if (!ids.empty())
            continue;
        destination.left_behind.reset();
        update_wish(destination);
        forget_if_idle(destination);
    }
    return result;
}

std::vector<uint64_t> Scheduler::forget_left_behind() {
    std::vector<uint64_t> result;
    for (auto& destination : destinations_) {
        if (!destination || !destination->left_behind)
            continue;
        result.insert(result.end(), destination->left_behind->begin(),
                      destination->left_behind->end());
        destination->left_behind.reset();
        update_wish(*destination);
        forget_if_idle(*destination);
    }
    return result;
}

} // namespace postern
