// How the mail that leaves from one of our addresses is kept to its limit (`mta limit src`), over
// all its destinations and deliverers.
#include <algorithm>
#include <utility>

#include "queue/scheduled_destination.h"

namespace postern {

namespace {

constexpr TimePoint at_once = TimePoint::min();

} // namespace

Scheduler::Source* Scheduler::find_source(const std::vector<IpAddress>& addresses) const {
    const auto found = std::find_if(sources_.begin(), sources_.end(), [&](const auto& source) {
        return std::find(addresses.begin(), addresses.end(), source->allowance.address) !=
               addresses.end();
    });
    return found == sources_.end() ? nullptr : found->get();
}

// Nobody waits any more, before it is settled anew who does.
void Scheduler::clear_lanes() {
    for (const auto& source : sources_)
        for (const auto& lane : source->lanes) {
            lane->waiting.clear();
            leave_ring(*lane);
        }
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
        source->out = 0;
    }
    for (const SourceAllowance& allowance : settings_.allowances.sources())
        if (!find_source({allowance.address}))
            sources_.emplace_back(std::make_unique<Source>())->allowance = allowance;
    for (const auto& destination : destinations_) {
        if (!destination)
            continue;
        destination->source = find_source(destination->source_addresses);
        if (destination->source)
            destination->source->out += destination->slots;
    }
}

bool Scheduler::allows_another(const Source& source) {
    const uint32_t most = source.allowance.max_deliveries;
    return source.refill == at_once && (!most || source.out < most);
}

// `first`: it had its turn already.
void Scheduler::wait_in_lane(Destination& destination, bool first) {
    if (destination.ticket && !first)
        return;
    Source& source = *destination.source;
    for (auto number = static_cast<uint16_t>(source.lanes.size()); number <= destination.deliverer;
         ++number) {
        Lane& lane = *source.lanes.emplace_back(std::make_unique<Lane>());
        lane.lane = &lane;
        lane.deliverer = number;
    }
    Lane& lane = *source.lanes[destination.deliverer];
    destination.ticket = ++last_ticket_;
    const Lane::Place place{destination.number, destination.ticket};
    if (first)
        lane.waiting.push_front(place);
    else
        lane.waiting.push_back(place);
    if (lane.waiting.size() > 2 * destinations_.size() + 64) // places that were given up
        std::erase_if(lane.waiting, [this](const Lane::Place& one) {
            const Destination* holder = destinations_[one.number - 1].get();
            return !holder || holder->ticket != one.ticket;
        });
    if (allows_another(source))
        join_ring(lane);
}

// The one that has waited longest, and has work; it gives up its place. Nothing: there is none, and
// the lane leaves its ring.
Scheduler::Destination* Scheduler::first_in(Lane& lane) {
    while (!lane.waiting.empty()) {
        const Lane::Place place = lane.waiting.front();
        lane.waiting.pop_front();
        Destination* destination = destinations_[place.number - 1].get();
        if (!destination || destination->ticket != place.ticket)
            continue;
        destination->ticket = 0;
        if (has_work(*destination))
            return destination;
    }
    leave_ring(lane);
    return nullptr;
}

// What the source may have has changed.
void Scheduler::update_lanes(Source& source) {
    const bool allowed = allows_another(source);
    for (const auto& lane : source.lanes) {
        if (allowed && !lane->waiting.empty())
            join_ring(*lane);
        else
            leave_ring(*lane);
    }
}

void Scheduler::take_from_source(Destination& destination, TimePoint now) {
    Source* source = destination.source;
    if (!source)
        return;
    ++source->out;
    if (const RateLimit& rate = source->allowance.rate; rate.messages) {
        source->meter.count(rate, now);
        if (const TimePoint next = source->meter.next(rate); next > now)
            source->refill = next;
    }
    update_lanes(*source);
}

// A job is back. `counts`: against the rate, because it was sent. `first`: its destination is the
// next, because it was not tried.
void Scheduler::give_back_to_source(Destination& destination, bool counts, bool first) {
    Source* source = destination.source;
    if (!source)
        return;
    --source->out;
    if (const RateLimit& rate = source->allowance.rate; !counts && rate.messages) {
        source->meter.take_back(rate);
        if (source->refill != at_once)
            source->refill = source->meter.next(rate);
    }
    if (first && has_work(destination))
        wait_in_lane(destination, true);
    update_lanes(*source);
}

void Scheduler::refill_sources(TimePoint now) {
    for (const auto& source : sources_)
        if (source->refill != at_once && source->refill <= now) {
            source->refill = at_once;
            update_lanes(*source);
        }
}

TimePoint Scheduler::next_source_refill() const {
    TimePoint next = TimePoint::max();
    for (const auto& source : sources_)
        for (const auto& lane : source->lanes)
            if (source->refill != at_once && !lane->waiting.empty())
                next = std::min(next, source->refill);
    return next;
}

} // namespace postern
