// The loop of a process: libevent for descriptors and signals, Executor for everything else.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "common/loop/executor.h"

struct event;
struct event_base;

namespace postern {

class EventLoop final : public Executor {
  public:
    EventLoop();
    ~EventLoop() override;

    // Until stop() is called.
    void run();
    void stop() { stopping_ = true; }

    TimePoint now() const override;
    int64_t wall_seconds() const override;
    event_base* base() const { return base_; }

    static constexpr size_t scratch_size = 1536 * 1024;

  private:
    friend class Scratch;

    void wait();

    event_base* base_;
    event* alarm_;
    bool stopping_ = false;
    mutable bool time_known_ = false;
    mutable TimePoint now_;
    std::unique_ptr<char[]> scratch_; // never filled: what nobody has read into takes no memory
    bool scratch_lent_ = false;
};

// Memory to read into while this lives, the same for all readers of the loop: sessions that wait
// need no buffer of their own. What it was left with it may still hold.
class Scratch {
  public:
    explicit Scratch(EventLoop& loop);
    ~Scratch();
    Scratch(const Scratch&) = delete;
    Scratch& operator=(const Scratch&) = delete;

    // scratch_size of them.
    std::span<char> bytes() const { return {memory_, EventLoop::scratch_size}; }

  private:
    EventLoop& loop_;
    std::unique_ptr<char[]> own_; // if somebody up the stack has the loop's
    char* memory_;
};

// Watches a descriptor, level-triggered, until destroyed. The callback may destroy the watch.
class Watch {
  public:
    // EV_READ, EV_WRITE, EV_CLOSED: the peer has closed, told apart from bytes to read
    enum Events : short { none = 0, readable = 2, writable = 4, closed = 0x80 };

    Watch(EventLoop& loop, int fd, std::function<void(short events)> callback);
    ~Watch();
    Watch(const Watch&) = delete;
    Watch& operator=(const Watch&) = delete;

    // Which of the events to report from now on; none to begin with.
    void want(short events);
    short wanted() const { return wanted_; }

  private:
    static void dispatch(int fd, short events, void* self);

    EventLoop& loop_;
    int fd_;
    short wanted_ = none;
    std::function<void(short)> callback_;
    event* event_;
};

// Calls back for a signal, from the loop.
class SignalWatch {
  public:
    SignalWatch(EventLoop& loop, int signal, std::function<void()> callback);
    ~SignalWatch();
    SignalWatch(const SignalWatch&) = delete;
    SignalWatch& operator=(const SignalWatch&) = delete;

  private:
    static void dispatch(int, short, void* self);
    std::function<void()> callback_;
    event* event_;
};

} // namespace postern
