#include "common/net/socket.h"

#include <cstring>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "common/loop/completion.h"

namespace postern {

namespace {

constexpr int accepts_per_event = 64;

// Waits for a socket whose connect(2) is under way.
Task<Result<FileDescriptor>> finish_connect(EventLoop& loop, FileDescriptor socket,
                                            Duration limit) {
    Completion<bool> writable(loop);
    Watch watch(loop, socket.get(), [&writable](short) { writable.complete(true); });
    watch.want(Watch::writable);
    std::optional<bool> done = co_await writable.wait(limit);
    if (!done)
        co_return system_error("connect", ETIMEDOUT);
    int error = 0;
    socklen_t size = sizeof error;
    getsockopt(socket.get(), SOL_SOCKET, SO_ERROR, &error, &size);
    if (error != 0)
        co_return system_error("connect", error);
    watch.want(Watch::none);
    co_return std::move(socket);
}

Task<Result<FileDescriptor>> start_connect(EventLoop& loop, FileDescriptor socket,
                                           const sockaddr_storage& address, socklen_t length,
                                           Duration limit) {
    if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), length) == 0)
        co_return std::move(socket);
    if (errno != EINPROGRESS && errno != EINTR)
        co_return system_error("connect");
    co_return co_await finish_connect(loop, std::move(socket), limit);
}

// Output is put together before it is sent (Stream): nothing is gained by waiting for more.
void set_no_delay(const FileDescriptor& socket) {
    int on = 1;
    setsockopt(socket.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

} // namespace

SocketStream::SocketStream(EventLoop& loop, FileDescriptor socket)
    : Stream(loop), loop_(loop), socket_(std::move(socket)), rest_(*this),
      watch_(loop, socket_.get(), [this](short events) {
          if (events & Watch::writable)
              on_writable();
          if (events & Watch::readable)
              read(); // may destroy us: last
      }) {
    watch_.want(Watch::readable);
}

SocketStream::~SocketStream() = default;

void SocketStream::add_layer(std::unique_ptr<StreamLayer> layer) { layer_ = std::move(layer); }

ssize_t SocketStream::receive(char* buffer, size_t size) {
    return layer_ ? layer_->receive(buffer, size) : ::recv(socket_.get(), buffer, size, 0);
}

ssize_t SocketStream::transmit(const char* bytes, size_t size) {
    return layer_ ? layer_->transmit(bytes, size)
                  : ::send(socket_.get(), bytes, size, MSG_NOSIGNAL);
}

void SocketStream::watch(bool input, bool output) {
    watch_.want(static_cast<short>((input ? Watch::readable : Watch::none) |
                                   (output ? Watch::writable : Watch::none)));
    if (input && layer_ && layer_->may_have_more())
        loop_.schedule(rest_);
}

void SocketStream::read() {
    const Scratch scratch(loop_);
    on_readable(scratch.bytes());
}

Task<Result<FileDescriptor>> connect_to(EventLoop& loop, Endpoint peer,
                                        std::optional<IpAddress> source, Duration limit) {
    sockaddr_storage address;
    socklen_t length = peer.to_sockaddr(address);
    FileDescriptor socket(
        ::socket(address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    if (!socket)
        co_return system_error("socket");
    set_no_delay(socket);
    if (source) {
        sockaddr_storage from;
        Endpoint local{*source, 0};
        socklen_t from_length = local.to_sockaddr(from);
        int on = 1;
        // The port is chosen at connect(2), where it need not be unique on its own.
        setsockopt(socket.get(), IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
        if (::bind(socket.get(), reinterpret_cast<sockaddr*>(&from), from_length) < 0)
            co_return system_error("bind to " + source->to_string());
    }
    co_return co_await start_connect(loop, std::move(socket), address, length, limit);
}

Task<Result<FileDescriptor>> connect_to_unix(EventLoop& loop, std::string path, Duration limit) {
    sockaddr_storage storage{};
    auto& address = reinterpret_cast<sockaddr_un&>(storage);
    if (path.size() >= sizeof address.sun_path)
        co_return system_error(path, ENAMETOOLONG);
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
    FileDescriptor socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    if (!socket)
        co_return system_error("socket");
    co_return co_await start_connect(loop, std::move(socket), storage, sizeof(sockaddr_un), limit);
}

Result<FileDescriptor> listen_on(const Endpoint& endpoint, int backlog) {
    sockaddr_storage address;
    socklen_t length = endpoint.to_sockaddr(address);
    FileDescriptor socket(
        ::socket(address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    if (!socket)
        return system_error("socket");
    int on = 1;
    setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    set_no_delay(socket); // those that are accepted have it from it
    if (address.ss_family == AF_INET6)
        setsockopt(socket.get(), IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    if (::bind(socket.get(), reinterpret_cast<sockaddr*>(&address), length) < 0 ||
        ::listen(socket.get(), backlog) < 0)
        return system_error("listen on " + endpoint.to_string());
    return socket;
}

Acceptor::Acceptor(EventLoop& loop, FileDescriptor listening, Handler handler,
                   std::function<void()> exhausted)
    : loop_(loop), socket_(std::move(listening)), handler_(std::move(handler)),
      exhausted_(std::move(exhausted)), retry_(*this),
      watch_(loop, socket_.get(), [this](short) { accept_ready(); }) {
    update();
}

void Acceptor::pause(bool paused) {
    paused_ = paused;
    update();
}

void Acceptor::update() { watch_.want(paused_ || retry_.armed() ? Watch::none : Watch::readable); }

void Acceptor::Retry::expired() { acceptor_.update(); }

void Acceptor::accept_ready() {
    for (int i = 0; i < accepts_per_event && !paused_; ++i) {
        sockaddr_storage address;
        socklen_t length = sizeof address;
        FileDescriptor socket(::accept4(socket_.get(), reinterpret_cast<sockaddr*>(&address),
                                        &length, SOCK_NONBLOCK | SOCK_CLOEXEC));
        if (!socket) {
            if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS) {
                retry_.arm(loop_, loop_.now() + std::chrono::seconds(1));
                update();
                if (exhausted_)
                    exhausted_();
                return;
            }
            if (errno == EAGAIN)
                return;
            continue; // this connection broke before we took it
        }
        if (address.ss_family == AF_UNIX)
            handler_(std::move(socket), {*IpAddress::parse("127.0.0.1"), 0});
        else if (auto peer = Endpoint::from_sockaddr(reinterpret_cast<sockaddr&>(address)))
            handler_(std::move(socket), *peer);
    }
}

} // namespace postern
