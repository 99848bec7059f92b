// The process around the resolver: its settings, its peers, its end.
#pragma once

#include <chrono>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "common/base/result.h"
#include "common/ipc/channel.h"
#include "common/ipc/resolver_settings.h"
#include "common/ipc/supervision.h"
#include "common/loop/event_loop.h"
#include "common/process/operator_port.h"
#include "smtpd/resolver/dns_setup.h"
#include "smtpd/resolver/resolver.h"

namespace postern {

class ResolverService : Timer {
  public:
    // `system_servers` are those of /etc/resolv.conf. `on_drained` is called once, after drain().
    ResolverService(EventLoop& loop, std::vector<Endpoint> system_servers,
                    std::function<void()> on_drained);
    ~ResolverService();

    // Takes new settings, at the start and at a reload. On failure the former ones stay.
    Result<void> configure(const ipc::ResolverSettings& settings);
    void connect(ipc::Connect connect);
    // Whoever is still finishing work needs answers for it: serves until all peers have gone, at
    // most for this time.
    void drain(std::chrono::seconds limit);

  private:
    using Channel = ipc::Channel<ipc::ToResolver, ipc::FromResolver>;
    using PeerKey = std::pair<ipc::Role, uint32_t>;
    struct Peer {
        Resolver::PeerId id;
        std::unique_ptr<Channel> channel;
    };

    void disconnect(PeerKey key);
    void expired() override { finish(); }
    void finish();

    EventLoop& loop_;
    std::vector<Endpoint> system_servers_;
    std::function<void()> on_drained_;
    Counters counters_;
    OperatorPort operator_port_;
    Resolver resolver_;
    std::optional<DnsSetup> setup_; // of the resolver's present backend
    std::map<PeerKey, Peer> peers_;
    bool draining_ = false;
};

} // namespace postern
