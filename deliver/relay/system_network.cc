// See system_network.h.
#include "deliver/relay/system_network.h"

#include <sys/socket.h>

#include "common/net/socket.h"
#include "common/tls/connect.h"

namespace postern::relay {

namespace {

constexpr std::chrono::seconds answer_limit{40};  // the resolver gives up earlier itself
constexpr std::chrono::seconds restart_limit{10}; // for a resolver that has died to be back
constexpr std::chrono::seconds restart_pause{1};

// On loopback a connect(2) to a port that nobody listens on can meet itself, when the system
// happens to choose that very port for our end.
bool is_connected_to_itself(int fd, const Endpoint& peer) {
    if (!peer.address.is_loopback())
        return false;
    sockaddr_storage own{};
    socklen_t length = sizeof own;
    if (getsockname(fd, reinterpret_cast<sockaddr*>(&own), &length) < 0)
        return false;
    return Endpoint::from_sockaddr(reinterpret_cast<sockaddr&>(own)) == peer;
}

} // namespace

void SystemNetwork::connect_resolver(FileDescriptor channel) {
    questions_.abandon();
    resolver_ = std::make_unique<ipc::Channel<ipc::FromResolver, ipc::ToResolver>>(
        loop_, std::move(channel),
        [this](ipc::FromResolver&& message) {
            std::visit(ipc::Overloaded{[this](ipc::ResolveAnswer& answer) {
                           const uint32_t request = answer.request;
                           questions_.answer(request, std::move(answer));
                       }},
                       message);
        },
        [this](const std::string&) {
            resolver_.reset();
            questions_.abandon();
        });
}

Task<ipc::ResolveAnswer> SystemNetwork::resolve(ipc::RecordType type, std::string name) {
    const TimePoint started = loop_.now();
    do {
        if (resolver_) {
            ipc::ResolveQuery query;
            query.type = type;
            query.name = name;
            auto send = [this](ipc::ResolveQuery asked) { resolver_->send(std::move(asked)); };
            std::optional<ipc::ResolveAnswer> answer =
                co_await questions_.ask(std::move(query), send, answer_limit);
            if (answer)
                co_return std::move(*answer);
        }
        co_await loop_.sleep(restart_pause);
    } while (loop_.now() - started < restart_limit);
    co_return ipc::ResolveAnswer(); // temporary
}

Network::Connected SystemNetwork::connected(Result<FileDescriptor> socket) {
    if (!socket)
        return socket.error();
    return std::unique_ptr<Stream>(
        std::make_unique<SocketStream>(loop_, std::move(socket).value()));
}

Task<Network::Connected> SystemNetwork::connect(Endpoint peer, std::optional<IpAddress> source) {
    Result<FileDescriptor> socket = co_await connect_to(loop_, peer, source, connect_limit);
    if (socket && is_connected_to_itself(socket->get(), peer))
        socket = system_error("connect", ECONNREFUSED);
    co_return connected(std::move(socket));
}

Task<Network::Connected> SystemNetwork::connect_unix(std::string path) {
    co_return connected(co_await connect_to_unix(loop_, std::move(path), connect_limit));
}

// All streams here are sockets.
Task<Result<TlsFacts>> SystemNetwork::encrypt(Stream& stream, TlsDemand demand, Duration limit) {
    Result<SslSession> ssl = tls_->begin(demand);
    if (!ssl)
        co_return ssl.error();
    co_return co_await connect_tls(static_cast<SocketStream&>(stream), std::move(*ssl), limit);
}

} // namespace postern::relay
