// How the mail that leaves from one of our addresses is kept to its limit (`mta limit src`), over
// all its destinations.
//
// A destination that has one and has work waits there, and comes into its ring, in turn, when the
// source may have another delivery; after that it waits again.
#include <algorithm>
#include <utility>

#include "queue/scheduled_destination.h"

namespace postern {

namespace {

constexpr TimePoint at_once = TimePoint::min();
constexpr int passed_over = 16; // destinations, at most, whenever one is looked for

} // namespace

Scheduler::Source* Scheduler::find_source(const std::optional<IpAddress>& address) const {
    const auto found = std::find_if(sources_.begin(), sources_.end(), [&](const auto& source) {
        return address && source->allowance.address == *address;
    });
    return found == sources_.end() ? nullptr : found->get();
}

// Before all rings are left.
void Scheduler::forget_who_waits() {
    for (const auto& source : sources_)
        source->waiting.clear();
    for (const auto& destination : destinations_)
        if (destination)
            destination->ticket = 0;
}

// Limits may be others, more or fewer; what is out counts.
void Scheduler::follow_sources() {
    for (const auto& source : sources_) {
        const SourceAllowance before = std::exchange(
            source->allowance, settings_.allowances.of_source(source->allowance.address));
        if (source->allowance.rate != before.rate) { // it may have been a mistake
            source->meter = {};
            source->refill = at_once;
        }
        source->out = source->in_rings = 0;
    }
    for (const SourceAllowance& allowance : settings_.allowances.sources())
        if (!find_source(allowance.address))
            sources_.emplace_back(std::make_unique<Source>())->allowance = allowance;
    for (const auto& destination : destinations_) {
        if (!destination)
            continue;
        destination->source = find_source(destination->source_address);
        if (destination->source)
            destination->source->out += destination->slots;
    }
}

bool Scheduler::allows_another(const Source& source) {
    const uint32_t most = source.allowance.max_deliveries;
    if (most && source.out + source.in_rings >= most)
        return false;
    // What is in a ring has not been counted yet.
    return !source.allowance.rate.messages || (source.refill == at_once && !source.in_rings);
}

// `first`: it had its turn already.
void Scheduler::wait_for_source(Destination& destination, bool first) {
    Source& source = *destination.source;
    if (!destination.ticket || first) {
        destination.ticket = ++last_ticket_;
        const Source::Place place{destination.number, destination.ticket};
        if (first)
            source.waiting.push_front(place);
        else
            source.waiting.push_back(place);
        if (source.waiting.size() > 2 * destinations_.size() + 64)
            std::erase_if(source.waiting, [&](const Source::Place& one) {
                return !waits_there(source, one.number, one.ticket);
            });
    }
    serve_source(source);
}

// False: that place is given up.
bool Scheduler::waits_there(const Source& source, uint32_t number, uint64_t ticket) const {
    const Destination* destination = destinations_[number - 1].get();
    return destination && destination->source == &source && destination->ticket == ticket;
}

void Scheduler::take_from_source(Source& source, TimePoint now) {
    ++source.out;
    if (const RateLimit& rate = source.allowance.rate; rate.messages) {
        source.meter.count(rate, now);
        if (const TimePoint next = source.meter.next(rate); next > now)
            source.refill = next;
    }
}

// A job is back. What was not sent does not count; and if it was not even tried, it is the next.
void Scheduler::give_back_to_source(Destination& destination, Attempt attempt) {
    Source* source = destination.source;
    if (!source)
        return;
    --source->out;
    const RateLimit& rate = source->allowance.rate;
    if (rate.messages && (attempt == Attempt::none || attempt == Attempt::down)) {
        source->meter.take_back(rate);
        if (source->refill != at_once)
            source->refill = source->meter.next(rate);
    }
    if (attempt == Attempt::none && !destination.ring_next && has_work(destination))
        return wait_for_source(destination, true);
    serve_source(*source);
}

// Those that have waited longest come into their rings. Those whose deliverer can take no more are
// passed over: they would keep the others waiting for it.
void Scheduler::serve_source(Source& source) {
    for (int passes = passed_over; !source.waiting.empty() && allows_another(source);) {
        const Source::Place place = source.waiting.front();
        source.waiting.pop_front();
        if (!waits_there(source, place.number, place.ticket))
            continue;
        Destination& destination = at(place.number);
        if (has_work(destination) && !has_room(destination.deliverer)) {
            source.waiting.push_back(place);
            if (--passes == 0)
                return;
            continue;
        }
        destination.ticket = 0;
        if (!has_work(destination))
            continue;
        ++source.in_rings;
        join_ring(destination);
    }
}

bool Scheduler::has_room(uint16_t deliverer) const {
    return deliverers_[deliverer].open < deliverers_[deliverer].capacity;
}

// A deliverer has got or lost its capacity.
void Scheduler::serve_sources() {
    if (sources_.empty())
        return;
    for (const auto& destination : destinations_)
        if (destination && destination->source && destination->ring_next &&
            !has_room(destination->deliverer)) {
            leave_ring(*destination);
            wait_for_source(*destination, true);
        }
    for (const auto& source : sources_)
        serve_source(*source);
}

void Scheduler::refill_sources(TimePoint now) {
    for (const auto& source : sources_)
        if (source->refill != at_once && source->refill <= now) {
            source->refill = at_once;
            serve_source(*source);
        }
}

TimePoint Scheduler::next_source_refill() const {
    TimePoint next = TimePoint::max();
    for (const auto& source : sources_)
        if (source->refill != at_once && !source->waiting.empty())
            next = std::min(next, source->refill);
    return next;
}

} // namespace postern
