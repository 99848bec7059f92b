// A connection as a session sees it: bytes come in, bytes go out, every wait has a limit.
//
// Stream holds the buffers, the waiting and the time limits; where bytes come from is a subclass's
// business (SocketStream, a test's in-memory pair, TLS). One coroutine at a time waits for input,
// one for output. Output is sent at the end of the loop's turn, so that what was written together
// travels together.
#pragma once

#include <array>
#include <coroutine>
#include <span>
#include <string>
#include <string_view>
#include <sys/types.h>

#include "common/loop/executor.h"

namespace postern {

enum class StreamStatus {
    ok,
    closed,    // the peer has ended its side, or the connection broke
    timed_out, // the limit passed
    too_long,  // a line longer than allowed; it was skipped to its end
};
const char* to_string(StreamStatus status);

struct Line {
    StreamStatus status = StreamStatus::closed;
    // Without its end; valid until the next co_await. Of a line that is too long, its first
    // `beginning` octets.
    std::string_view text;
    static constexpr size_t beginning = 8;
    bool crlf = false; // it ended in CRLF; false: in a bare LF
};

class Stream {
  public:
    explicit Stream(Executor& executor)
        : executor_(executor), flush_(*this), resumption_(*this), input_timer_(*this),
          output_timer_(*this) {}
    virtual ~Stream();
    Stream(const Stream&) = delete;
    Stream& operator=(const Stream&) = delete;

    // `Line line = co_await stream.read_line(512, 5min);` A line longer than `limit` bytes, its end
    // included, is skipped and reported as too_long. The limit is below input_limit.
    auto read_line(size_t limit, Duration time_limit);
    // Waits until there are more bytes in input() than now: `StreamStatus s = co_await …`.
    auto read_more(Duration time_limit);

    // What has come in and was not taken yet. At most input_limit bytes, then reading pauses. Valid
    // until the next co_await.
    std::string_view input() const {
        return borrowed_.empty() ? std::string_view(input_).substr(taken_) : borrowed_;
    }
    void consume(size_t bytes);
    // Overwrites the line that was read last, while its text is valid: a password was in it.
    void wipe_line();
    static constexpr size_t input_limit = 64 * 1024;
    // While held nothing is read: what comes next is for somebody else, such as a TLS handshake.
    void hold_input(bool held);
    // Keeps less than that from now on. What is there already stays.
    void limit_input(size_t bytes);
    // Bytes that wait here: not taken yet, or not taken by the peer, who is slow.
    size_t buffered() const { return input().size() + (watching_output_ ? pending_output() : 0); }

    void write(std::string_view bytes);
    // The same, without a copy where nothing waits to be sent.
    void hand_over(std::string bytes);
    // The same of a password or the like: no copy stays behind here once it is sent, or cannot be.
    void write_secret(std::string_view bytes);
    // Waits until at most `pending` bytes are left to be sent; the limit starts anew whenever some
    // have been.
    auto drain(Duration time_limit, size_t pending = 0);
    size_t pending_output() const { return output_.size() - sent_; }

    bool closed() const { return ended_ || broken_; }
    uint64_t bytes_received() const { return bytes_received_; }

    Executor& executor() const { return executor_; }

  protected:
    // Up to `size` bytes; 0 at the end, -1 with errno (EAGAIN: wait).
    virtual ssize_t receive(char* buffer, size_t size) = 0;
    virtual ssize_t transmit(const char* bytes, size_t size) = 0;
    // Report readiness from now on by calling on_readable() and on_writable().
    virtual void watch(bool input, bool output) = 0;

    // `buffer` is room for what is read in this call.
    void on_readable(std::span<char> buffer);
    void on_writable();

  private:
    enum class Want { nothing, line, more };
    struct Flush final : Callback {
        explicit Flush(Stream& stream) : stream_(stream) {}
        void call() override { stream_.on_writable(); }
        Stream& stream_;
    };
    // Resumes who waits, from the loop, after a write has failed or has made room.
    struct Resumption final : Callback {
        explicit Resumption(Stream& stream) : stream_(stream) {}
        void call() override;
        Stream& stream_;
    };
    struct InputTimer final : Timer {
        explicit InputTimer(Stream& stream) : stream_(stream) {}
        void expired() override { stream_.on_input_timer(); }
        Stream& stream_;
    };
    struct OutputTimer final : Timer {
        explicit OutputTimer(Stream& stream) : stream_(stream) {}
        void expired() override { stream_.on_output_timer(); }
        Stream& stream_;
    };

    std::string_view read_some(std::span<char> buffer);
    void keep_borrowed();
    void update_watch();
    void make_room_for_output(size_t bytes);
    void send_soon();
    void reclaim();
    bool find_line();
    bool input_satisfied();
    void begin_input(Want want, size_t limit, Duration time_limit, std::coroutine_handle<> waiter);
    void on_input_timer();
    void on_output_timer();
    void resume_input();
    void resume_output();

    void abandon_input();
    void abandon_output();

    friend class LineAwaiter;
    friend class MoreAwaiter;
    friend class DrainAwaiter;

    Executor& executor_;
    std::string input_;
    size_t limit_ = input_limit; // of input_
    size_t taken_ = 0;           // of input_
    size_t scanned_ = 0;         // of input_: no LF before this
    // Nothing is in input_, and this is in the buffer that it was read into, for as long as that
    // can be used. Content is consumed there.
    std::string_view borrowed_;
    bool* destroyed_ = nullptr; // set while a waiter is called, to learn that we are gone
    std::string output_;
    size_t sent_ = 0;                             // of output_
    bool secret_ = false;                         // some of output_ is
    bool ended_ = false;                          // no more input will come
    bool broken_ = false;                         // nothing can be sent
    bool skipping_ = false;                       // in the middle of a line that is too long
    std::array<char, Line::beginning> skipped_{}; // what it began with
    bool watching_output_ = false;
    bool held_ = false;
    uint64_t bytes_received_ = 0;

    Want want_ = Want::nothing;
    size_t line_limit_ = 0;
    size_t had_ = 0; // input().size() when read_more() was called
    Line line_;
    StreamStatus input_status_ = StreamStatus::ok;
    std::coroutine_handle<> input_waiter_;
    TimePoint input_deadline_;
    TimePoint input_timer_at_;

    size_t drain_to_ = 0;
    Duration drain_limit_{0};
    StreamStatus output_status_ = StreamStatus::ok;
    std::coroutine_handle<> output_waiter_;

    Flush flush_;
    Resumption resumption_;
    InputTimer input_timer_;
    OutputTimer output_timer_;
};

class LineAwaiter {
  public:
    LineAwaiter(Stream& stream, size_t limit, Duration time_limit)
        : stream_(stream), limit_(limit), time_limit_(time_limit) {}
    LineAwaiter(const LineAwaiter&) = delete;
    ~LineAwaiter() {
        if (waiting_)
            stream_.abandon_input();
    }
    bool await_ready();
    void await_suspend(std::coroutine_handle<> handle);
    Line await_resume();

  private:
    Stream& stream_;
    size_t limit_;
    Duration time_limit_;
    bool waiting_ = false;
};

class MoreAwaiter {
  public:
    MoreAwaiter(Stream& stream, Duration time_limit) : stream_(stream), time_limit_(time_limit) {}
    MoreAwaiter(const MoreAwaiter&) = delete;
    ~MoreAwaiter() {
        if (waiting_)
            stream_.abandon_input();
    }
    bool await_ready();
    void await_suspend(std::coroutine_handle<> handle);
    StreamStatus await_resume();

  private:
    Stream& stream_;
    Duration time_limit_;
    bool waiting_ = false;
};

class DrainAwaiter {
  public:
    DrainAwaiter(Stream& stream, Duration time_limit, size_t pending)
        : stream_(stream), time_limit_(time_limit), pending_(pending) {}
    DrainAwaiter(const DrainAwaiter&) = delete;
    ~DrainAwaiter() {
        if (waiting_)
            stream_.abandon_output();
    }
    bool await_ready();
    void await_suspend(std::coroutine_handle<> handle);
    StreamStatus await_resume();

  private:
    Stream& stream_;
    Duration time_limit_;
    size_t pending_;
    bool waiting_ = false;
};

inline auto Stream::read_line(size_t limit, Duration time_limit) {
    return LineAwaiter(*this, limit, time_limit);
}
inline auto Stream::read_more(Duration time_limit) { return MoreAwaiter(*this, time_limit); }
inline auto Stream::drain(Duration time_limit, size_t pending) {
    return DrainAwaiter(*this, time_limit, pending);
}

} // namespace postern
