// Destinations that are held, and when they are looked at again.
#include <algorithm>
#include <cassert>

#include "queue/scheduled_destination.h"

namespace postern {

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
    if (destination.wake != Destination::never)
        wakes_.erase({destination.wake, destination.number});
    destination.wake = Destination::never;
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

} // namespace postern
