#include "queue/scheduler.h"

#include <algorithm>
#include <cassert>

#include "common/base/crc32c.h"
#include "queue/scheduled_destination.h"

namespace postern {

namespace {

// A window that shrank is remembered for so long when there is no mail: seconds. Mail that was
// deferred meanwhile finds it again.
constexpr WallTime window_memory = 600;

} // namespace

Scheduler::Scheduler(SchedulerSettings settings) { configure(settings); }
Scheduler::~Scheduler() = default;

void Scheduler::configure(SchedulerSettings settings) {
    settings.relays = std::max<uint32_t>(settings.relays, 1);
    clear_lanes();
    for (auto& destination : destinations_)
        if (destination)
            leave_ring(*destination);
    settings_ = std::move(settings);
    follow_sources();
    // Relays that are no more have no credit, and none comes back for those that they still have.
    deliverers_.resize(std::max<size_t>(deliverers_.size(), settings_.relays + 1));
    for (auto& destination : destinations_) {
        if (!destination)
            continue;
        destination->deliverer = deliverer_of(*destination);
        follow_allowance(*destination);
        update_ring(*destination);
        forget_if_idle(*destination);
    }
}

// The same relay for the same destination, so that its connection is there already.
uint16_t Scheduler::deliverer_of(const Destination& destination) const {
    if (destination.local)
        return local_deliverer;
    return static_cast<uint16_t>(1 + crc32c(destination.hold.destination) % settings_.relays);
}

// -- Destinations.

Scheduler::Destination& Scheduler::find_or_make(const Place& place) {
    auto [found, added] = numbers_.try_emplace(place.destination, 0);
    if (!added)
        return at(found->second);
    if (free_numbers_.empty()) {
        destinations_.emplace_back();
        free_numbers_.push_back(static_cast<uint32_t>(destinations_.size()));
    }
    uint32_t number = found->second = free_numbers_.back();
    free_numbers_.pop_back();
    destinations_[number - 1] = std::make_unique<Destination>();
    Destination& destination = at(number);
    destination.number = number;
    destination.local = place.local;
    destination.domain = place.domain;
    destination.source_addresses = place.sources;
    destination.source = find_source(place.sources);
    destination.allowance = settings_.allowances.of(place.domain, place.local);
    destination.hold.destination = place.destination;
    destination.deliverer = deliverer_of(destination);
    return destination;
}

void Scheduler::forget_if_idle(Destination& destination) {
    if (!destination.empty() || destination.slots || destination.left_behind ||
        destination.wake != Destination::never || destination.refill != TimePoint::max())
        return;
    leave_ring(destination);
    uint32_t number = destination.number;
    numbers_.erase(destination.hold.destination);
    destinations_[number - 1].reset();
    free_numbers_.push_back(number);
}

void Scheduler::link(Destination& destination, Job& job, bool front) {
    assert(!job.listed);
    job.listed = true;
    job.destination = destination.number;
    destination.jobs.add(job, front);
    destination.hold.waiting = destination.jobs.size();
    destination.earliest_expiry = std::min<WallTime>(destination.earliest_expiry, job.expires_at);
    if (destination.state == Destination::State::held && job.expires_at < destination.wake)
        set_wake(destination, job.expires_at);
}

// It is in the lists no longer.
void Scheduler::unlinked(Destination& destination, Job& job) {
    assert(job.listed);
    job.listed = false;
    destination.hold.waiting = destination.jobs.size();
}

bool Scheduler::has_work(const Destination& destination) const {
    uint32_t limit = destination.window.size(destination.allowance.max_deliveries);
    if (destination.state == Destination::State::held)
        limit = 0;
    else if (destination.state == Destination::State::probing)
        limit = 1;
    return !destination.empty() && destination.slots < limit && !destination.used_up;
}

void Scheduler::leave_ring(RingMember& member) {
    if (!member.ring_next)
        return;
    RingMember*& turn = deliverers_[member.deliverer].turn;
    if (turn == &member)
        turn = member.ring_next == &member ? nullptr : member.ring_next;
    member.ring_next->ring_previous = member.ring_previous;
    member.ring_previous->ring_next = member.ring_next;
    member.ring_next = member.ring_previous = nullptr;
}

void Scheduler::join_ring(RingMember& member) {
    if (member.ring_next)
        return;
    // Behind all others: just before the one whose turn it is.
    RingMember*& turn = deliverers_[member.deliverer].turn;
    if (!turn) {
        turn = member.ring_next = member.ring_previous = &member;
        return;
    }
    member.ring_next = turn;
    member.ring_previous = turn->ring_previous;
    member.ring_previous->ring_next = &member;
    turn->ring_previous = &member;
}

void Scheduler::update_ring(Destination& destination) {
    update_wish(destination);
    if (!has_work(destination))
        leave_ring(destination);
    else if (destination.source)
        wait_in_lane(destination);
    else
        join_ring(destination);
}

// -- Jobs.

void Scheduler::enqueue(Job& job, const Place& place, bool front) {
    Destination& destination = find_or_make(place);
    if (job.urgent) {
        job.rank = 0;
        job.retry = false;
        end_hold(destination);
    }
    link(destination, job, front || job.urgent);
    job.urgent = false;
    update_ring(destination);
}

void Scheduler::withdraw(Job& job) {
    Destination& destination = at(job.destination);
    destination.jobs.remove(job);
    unlinked(destination, job);
    update_ring(destination);
    forget_if_idle(destination);
}

bool Scheduler::paused(const Job& job) const {
    return job.destination && paused(destinations_[job.destination - 1]->local);
}

Job* Scheduler::next(uint16_t index, TimePoint now) {
    Deliverer& deliverer = deliverers_[index];
    if (paused(index == local_deliverer) || deliverer.open >= deliverer.capacity)
        return nullptr;
    Destination* found = nullptr;
    while (deliverer.turn && !found) {
        RingMember& member = *deliverer.turn;
        deliverer.turn = member.ring_next;
        found = member.lane ? first_in(*member.lane) : static_cast<Destination*>(&member);
    }
    if (!found)
        return nullptr;
    Destination& destination = *found;
    Job& job = destination.jobs.take_next();
    unlinked(destination, job);
    ++destination.slots;
    ++deliverer.open;
    job.deliverer = index;
    job.has_slot = job.has_credit = true;
    if (const RateLimit& rate = destination.allowance.rate; rate.messages) {
        destination.meter.count(rate, now);
        set_refill(destination, destination.meter.next(rate));
        look_at_rate(destination, now);
    }
    take_from_source(destination, now);
    update_ring(destination);
    return &job;
}

void Scheduler::return_credit(Job& job) {
    if (job.has_credit)
        --deliverers_[job.deliverer].open;
    job.has_credit = false;
}

void Scheduler::put_back(Job& job, bool tried) {
    return_credit(job);
    Destination& destination = at(job.destination);
    link(destination, job, true);
    job.has_slot = false;
    --destination.slots;
    give_back_to_source(destination, tried, true);
    if (!tried)
        give_back_rate(destination);
    update_ring(destination);
}

bool Scheduler::settle(Job& job, Attempt attempt, std::string_view reason, WallTime now,
                       uint64_t random) {
    return_credit(job);
    if (!job.has_slot)
        return false;
    job.has_slot = false;
    Destination& destination = at(job.destination);
    const uint32_t most = destination.allowance.max_deliveries;
    const uint32_t out = destination.slots--;
    give_back_to_source(destination, attempt != Attempt::none && attempt != Attempt::down,
                        attempt == Attempt::none);
    bool held = false;
    if (attempt == Attempt::answered) {
        destination.failures = 0;
        end_hold(destination);
        destination.window.answered(out, most);
    } else if (attempt != Attempt::none && failed(destination, attempt, out)) {
        begin_hold(destination, reason, now, random);
        held = true;
    }
    if (attempt == Attempt::none)
        give_back_rate(destination);
    else if (destination.state == Destination::State::open && destination.window.cautious(most))
        set_wake(destination, now + window_memory);
    update_ring(destination);
    forget_if_idle(destination);
    return held;
}

std::optional<ipc::DestinationEntry> Scheduler::after(uint32_t& number) const {
    using State = ipc::DestinationState;
    while (number < destinations_.size()) {
        const Destination* destination = destinations_[number++].get();
        if (!destination)
            continue;
        ipc::DestinationEntry entry;
        entry.destination = destination->hold.destination;
        entry.waiting = destination->jobs.size();
        if (destination->left_behind)
            entry.waiting += destination->left_behind->size();
        entry.out = destination->slots;
        entry.most = destination->window.size(destination->allowance.max_deliveries);
        const Source* source = destination->source;
        if (destination->used_up || (source && destination->ticket && !allows_another(*source)))
            entry.state = State::limited;
        if (destination->state != Destination::State::open) {
            const bool held = destination->state == Destination::State::held;
            entry.state = held ? State::held : State::probing;
            entry.most = held ? 0 : 1;
            entry.until = destination->hold.until;
            entry.reason = destination->hold.reason;
        }
        return entry;
    }
    return std::nullopt;
}

void Scheduler::set_capacity(uint16_t deliverer, uint32_t deliveries) {
    if (deliverers_.size() <= deliverer)
        deliverers_.resize(deliverer + 1u);
    deliverers_[deliverer].capacity = deliveries;
}

uint32_t Scheduler::open(uint16_t deliverer) const { return deliverers_[deliverer].open; }

WallTime Scheduler::next_event(WallTime now) const {
    WallTime next = waiting_.next_due(now);
    if (!wakes_.empty())
        next = std::min(next, std::max(wakes_.begin()->first, now + 1));
    return next;
}

} // namespace postern
