// Real sockets on the loopback interface.
#include <gtest/gtest.h>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "common/net/socket.h"

namespace postern {
namespace {

using namespace std::chrono_literals;

Endpoint bound_to(int fd) {
    sockaddr_storage address;
    socklen_t size = sizeof address;
    getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size);
    return *Endpoint::from_sockaddr(reinterpret_cast<sockaddr&>(address));
}

bool sends_at_once(int fd) {
    int on = 0;
    socklen_t size = sizeof on;
    return getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, &size) == 0 && on;
}

Endpoint loopback(uint16_t port) { return {*IpAddress::parse("127.0.0.1"), port}; }

Task<void> echo_lines(EventLoop& loop, FileDescriptor socket) {
    SocketStream stream(loop, std::move(socket));
    while (true) {
        Line line = co_await stream.read_line(60000, 5s);
        if (line.status != StreamStatus::ok)
            co_return;
        stream.write(std::string(line.text) + "\r\n");
        co_await stream.drain(5s);
    }
}

TEST(Socket, ConnectsAcceptsAndCarriesBytesBothWays) {
    EventLoop loop;
    TaskGroup tasks;
    Result<FileDescriptor> listening = listen_on(loopback(0), 10);
    ASSERT_TRUE(listening) << listening.error().message;
    Endpoint server = bound_to(listening->get());
    Endpoint seen_peer;
    Acceptor acceptor(loop, std::move(*listening), [&](FileDescriptor socket, Endpoint peer) {
        seen_peer = peer;
        EXPECT_TRUE(sends_at_once(socket.get()));
        tasks.spawn(echo_lines(loop, std::move(socket)));
    });
    std::string answer;
    tasks.spawn([](EventLoop& loop, Endpoint server, std::string& answer) -> Task<void> {
        Result<FileDescriptor> socket =
            co_await connect_to(loop, server, IpAddress::parse("127.0.0.9"), 5s);
        if (socket) {
            EXPECT_TRUE(sends_at_once(socket->get()));
            SocketStream stream(loop, std::move(*socket));
            stream.write(std::string(50000, 'x') + "\r\n");
            Line line = co_await stream.read_line(60000, 5s);
            answer = line.text;
        }
        loop.stop();
    }(loop, server, answer));
    loop.run();
    EXPECT_EQ(answer, std::string(50000, 'x'));
    EXPECT_EQ(seen_peer.address.to_string(), "127.0.0.9");
}

TEST(Socket, ARefusedConnectionSaysSo) {
    EventLoop loop;
    TaskGroup tasks;
    Endpoint nobody;
    {
        Result<FileDescriptor> listening = listen_on(loopback(0), 1);
        ASSERT_TRUE(listening);
        nobody = bound_to(listening->get());
    }
    int code = 0;
    tasks.spawn([](EventLoop& loop, Endpoint nobody, int& code) -> Task<void> {
        Result<FileDescriptor> socket = co_await connect_to(loop, nobody, std::nullopt, 5s);
        code = socket ? 0 : socket.error().code;
        loop.stop();
    }(loop, nobody, code));
    loop.run();
    EXPECT_EQ(code, ECONNREFUSED);
}

TEST(Socket, AConnectionThatIsNotAnsweredTimesOut) {
    EventLoop loop;
    TaskGroup tasks;
    // A full backlog: the kernel drops further SYNs on the loopback interface.
    Result<FileDescriptor> listening = listen_on(loopback(0), 0);
    ASSERT_TRUE(listening);
    Endpoint full = bound_to(listening->get());
    std::vector<int> codes;
    for (int i = 0; i < 4; ++i)
        tasks.spawn([](EventLoop& loop, Endpoint full, std::vector<int>& codes) -> Task<void> {
            Result<FileDescriptor> socket = co_await connect_to(loop, full, std::nullopt, 50ms);
            FileDescriptor kept;
            if (socket)
                kept = std::move(*socket);
            codes.push_back(socket ? 0 : socket.error().code);
            if (codes.size() == 4)
                loop.stop();
            co_await loop.sleep(10s); // holds its place in the backlog
        }(loop, full, codes));
    loop.run();
    EXPECT_EQ(codes.back(), ETIMEDOUT);
}

// accept(2) without descriptors must wait, not spin.
TEST(Acceptor, BacksOffWithoutDescriptors) {
    EventLoop loop;
    TaskGroup tasks;
    Result<FileDescriptor> listening = listen_on(loopback(0), 10);
    ASSERT_TRUE(listening);
    Endpoint server = bound_to(listening->get());
    FileDescriptor client(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0));
    int accepted = 0;
    int exhausted = 0;
    Acceptor acceptor(
        loop, std::move(*listening),
        [&](FileDescriptor, Endpoint) {
            ++accepted;
            loop.stop();
        },
        [&] { ++exhausted; });
    rlimit before;
    getrlimit(RLIMIT_NOFILE, &before);
    rlimit none = before;
    none.rlim_cur = 0;
    setrlimit(RLIMIT_NOFILE, &none);
    sockaddr_storage address;
    socklen_t size = server.to_sockaddr(address);
    connect(client.get(), reinterpret_cast<sockaddr*>(&address), size);
    rusage start, end;
    getrusage(RUSAGE_SELF, &start);
    tasks.spawn([](EventLoop& loop, rlimit before) -> Task<void> {
        co_await loop.sleep(300ms);
        setrlimit(RLIMIT_NOFILE, &before);
    }(loop, before));
    loop.run();
    getrusage(RUSAGE_SELF, &end);
    EXPECT_EQ(accepted, 1);
    EXPECT_EQ(exhausted, 1) << "it has said so";
    auto cpu = [](const rusage& u) {
        return u.ru_utime.tv_sec + u.ru_utime.tv_usec / 1e6 + u.ru_stime.tv_sec +
               u.ru_stime.tv_usec / 1e6;
    };
    EXPECT_LT(cpu(end) - cpu(start), 0.1) << "it waited without using the processor";
}

} // namespace
} // namespace postern
