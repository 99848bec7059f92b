#include "common/base/syslog_socket.h"

#include <cstring>
#include <ctime>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <syslog.h>

namespace postern {

namespace {

constexpr std::chrono::seconds between_attempts{1};
constexpr int patience_ms = 50;

std::string datagram_of(int severity, std::string_view sender, std::string_view text) {
    const std::time_t now = std::time(nullptr);
    std::tm parts;
    localtime_r(&now, &parts); // as the daemon expects it
    char time[32];
    const size_t size = std::strftime(time, sizeof time, "%b %e %H:%M:%S ", &parts);
    std::string datagram = "<" + std::to_string(LOG_MAIL | severity) + ">";
    datagram.append(time, size).append(sender).append(": ").append(text);
    return datagram;
}

} // namespace

SyslogSocket::SyslogSocket(std::string path, Now now)
    : path_(std::move(path)), now_(std::move(now)) {
    connect();
}

// The socket of before stays if there is no other.
bool SyslogSocket::connect() {
    connected_at_ = now_();
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path_.size() >= sizeof address.sun_path)
        return false;
    std::memcpy(address.sun_path, path_.data(), path_.size());
    FileDescriptor fresh(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!fresh ||
        ::connect(fresh.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) < 0)
        return false;
    socket_ = std::move(fresh);
    return true;
}

bool SyslogSocket::transmit(const std::string& datagram) {
    if (!socket_ || ::send(socket_.get(), datagram.data(), datagram.size(), MSG_NOSIGNAL) < 0)
        return false;
    given_up_ = false;
    return true;
}

// A full queue, too, may be that of a daemon that another one has taken the place of.
bool SyslogSocket::offer(const std::string& datagram) {
    if (transmit(datagram))
        return true;
    return now_() - connected_at_ >= between_attempts && connect() && transmit(datagram);
}

bool SyslogSocket::offer(int severity, std::string_view sender, std::string_view text) {
    return offer(datagram_of(severity, sender, text));
}

bool SyslogSocket::send(int severity, std::string_view sender, std::string_view text) {
    const std::string datagram = datagram_of(severity, sender, text);
    if (offer(datagram))
        return true;
    if (given_up_ || !socket_)
        return false;
    pollfd room{socket_.get(), POLLOUT, 0};
    ::poll(&room, 1, patience_ms);
    if (offer(datagram))
        return true;
    given_up_ = true;
    return false;
}

} // namespace postern
