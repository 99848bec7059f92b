// What coroutines run on: a clock, timers, and a list of what is to be resumed.
//
// EventLoop drives it from libevent; a test drives it by hand, in simulated time. Everything here
// belongs to one thread.
#pragma once

#include <chrono>
#include <coroutine>
#include <cstdint>
#include <functional>
#include <map>

namespace postern {

using Clock = std::chrono::steady_clock;
using TimePoint = Clock::time_point;
using Duration = std::chrono::nanoseconds;

class Executor;

// Something to be called soon, from the loop and not from wherever it was asked for. It is in the
// list at most once, and takes itself off when destroyed.
class Callback {
  public:
    Callback() = default;
    Callback(const Callback&) = delete;
    Callback& operator=(const Callback&) = delete;

  protected:
    ~Callback() { cancel(); }
    virtual void call() = 0;

  public:
    bool scheduled() const { return next_ != nullptr; }
    void cancel();

  private:
    friend class Executor;
    Callback* next_ = nullptr;
    Callback* previous_ = nullptr;
};

// Calls back once when its time has come. Arming it again moves it; destroying it disarms it.
class Timer {
  public:
    Timer() = default;
    Timer(const Timer&) = delete;
    Timer& operator=(const Timer&) = delete;

    void arm(Executor& executor, TimePoint when);
    void disarm();
    bool armed() const { return armed_; }

  protected:
    ~Timer() { disarm(); }
    virtual void expired() = 0;

  private:
    friend class Executor;
    Executor* executor_ = nullptr;
    std::multimap<TimePoint, Timer*>::iterator place_;
    bool armed_ = false;
};

class Executor {
  public:
    Executor();
    Executor(const Executor&) = delete;
    Executor& operator=(const Executor&) = delete;
    virtual ~Executor();

    // Monotonic; fixed during one turn of the loop.
    virtual TimePoint now() const = 0;
    // Seconds since the epoch, for what is written down.
    virtual int64_t wall_seconds() const = 0;

    // `callback` is called in this turn of the loop, after what is in the list already.
    void schedule(Callback& callback);

    // `flush` is called at the end of each turn in which flush_soon() was called for it: what was
    // queued during the turn goes out in one piece.
    void flush_soon(Callback& flush);

    // Waits for a time: `co_await executor.sleep(5s)`.
    auto sleep(Duration duration);

  protected:
    // Calls what is due: expired timers, scheduled callbacks, and at last the flushes, which may
    // schedule more. Returns when nothing is left for now.
    void run_ready();
    // More is left than run_ready() took on: come back without waiting.
    bool has_ready() const { return !ready_.empty() || !flushes_.empty(); }
    // When the earliest timer expires; TimePoint::max() without any.
    TimePoint next_expiry() const;

  private:
    friend class Timer;
    friend class Callback;
    struct List : Callback {
        List();
        void append(Callback& callback);
        bool empty() const;
        void take_all(List& other);
        void call() override {}
    };
    void run_list(List& list);

    List ready_;
    List flushes_;
    std::multimap<TimePoint, Timer*> timers_;
};

namespace detail {

class SleepAwaiter : Timer {
  public:
    SleepAwaiter(Executor& executor, Duration duration)
        : executor_(executor), duration_(duration) {}
    bool await_ready() const { return false; }
    void await_suspend(std::coroutine_handle<> handle) {
        handle_ = handle;
        arm(executor_, executor_.now() + duration_);
    }
    void await_resume() const {}

  private:
    void expired() override { handle_.resume(); }

    Executor& executor_;
    Duration duration_;
    std::coroutine_handle<> handle_;
};

} // namespace detail

inline auto Executor::sleep(Duration duration) { return detail::SleepAwaiter(*this, duration); }

} // namespace postern
