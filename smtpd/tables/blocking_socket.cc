#include "smtpd/tables/blocking_socket.h"

#include <algorithm>
#include <cstring>
#include <memory>
#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

namespace postern::tables {

namespace {

// False: the time is over.
bool wait_for(const FileDescriptor& socket, short events, Deadline deadline) {
    for (;;) {
        const auto left = std::chrono::ceil<std::chrono::milliseconds>(
            deadline - std::chrono::steady_clock::now());
        if (left.count() <= 0)
            return false;
        pollfd poll_for{socket.get(), events, 0};
        const int ready = ::poll(&poll_for, 1, static_cast<int>(left.count()));
        if (ready > 0)
            return true;
        if (ready < 0 && errno != EINTR)
            return false;
    }
}

Result<FileDescriptor> connect_to_address(const sockaddr* address, socklen_t size,
                                          Deadline deadline) {
    FileDescriptor socket(
        ::socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!socket)
        return system_error("socket");
    if (::connect(socket.get(), address, size) == 0)
        return socket;
    if (errno != EINPROGRESS)
        return system_error("connect");
    if (!wait_for(socket, POLLOUT, deadline))
        return system_error("connect", ETIMEDOUT);
    int code = 0;
    socklen_t length = sizeof code;
    ::getsockopt(socket.get(), SOL_SOCKET, SO_ERROR, &code, &length);
    if (code != 0)
        return system_error("connect", code);
    return socket;
}

} // namespace

Result<FileDescriptor> connect_blocking(const std::string& place, uint16_t port,
                                        Deadline deadline) {
    if (place.starts_with("unix:")) {
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        const std::string path = place.substr(5);
        if (path.size() >= sizeof address.sun_path)
            return Error{"the path of the socket is too long"};
        std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
        return connect_to_address(reinterpret_cast<const sockaddr*>(&address), sizeof address,
                                  deadline);
    }
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    addrinfo* found = nullptr;
    if (const int code = ::getaddrinfo(place.c_str(), std::to_string(port).c_str(), &hints, &found))
        return Error{place + ": " + gai_strerror(code)};
    const std::unique_ptr<addrinfo, void (*)(addrinfo*)> all(found, ::freeaddrinfo);
    Result<FileDescriptor> socket = Error{place + ": no address"};
    for (const addrinfo* one = found; one && !socket; one = one->ai_next)
        socket = connect_to_address(one->ai_addr, one->ai_addrlen, deadline);
    return socket;
}

Result<void> write_all(const FileDescriptor& socket, std::string_view bytes, Deadline deadline) {
    while (!bytes.empty()) {
        const ssize_t sent = ::send(socket.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
        if (sent > 0)
            bytes.remove_prefix(static_cast<size_t>(sent));
        else if (errno != EAGAIN && errno != EINTR)
            return system_error("send");
        else if (!wait_for(socket, POLLOUT, deadline))
            return system_error("send", ETIMEDOUT);
    }
    return {};
}

Result<void> read_some(const FileDescriptor& socket, std::string& bytes, Deadline deadline) {
    for (;;) {
        char buffer[4096];
        const ssize_t got = ::recv(socket.get(), buffer, sizeof buffer, 0);
        if (got == 0)
            return Error{"the server closed the connection"};
        if (got > 0) {
            bytes.append(buffer, static_cast<size_t>(got));
            return {};
        }
        if (errno != EAGAIN && errno != EINTR)
            return system_error("receive");
        if (!wait_for(socket, POLLIN, deadline))
            return system_error("receive", ETIMEDOUT);
    }
}

} // namespace postern::tables
