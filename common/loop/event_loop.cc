#include "common/loop/event_loop.h"

#include <event2/event.h>

#include <ctime>
#include <stdexcept>
#include <utility>

#include "common/base/log.h"

namespace postern {

static_assert(Watch::readable == EV_READ && Watch::writable == EV_WRITE &&
              Watch::closed == EV_CLOSED);

EventLoop::EventLoop()
    : base_(event_base_new()), alarm_(nullptr), scratch_(new char[scratch_size]) {
    if (!base_)
        throw std::runtime_error("libevent cannot start");
    alarm_ = evtimer_new(
        base_, [](int, short, void*) {}, nullptr);
    if (!alarm_)
        throw std::bad_alloc();
}

EventLoop::~EventLoop() {
    event_free(alarm_);
    event_base_free(base_);
}

TimePoint EventLoop::now() const {
    if (!time_known_) {
        now_ = Clock::now();
        time_known_ = true;
    }
    return now_;
}

int64_t EventLoop::wall_seconds() const { return std::time(nullptr); }

void EventLoop::run() {
    log::hold(true);
    while (!stopping_) {
        run_ready();
        if (!stopping_)
            wait();
    }
    run_ready();
    stopping_ = false;
    log::hold(false);
}

// One turn of libevent: everything that is ready is dispatched, then we flush (run_ready).
void EventLoop::wait() {
    TimePoint expiry = next_expiry();
    int flags = EVLOOP_ONCE;
    if (has_ready()) {
        flags = EVLOOP_NONBLOCK;
    } else if (expiry != TimePoint::max()) {
        auto left = std::chrono::ceil<std::chrono::microseconds>(expiry - now()).count();
        if (left <= 0) {
            flags = EVLOOP_NONBLOCK;
        } else {
            timeval interval{static_cast<time_t>(left / 1000000),
                             static_cast<suseconds_t>(left % 1000000)};
            evtimer_add(alarm_, &interval);
        }
    } else {
        evtimer_del(alarm_);
    }
    time_known_ = false;
    log::flush();
    event_base_loop(base_, EVLOOP_ONCE | flags | EVLOOP_NO_EXIT_ON_EMPTY);
}

Scratch::Scratch(EventLoop& loop) : loop_(loop), memory_(loop.scratch_.get()) {
    if (std::exchange(loop_.scratch_lent_, true)) {
        own_.reset(new char[EventLoop::scratch_size]);
        memory_ = own_.get();
    }
}

Scratch::~Scratch() {
    if (!own_)
        loop_.scratch_lent_ = false;
}

Watch::Watch(EventLoop& loop, int fd, std::function<void(short)> callback)
    : loop_(loop), fd_(fd), callback_(std::move(callback)),
      event_(event_new(loop.base(), fd, EV_PERSIST, dispatch, this)) {
    if (!event_)
        throw std::bad_alloc();
}

Watch::~Watch() { event_free(event_); }

void Watch::want(short events) {
    if (events == wanted_)
        return;
    if (wanted_ != none)
        event_del(event_);
    wanted_ = events;
    if (events == none)
        return;
    event_assign(event_, loop_.base(), fd_, static_cast<short>(events | EV_PERSIST), dispatch,
                 this);
    event_add(event_, nullptr);
}

void Watch::dispatch(int, short events, void* self) {
    static_cast<Watch*>(self)->callback_(events);
}

SignalWatch::SignalWatch(EventLoop& loop, int signal, std::function<void()> callback)
    : callback_(std::move(callback)), event_(evsignal_new(loop.base(), signal, dispatch, this)) {
    if (!event_)
        throw std::bad_alloc();
    evsignal_add(event_, nullptr);
}

SignalWatch::~SignalWatch() { event_free(event_); }

void SignalWatch::dispatch(int, short, void* self) { static_cast<SignalWatch*>(self)->callback_(); }

} // namespace postern
