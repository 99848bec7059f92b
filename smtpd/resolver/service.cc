#include "smtpd/resolver/service.h"

#include "common/base/log.h"
#include "smtpd/resolver/unbound_backend.h"

namespace postern {

ResolverService::ResolverService(EventLoop& loop, std::vector<Endpoint> system_servers,
                                 std::function<void()> on_drained)
    : loop_(loop), system_servers_(std::move(system_servers)), on_drained_(std::move(on_drained)),
      operator_port_(loop, counters_,
                     [this](Counters& counters) { counters["resolver.open"] = resolver_.open(); }),
      resolver_(loop, counters_, HostsFile{}, Duration::zero()) {}

ResolverService::~ResolverService() = default;

Result<void> ResolverService::configure(const ipc::ResolverSettings& settings) {
    Result<DnsSetup> setup = make_setup(settings, system_servers_);
    if (!setup)
        return setup.error();
    if (setup_ != *setup) {
        Result<std::unique_ptr<UnboundBackend>> backend = UnboundBackend::open(
            loop_, *setup,
            [this](uint64_t id, const DnsBackend::Reply& reply) { resolver_.reply(id, reply); });
        if (!backend)
            return backend.error();
        resolver_.use_backend(std::move(*backend));
        setup_ = std::move(*setup);
    }
    resolver_.reconfigure(HostsFile::parse(settings.hosts), settings.timeout);
    return {};
}

void ResolverService::connect(ipc::Connect connect) {
    if (connect.role == ipc::Role::control)
        return operator_port_.connect(std::move(connect.channel));
    const PeerKey key{connect.role, connect.index};
    disconnect(key); // it has died; what it asked is void
    Peer& peer = peers_[key];
    peer.channel = std::make_unique<Channel>(
        loop_, std::move(connect.channel),
        [this, key](ipc::ToResolver&& message) {
            std::visit(ipc::Overloaded{[&](ipc::ResolveQuery& query) {
                           if (resolver_.ask(peers_.at(key).id, query))
                               return;
                           log::error("peer has too many questions open",
                                      {{"peer", ipc::role_name(key.first)}, {"index", key.second}});
                           disconnect(key);
                       }},
                       message);
        },
        [this, key](const std::string& reason) {
            ipc::log_closed_channel(ipc::role_name(key.first), reason);
            disconnect(key);
        });
    Channel* channel = peer.channel.get();
    peer.id = resolver_.add_peer(
        [channel](ipc::ResolveAnswer answer) { channel->send(std::move(answer)); });
}

void ResolverService::disconnect(PeerKey key) {
    auto found = peers_.find(key);
    if (found == peers_.end())
        return;
    resolver_.remove_peer(found->second.id);
    peers_.erase(found);
    if (draining_ && peers_.empty())
        finish();
}

void ResolverService::drain(std::chrono::seconds limit) {
    draining_ = true;
    if (peers_.empty())
        return finish();
    arm(loop_, loop_.now() + limit);
}

void ResolverService::finish() {
    disarm();
    on_drained_();
}

} // namespace postern
