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
            destination->waits_for_source = false;
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
        source->out = 0;
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

void Scheduler::wait_for_source(Destination& destination) {
    if (!std::exchange(destination.waits_for_source, true))
        destination.source->waiting.push_back(destination.number);
    serve_source(*destination.source);
}

void Scheduler::take_from_source(Source& source, TimePoint now) {
    ++source.out;
    if (const RateLimit& rate = source.allowance.rate; rate.messages) {
        source.meter.count(rate, now);
        if (const TimePoint next = source.meter.next(rate); next > now)
            source.refill = next;
    }
}

void Scheduler::give_back_to_source(Destination& destination, bool tried) {
    Source* source = destination.source;
    if (!source)
        return;
    --source->out;
    if (const RateLimit& rate = source->allowance.rate; !tried && rate.messages) {
        source->meter.take_back(rate); // what was not sent does not count
        if (source->refill != at_once)
            source->refill = source->meter.next(rate);
    }
    serve_source(*source);
}

// Those that have waited longest come into their rings.
void Scheduler::serve_source(Source& source) {
    while (!source.waiting.empty() && allows_another(source)) {
        Destination* destination = destinations_[source.waiting.front() - 1].get();
        source.waiting.pop_front();
        if (!destination || !std::exchange(destination->waits_for_source, false))
            continue; // it is gone
        if (!has_work(*destination))
            continue;
        ++source.in_rings;
        join_ring(*destination);
    }
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
