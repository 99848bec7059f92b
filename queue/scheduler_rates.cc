// How destinations with a rate (`mta limit`) are kept to it.
#include <algorithm>

#include "queue/scheduled_destination.h"

namespace postern {

// A destination that has had mail under one is in `refills_` until nothing of that counts
// any more; so it is not forgotten before.

void Scheduler::set_refill(Destination& destination, TimePoint when) {
    clear_refill(destination);
    destination.refill = when;
    destination.used_up = true;
    refills_.emplace(when, destination.number);
}

void Scheduler::clear_refill(Destination& destination) {
    if (destination.refill != TimePoint::max())
        refills_.erase({destination.refill, destination.number});
    destination.refill = TimePoint::max();
    destination.used_up = false;
}

// It may have become another one.
void Scheduler::follow_allowance(Destination& destination) {
    const RateLimit before = destination.allowance.rate;
    destination.allowance = settings_.allowances.of(destination.domain, destination.local);
    const RateLimit& rate = destination.allowance.rate;
    if (rate == before)
        return;
    // What went out under another limit does not count: it may have been a mistake.
    destination.meter = {};
    clear_refill(destination);
}

// What was not sent does not count.
void Scheduler::give_back_rate(Destination& destination) {
    if (!destination.allowance.rate.messages || destination.refill == TimePoint::max())
        return;
    destination.meter.take_back(destination.allowance.rate);
    set_refill(destination, destination.meter.next(destination.allowance.rate));
}

void Scheduler::look_at_rate(Destination& destination, TimePoint now) {
    if (destination.refill > now)
        return;
    clear_refill(destination);
    if (destination.meter.full_at() <= now)
        return;
    destination.refill = destination.meter.full_at();
    refills_.emplace(destination.refill, destination.number);
}

void Scheduler::refill(TimePoint now) {
    refill_sources(now);
    while (!refills_.empty() && refills_.begin()->first <= now) {
        Destination& destination = at(refills_.begin()->second);
        look_at_rate(destination, now);
        update_ring(destination);
        forget_if_idle(destination);
    }
}

TimePoint Scheduler::next_refill() const {
    const TimePoint next = next_source_refill();
    return refills_.empty() ? next : std::min(next, refills_.begin()->first);
}

} // namespace postern
