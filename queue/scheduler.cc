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
constexpr WallTime never = INT64_MAX;

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
        destination.wake != never || destination.refill != TimePoint::max())
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

// Whether the destination is to be held.
bool Scheduler::failed(Destination& destination, Attempt attempt, uint32_t out) {
    if (attempt == Attempt::hindered)
        end_hold(destination); // somebody is there
    switch (destination.state) {
    case Destination::State::held:
        return false; // several that were out together find out together: that is one failure
    case Destination::State::probing:
        return true;
    case Destination::State::open:
        break;
    }
    const auto failure = attempt == Attempt::down ? ConcurrencyWindow::Failure::unreachable
                                                  : ConcurrencyWindow::Failure::hindered;
    return !destination.window.failed(failure, out, destination.allowance.max_deliveries);
}

void Scheduler::begin_hold(Destination& destination, std::string_view reason, WallTime now,
                           uint64_t random) {
    ++destination.failures;
    destination.state = Destination::State::held;
    destination.hold.until =
        now + retry_after(destination.allowance.hold, destination.failures, random).count();
    destination.hold.reason = reason;
    set_wake(destination, destination.hold.until);
}

void Scheduler::set_wake(Destination& destination, WallTime when) {
    clear_wake(destination);
    destination.wake = when;
    wakes_.emplace(when, destination.number);
}

void Scheduler::clear_wake(Destination& destination) {
    if (destination.wake != never)
        wakes_.erase({destination.wake, destination.number});
    destination.wake = never;
}

void Scheduler::end_hold(Destination& destination) {
    if (destination.state == Destination::State::open)
        return;
    if (destination.state == Destination::State::held)
        clear_wake(destination);
    destination.state = Destination::State::open;
    destination.window.reopen();
    destination.hold.reason.clear();
}

std::vector<Job*> Scheduler::expired(uint32_t number, WallTime now, size_t limit) {
    std::vector<Job*> result;
    Destination& destination = at(number);
    assert(destination.state == Destination::State::held);
    if (destination.earliest_expiry <= now) {
        destination.earliest_expiry = destination.jobs.take_expired(now, limit, result);
        for (Job* job : result)
            unlinked(destination, *job);
    }
    // Of 100,000 jobs some may expire every second; all are looked at every eleven.
    const WallTime pause = 1 + static_cast<WallTime>(destination.hold.waiting / 10'000);
    set_wake(destination,
             std::min(destination.hold.until, std::max(destination.earliest_expiry, now + pause)));
    return result;
}

const Scheduler::Hold* Scheduler::hold(uint32_t number) const {
    if (!number || !destinations_[number - 1] ||
        destinations_[number - 1]->state == Destination::State::open)
        return nullptr;
    return &destinations_[number - 1]->hold;
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

void Scheduler::lift(uint32_t number) {
    if (!hold(number))
        return;
    Destination& destination = at(number);
    end_hold(destination);
    update_ring(destination);
    forget_if_idle(destination);
}

void Scheduler::lift_all() {
    for (uint32_t number = 1; number <= destinations_.size(); ++number) {
        lift(number);
        if (!destinations_[number - 1])
            continue;
        clear_wake(at(number)); // a window need not be remembered for as long as was meant
        forget_if_idle(at(number));
    }
}

std::vector<uint32_t> Scheduler::release_holds(WallTime now) {
    std::vector<uint32_t> with_expired;
    while (!wakes_.empty() && wakes_.begin()->first <= now) {
        Destination& destination = at(wakes_.begin()->second);
        if (destination.state == Destination::State::held && destination.hold.until > now) {
            with_expired.push_back(destination.number);
            set_wake(destination, std::min(destination.hold.until, now + 1)); // expired() says when
            continue;
        }
        clear_wake(destination);
        if (destination.state == Destination::State::held) {
            destination.state = Destination::State::probing;
            update_ring(destination);
        }
        forget_if_idle(destination);
    }
    return with_expired;
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
