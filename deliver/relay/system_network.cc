// See system_network.h.
#include "deliver/relay/system_network.h"

#include <cerrno>
#include <sys/socket.h>

#include "common/net/socket.h"
#include "common/smtp/text.h"
#include "common/tls/connect.h"

namespace postern::relay {

namespace {

constexpr std::chrono::seconds answer_limit{40}; // the resolver gives up earlier itself
constexpr std::chrono::seconds policy_limit{50}; // and so does policy
// For lookup that has died, and is being started again.
constexpr std::chrono::seconds restart_limit{10};
constexpr std::chrono::seconds restart_pause{1};

// Nothing: it has none, or the system does not say.
std::optional<Endpoint> own_endpoint(int fd) {
    sockaddr_storage own{};
    socklen_t length = sizeof own;
    if (getsockname(fd, reinterpret_cast<sockaddr*>(&own), &length) < 0)
        return std::nullopt;
    return Endpoint::from_sockaddr(reinterpret_cast<sockaddr&>(own));
}

// On loopback a connect(2) to a port that nobody listens on can meet itself, when the system
// happens to choose that very port for our end.
bool is_connected_to_itself(int fd, const Endpoint& peer) {
    return peer.address.is_loopback() && own_endpoint(fd) == peer;
}

// All streams here are sockets.
class SocketEncryption final : public Encryption {
  public:
    SocketEncryption(SslSession ssl, Signer& signer) : ssl_(std::move(ssl)), signer_(signer) {}
    Task<Result<TlsFacts>> begin(Stream& stream, Duration limit) override {
        return connect_tls(static_cast<SocketStream&>(stream), std::move(ssl_), limit, &signer_);
    }

  private:
    SslSession ssl_;
    Signer& signer_;
};

} // namespace

Task<ipc::ResolveAnswer> SystemNetwork::resolve(ipc::RecordType type, std::string name) {
    ipc::ResolveQuery query;
    query.type = type;
    query.name = std::move(name);
    std::optional<ipc::ResolveAnswer> answer =
        co_await resolver_.ask_patiently(std::move(query), answer_limit);
    co_return answer ? std::move(*answer) : ipc::ResolveAnswer(); // temporary
}

void SystemNetwork::connect_lookup(FileDescriptor channel) {
    secrets_.abandon();
    lookup_ = std::make_unique<ipc::Channel<ipc::LookupToRelay, ipc::RelayToLookup>>(
        loop_, std::move(channel),
        [this](ipc::LookupToRelay&& message) {
            std::visit(ipc::Overloaded{[this](ipc::CredentialAnswer& answer) {
                           const uint32_t request = answer.request;
                           secrets_.answer(request, std::move(answer));
                       }},
                       message);
        },
        [this](const std::string&) {
            lookup_.reset();
            secrets_.abandon();
        });
    lookup_->wipe_packets();
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

Task<Network::Connected> SystemNetwork::connect(Endpoint peer, std::optional<IpAddress> source,
                                                Duration limit) {
    Result<FileDescriptor> socket = co_await connect_to(loop_, peer, source, limit);
    if (socket && is_connected_to_itself(socket->get(), peer))
        socket = system_error("connect", ECONNREFUSED);
    co_return connected(std::move(socket));
}

IpAddress SystemNetwork::own_address(Stream& stream) {
    const auto own = own_endpoint(static_cast<SocketStream&>(stream).fd());
    return own ? own->address : IpAddress();
}

Task<Network::Connected> SystemNetwork::connect_unix(std::string path) {
    co_return connected(co_await connect_to_unix(loop_, std::move(path), connect_limit));
}

Result<std::unique_ptr<Encryption>> SystemNetwork::prepare(const TlsDemand& demand) {
    Result<SslSession> ssl = tls_->begin(demand);
    if (!ssl)
        return ssl.error();
    return std::unique_ptr<Encryption>(
        std::make_unique<SocketEncryption>(std::move(*ssl), signer_));
}

Task<Result<SaslCredentials>> SystemNetwork::credentials(std::string table, std::string label) {
    const TimePoint started = loop_.now();
    do {
        if (lookup_) {
            ipc::CredentialQuery query;
            query.table = table;
            query.label = label;
            auto send = [this](ipc::CredentialQuery asked) { lookup_->send(std::move(asked)); };
            std::optional<ipc::CredentialAnswer> answer =
                co_await secrets_.ask(std::move(query), send, answer_limit);
            if (answer && !answer->found)
                co_return Error{"there is no password for " + sanitize(label)};
            if (answer) {
                SaslCredentials found;
                found.user = std::move(answer->user);
                found.password = std::move(answer->password);
                co_return found;
            }
        }
        co_await loop_.sleep(restart_pause);
    } while (loop_.now() - started < restart_limit);
    co_return Error{"the password for " + sanitize(label) + " cannot be looked up now", EAGAIN};
}

} // namespace postern::relay
