#include "common/net/stream.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "common/base/log.h"
#include "common/base/secret.h"

namespace postern {

namespace {

constexpr int reads_per_event = 4;         // then others have their turn
constexpr size_t keep_capacity = 1024;     // of an empty buffer; more goes back
constexpr size_t eager_flush = 256 * 1024; // output that does not wait for the end of the turn

void release_if_empty(std::string& buffer, size_t& position) {
    if (position < buffer.size())
        return;
    position = 0;
    if (buffer.capacity() > keep_capacity)
        std::string().swap(buffer);
    else
        buffer.clear();
}

} // namespace

const char* to_string(StreamStatus status) {
    switch (status) {
    case StreamStatus::ok:
        return "ok";
    case StreamStatus::closed:
        return "connection closed";
    case StreamStatus::timed_out:
        return "timed out";
    case StreamStatus::too_long:
        return "line too long";
    }
    return "unknown";
}

Stream::~Stream() {
    if (destroyed_)
        *destroyed_ = true;
    if (secret_)
        wipe(output_);
}

void Stream::consume(size_t bytes) {
    if (borrowed_.empty()) {
        taken_ += bytes;
        reclaim();
    } else {
        borrowed_.remove_prefix(bytes);
    }
    update_watch();
}

void Stream::limit_input(size_t bytes) {
    if (limit_ == bytes)
        return;
    limit_ = bytes;
    update_watch();
}

void Stream::wipe_line() {
    if (!line_.text.empty())
        explicit_bzero(const_cast<char*>(line_.text.data()), line_.text.size()); // in our buffers
}

// Gives back what has been taken: an idle session holds no buffer.
void Stream::reclaim() {
    if (scanned_ < taken_)
        scanned_ = taken_;
    release_if_empty(input_, taken_);
    if (input_.empty()) {
        scanned_ = 0;
    } else if (taken_ > limit_ / 2) {
        input_.erase(0, taken_);
        scanned_ -= taken_;
        taken_ = 0;
    }
}

void Stream::update_watch() {
    bool room = input().size() < limit_;
    watch(!ended_ && !held_ && room, watching_output_ && !broken_);
}

void Stream::hold_input(bool held) {
    held_ = held;
    update_watch();
}

// What is there now, but no more than there is room for.
std::string_view Stream::read_some(std::span<char> buffer) {
    const size_t room = std::min(buffer.size(), limit_ - std::min(limit_, input().size()));
    size_t size = 0;
    for (int i = 0; i < reads_per_event && size < room; ++i) {
        const size_t want = room - size;
        const ssize_t got = receive(buffer.data() + size, want);
        if (got > 0) {
            size += static_cast<size_t>(got);
            if (static_cast<size_t>(got) < want)
                break; // the socket is empty: spare the call that would say so
            continue;
        }
        if (got < 0 && (errno == EAGAIN || errno == EINTR))
            break;
        ended_ = true;
        if (got < 0)
            broken_ = true;
        break;
    }
    bytes_received_ += size;
    return {buffer.data(), size};
}

void Stream::on_readable(std::span<char> buffer) {
    const std::string_view got = read_some(buffer);
    const bool borrows = want_ == Want::more && input().empty();
    if (borrows)
        borrowed_ = got;
    else
        input_.append(got);
    if (input_waiter_ && input_satisfied()) {
        bool gone = false;
        destroyed_ = &gone;
        resume_input();
        if (gone)
            return;
        destroyed_ = nullptr;
    }
    keep_borrowed();
    update_watch(); // only now: most of it, or all, has been consumed
}

// What was not consumed in the buffer that it was read into.
void Stream::keep_borrowed() {
    if (borrowed_.empty())
        return;
    input_.append(std::exchange(borrowed_, {}));
    scanned_ = 0;
}

// Puts the next line into line_ and takes it from the input. False: it is not there whole.
bool Stream::find_line() {
    keep_borrowed();
    reclaim();
    const void* found = std::memchr(input_.data() + scanned_, '\n', input_.size() - scanned_);
    if (!found) {
        scanned_ = input_.size();
        if (skipping_ || input_.size() - taken_ >= line_limit_) {
            if (!std::exchange(skipping_, true))
                input_.copy(skipped_.data(), skipped_.size(), taken_);
            consume(input_.size() - taken_);
        }
        return false;
    }
    size_t end = static_cast<size_t>(static_cast<const char*>(found) - input_.data());
    size_t length = end + 1 - taken_;
    const bool skipped = std::exchange(skipping_, false);
    const bool too_long = skipped || length > line_limit_;
    line_.status = too_long ? StreamStatus::too_long : StreamStatus::ok;
    line_.crlf = !too_long && length >= 2 && input_[end - 1] == '\r';
    line_.text = std::string_view(input_).substr(taken_, length - (line_.crlf ? 2 : 1));
    if (skipped)
        line_.text = std::string_view(skipped_.data(), skipped_.size());
    else if (too_long)
        line_.text = line_.text.substr(0, Line::beginning);
    // The text stays where it is for now: only the position moves.
    scanned_ = taken_ += length;
    update_watch();
    return true;
}

bool Stream::input_satisfied() {
    if (want_ == Want::line) {
        if (find_line())
            return true;
        if (closed()) {
            line_ = Line();
            return true;
        }
        return false;
    }
    if (input().size() > had_ || input().size() >= limit_) {
        input_status_ = StreamStatus::ok;
        return true;
    }
    if (closed()) {
        input_status_ = StreamStatus::closed;
        return true;
    }
    return false;
}

void Stream::begin_input(Want want, size_t limit, Duration time_limit,
                         std::coroutine_handle<> waiter) {
    want_ = want;
    line_limit_ = limit;
    input_waiter_ = waiter;
    input_deadline_ = executor_.now() + time_limit;
    // The timer is left running between waits and looks at the deadline when it expires, so that a
    // busy session does not arm one for every line.
    if (!input_timer_.armed() || input_deadline_ < input_timer_at_) {
        input_timer_at_ = input_deadline_;
        input_timer_.arm(executor_, input_timer_at_);
    }
}

void Stream::on_input_timer() {
    if (!input_waiter_)
        return;
    if (executor_.now() < input_deadline_) {
        input_timer_at_ = input_deadline_;
        input_timer_.arm(executor_, input_timer_at_);
        return;
    }
    line_ = Line();
    line_.status = input_status_ = StreamStatus::timed_out;
    resume_input();
}

void Stream::resume_input() {
    want_ = Want::nothing;
    std::exchange(input_waiter_, {}).resume();
}

void Stream::abandon_input() {
    want_ = Want::nothing;
    input_waiter_ = {};
}

void Stream::write(std::string_view bytes) {
    if (broken_)
        return;
    if (secret_)
        make_room_for_output(bytes.size());
    output_.append(bytes);
    send_soon();
}

void Stream::hand_over(std::string bytes) {
    if (broken_ || !output_.empty())
        return write(bytes);
    output_ = std::move(bytes);
    send_soon();
}

void Stream::send_soon() {
    if (watching_output_)
        return; // it goes when the socket takes more
    if (output_.size() - sent_ >= eager_flush)
        on_writable();
    else
        executor_.flush_soon(flush_);
}

void Stream::write_secret(std::string_view bytes) {
    secret_ = secret_ || !broken_;
    write(bytes);
}

// A string that grows leaves what was in it behind.
void Stream::make_room_for_output(size_t bytes) {
    if (output_.size() + bytes <= output_.capacity())
        return;
    std::string larger;
    larger.reserve(std::max(2 * output_.capacity(), output_.size() + bytes));
    larger = output_;
    output_.swap(larger);
    wipe(larger);
}

void Stream::on_writable() {
    log::flush(); // what the peer is told has been logged before
    bool progress = false;
    while (sent_ < output_.size() && !broken_) {
        ssize_t sent = transmit(output_.data() + sent_, output_.size() - sent_);
        if (sent > 0) {
            if (secret_)
                explicit_bzero(output_.data() + sent_, static_cast<size_t>(sent));
            sent_ += static_cast<size_t>(sent);
            progress = true;
            continue;
        }
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0 && errno == EAGAIN)
            break;
        broken_ = true;
    }
    if (broken_) {
        if (secret_)
            wipe(output_);
        output_.clear();
        sent_ = 0;
    }
    secret_ = secret_ && sent_ < output_.size();
    release_if_empty(output_, sent_);
    watching_output_ = sent_ < output_.size();
    update_watch();
    // A connection that cannot be written to is of no use to a reader either.
    if (broken_ && input_waiter_)
        executor_.schedule(resumption_);
    if (!output_waiter_)
        return;
    if (broken_ || pending_output() <= drain_to_) {
        output_status_ = broken_ ? StreamStatus::closed : StreamStatus::ok;
        output_timer_.disarm();
        executor_.schedule(resumption_);
    } else if (progress) {
        output_timer_.arm(executor_, executor_.now() + drain_limit_);
    }
}

void Stream::Resumption::call() {
    // Whoever is resumed may destroy the stream together with its session: one a call.
    if (stream_.output_waiter_ && !stream_.output_timer_.armed()) {
        if (stream_.broken_ && stream_.input_waiter_)
            stream_.executor_.schedule(*this);
        stream_.resume_output();
    } else if (stream_.broken_ && stream_.input_waiter_ && stream_.input_satisfied()) {
        stream_.resume_input();
    }
}

void Stream::on_output_timer() {
    if (!output_waiter_)
        return;
    output_status_ = StreamStatus::timed_out;
    resume_output();
}

void Stream::resume_output() { std::exchange(output_waiter_, {}).resume(); }

void Stream::abandon_output() {
    output_waiter_ = {};
    output_timer_.disarm();
}

bool LineAwaiter::await_ready() {
    stream_.want_ = Stream::Want::line;
    stream_.line_limit_ = limit_;
    return stream_.input_satisfied();
}

void LineAwaiter::await_suspend(std::coroutine_handle<> handle) {
    waiting_ = true;
    stream_.begin_input(Stream::Want::line, limit_, time_limit_, handle);
}

Line LineAwaiter::await_resume() {
    waiting_ = false;
    return stream_.line_;
}

bool MoreAwaiter::await_ready() {
    if (stream_.closed()) {
        stream_.input_status_ = StreamStatus::closed;
        return true;
    }
    stream_.had_ = stream_.input().size();
    return false;
}

void MoreAwaiter::await_suspend(std::coroutine_handle<> handle) {
    waiting_ = true;
    stream_.begin_input(Stream::Want::more, 0, time_limit_, handle);
}

StreamStatus MoreAwaiter::await_resume() {
    waiting_ = false;
    return stream_.input_status_;
}

bool DrainAwaiter::await_ready() {
    if (stream_.broken_) {
        stream_.output_status_ = StreamStatus::closed;
        return true;
    }
    if (stream_.pending_output() > pending_ && !stream_.watching_output_)
        stream_.on_writable();
    stream_.output_status_ = stream_.broken_ ? StreamStatus::closed : StreamStatus::ok;
    return stream_.broken_ || stream_.pending_output() <= pending_;
}

void DrainAwaiter::await_suspend(std::coroutine_handle<> handle) {
    waiting_ = true;
    stream_.output_waiter_ = handle;
    stream_.drain_to_ = pending_;
    stream_.drain_limit_ = time_limit_;
    stream_.output_timer_.arm(stream_.executor_, stream_.executor_.now() + time_limit_);
}

StreamStatus DrainAwaiter::await_resume() {
    waiting_ = false;
    return stream_.output_status_;
}

} // namespace postern
