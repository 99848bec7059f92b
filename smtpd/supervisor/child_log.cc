#include "smtpd/supervisor/child_log.h"

#include <linux/sockios.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

namespace postern {

namespace {

using namespace std::chrono_literals;

// A line that was not taken is offered again after so long, and each time after twice as long.
constexpr Duration first_retry = 1ms;
constexpr Duration last_retry = 100ms;

constexpr size_t bytes_per_line = 1024; // of a packet: it costs as if it had a line for so many
constexpr size_t last_packets = 65536;  // of a process that has ended: more are not even counted

} // namespace

ChildLog::ChildLog(EventLoop& loop, FileDescriptor socket, std::string sender, PassOn pass_on)
    : loop_(loop), socket_(std::move(socket)), sender_(std::move(sender)),
      pass_on_(std::move(pass_on)), budget_(loop.now()), retry_(first_retry), pause_(*this),
      watch_(loop, socket_.get(), [this](short) { read_some(); }) {
    watch_.want(Watch::readable);
}

void ChildLog::read_some() {
    for (size_t spent = 0;;) {
        if (!pass_on_held())
            return offer_later();
        if (spent >= lines_per_event)
            break;
        if (const Duration wait = budget_.wait(loop_.now()); wait > Duration(0))
            return report_lost() ? pause(wait) : offer_later();
        const size_t cost = read_one();
        if (cost == 0)
            break;
        spent += cost;
        budget_.spend(static_cast<int64_t>(cost), loop_.now());
    }
    if (!report_lost())
        return offer_later();
    watch_.want(ended() ? Watch::none : Watch::readable);
}

void ChildLog::offer_later() {
    pause(retry_);
    retry_ = std::min(2 * retry_, last_retry);
}

void ChildLog::pause(Duration duration) {
    watch_.want(Watch::none);
    pause_.arm(loop_, loop_.now() + duration);
}

// No more than the socket holds, and that not without end: others may hold it open and write.
void ChildLog::read_rest() {
    pause_.disarm();
    watch_.want(Watch::none);
    size_t spent = 0;
    while (pass_on_held() && spent < last_lines) {
        const size_t cost = read_one();
        if (cost == 0)
            break;
        spent += cost;
    }
    lost_ += held_.size();
    held_.clear();
    for (size_t packets = 0; packets < last_packets; ++packets) {
        char byte;
        if (::recv(socket_.get(), &byte, sizeof byte, 0) <= 0)
            break;
        ++lost_; // at least
    }
    report_lost();
}

// Takes in a packet. What it costs, in lines; 0: there is none now.
size_t ChildLog::read_one() {
    const Scratch scratch(loop_);
    const std::span<char> buffer = scratch.bytes();
    const ssize_t size = ::recv(socket_.get(), buffer.data(), buffer.size(), 0);
    if (size < 0)
        return 0;
    if (size == 0)
        return ended() ? 0 : 1; // a packet may be empty
    const size_t bytes = static_cast<size_t>(size);
    log::Packet packet = log::read_packet({buffer.data(), bytes});
    const size_t lines = packet.lines.size();
    std::move(packet.lines.begin(), packet.lines.end(), std::back_inserter(held_));
    lost_ += packet.lost;
    return std::max(lines, 1 + bytes / bytes_per_line);
}

// False: nobody takes them now.
bool ChildLog::pass_on_held() {
    while (!held_.empty()) {
        if (!pass_on_(sender_, held_.front()))
            return false;
        held_.pop_front();
        retry_ = first_retry;
    }
    return true;
}

bool ChildLog::report_lost() {
    if (lost_ == 0)
        return true;
    constexpr log::Level level = log::Level::warning;
    const log::Line loss{
        level, log::format(level, "log lines were lost", {{"process", sender_}, {"lines", lost_}})};
    if (!pass_on_(sender_, loss))
        return false;
    lost_ = 0;
    return true;
}

// The other end is closed, and nothing is left to read: to recv() an empty packet is the same.
bool ChildLog::ended() const {
    pollfd end{socket_.get(), POLLRDHUP, 0};
    int bytes = 0;
    return ::poll(&end, 1, 0) > 0 && ::ioctl(socket_.get(), SIOCINQ, &bytes) == 0 && bytes == 0;
}

} // namespace postern
