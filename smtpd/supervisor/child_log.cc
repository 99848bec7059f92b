#include "smtpd/supervisor/child_log.h"

#include <sys/socket.h>

namespace postern {

namespace {

constexpr int packets_per_event = 64; // then others have their turn

} // namespace

ChildLog::ChildLog(EventLoop& loop, FileDescriptor socket, std::string sender, PassOn pass_on)
    : loop_(loop), socket_(std::move(socket)), sender_(std::move(sender)),
      pass_on_(std::move(pass_on)), watch_(loop, socket_.get(), [this](short) { read_some(); }) {
    watch_.want(Watch::readable);
}

void ChildLog::read_some() {
    for (int i = 0; i < packets_per_event; ++i)
        if (!read_one())
            return;
}

// No more than the socket holds: the process is not there any more to fill it.
void ChildLog::read_rest() {
    while (read_one()) {
    }
}

// False: there is nothing now, or the other end is closed.
bool ChildLog::read_one() {
    const std::span<char> buffer = loop_.scratch();
    const ssize_t size = ::recv(socket_.get(), buffer.data(), buffer.size(), 0);
    if (size == 0 || (size < 0 && errno != EAGAIN && errno != EINTR))
        watch_.want(Watch::none);
    if (size <= 0)
        return false;
    for (const log::Line& line : log::read_packet({buffer.data(), static_cast<size_t>(size)}))
        pass_on_(sender_, line);
    return true;
}

} // namespace postern
