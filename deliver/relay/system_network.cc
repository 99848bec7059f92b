// See system_network.h.
#include "deliver/relay/system_network.h"

#include <sys/socket.h>

#include "common/net/socket.h"
#include "common/tls/connect.h"

namespace postern::relay {

namespace {

constexpr std::chrono::seconds answer_limit{40}; // the resolver gives up earlier itself
constexpr std::chrono::seconds policy_limit{50}; // and so does policy

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

Task<ipc::ResolveAnswer> SystemNetwork::resolve(ipc::RecordType type, std::string name) {
    ipc::ResolveQuery query;
    query.type = type;
    query.name = std::move(name);
    std::optional<ipc::ResolveAnswer> answer =
        co_await resolver_.ask_patiently(std::move(query), answer_limit);
    co_return answer ? std::move(*answer) : ipc::ResolveAnswer(); // temporary
}

Task<ipc::PolicyAnswer> SystemNetwork::find_policy(std::string domain) {
    ipc::PolicyQuery query;
    query.domain = std::move(domain);
    std::optional<ipc::PolicyAnswer> answer =
        co_await policy_.ask_patiently(std::move(query), policy_limit);
    co_return answer ? std::move(*answer) : ipc::PolicyAnswer(); // not known
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
