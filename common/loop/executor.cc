#include "common/loop/executor.h"

namespace postern {

void Callback::cancel() {
    if (!next_)
        return;
    next_->previous_ = previous_;
    previous_->next_ = next_;
    next_ = previous_ = nullptr;
}

void Timer::arm(Executor& executor, TimePoint when) {
    disarm();
    executor_ = &executor;
    place_ = executor.timers_.emplace(when, this);
    armed_ = true;
}

void Timer::disarm() {
    if (!armed_)
        return;
    executor_->timers_.erase(place_);
    armed_ = false;
}

Executor::List::List() { next_ = previous_ = this; }

void Executor::List::append(Callback& callback) {
    callback.next_ = this;
    callback.previous_ = previous_;
    previous_->next_ = &callback;
    previous_ = &callback;
}

bool Executor::List::empty() const { return next_ == this; }

void Executor::List::take_all(List& other) {
    if (other.empty())
        return;
    next_ = other.next_;
    previous_ = other.previous_;
    next_->previous_ = previous_->next_ = this;
    other.next_ = other.previous_ = &other;
}

Executor::Executor() = default;
Executor::~Executor() = default;

void Executor::schedule(Callback& callback) {
    if (!callback.scheduled())
        ready_.append(callback);
}

void Executor::flush_soon(Callback& flush) {
    if (!flush.scheduled())
        flushes_.append(flush);
}

void Executor::run_list(List& list) {
    // What is scheduled meanwhile waits for the next round, so that a callback that schedules
    // itself anew does not keep the loop from its sockets.
    List batch;
    batch.take_all(list);
    while (!batch.empty()) {
        Callback& first = *batch.next_;
        first.cancel();
        first.call();
    }
}

TimePoint Executor::next_expiry() const {
    return timers_.empty() ? TimePoint::max() : timers_.begin()->first;
}

void Executor::run_ready() {
    for (int round = 0; round < 16; ++round) {
        while (!timers_.empty() && timers_.begin()->first <= now()) {
            Timer& timer = *timers_.begin()->second;
            timer.disarm();
            timer.expired();
        }
        run_list(ready_);
        run_list(flushes_);
        if (ready_.empty() && flushes_.empty() && next_expiry() > now())
            return;
    }
}

} // namespace postern
