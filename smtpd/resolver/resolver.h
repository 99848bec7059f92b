// The service: takes the peers' questions, asks whoever knows, and answers each one once.
//
// Owns the open questions. Every question is answered within the time limit, whatever the DNS does.
// A peer that asks more than it may (resolution_credit) is to lose its channel; when it is gone,
// its questions are forgotten.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <unordered_map>

#include "common/ipc/resolution.h"
#include "common/loop/executor.h"
#include "common/process/operator_port.h"
#include "smtpd/resolver/dns_backend.h"
#include "smtpd/resolver/hosts.h"

namespace postern {

class Resolver {
  public:
    using PeerId = uint64_t;
    // Hands an answer to the peer; must not call back.
    using Send = std::function<void(ipc::ResolveAnswer)>;

    // Counts resolver.queries, resolver.failures and resolver.bogus.
    Resolver(Executor& executor, Counters& counters, HostsFile hosts, Duration limit);
    ~Resolver();

    // Whom to ask from now on; open questions are asked again there. `limit` is that of new ones.
    void use_backend(std::unique_ptr<DnsBackend> backend);
    void reconfigure(HostsFile hosts, Duration limit);
    // To be called by the backend.
    void reply(uint64_t id, const DnsBackend::Reply& reply);

    PeerId add_peer(Send send);
    void remove_peer(PeerId peer);
    // False: the peer has more open than it may.
    [[nodiscard]] bool ask(PeerId peer, const ipc::ResolveQuery& query);

    size_t open() const { return questions_.size(); }

  private:
    struct Peer {
        Send send;
        uint32_t open = 0;
    };
    struct Question;

    void finish(uint64_t id, ipc::ResolveAnswer answer);
    void send(Peer& peer, ipc::ResolveAnswer answer);
    void expire(uint64_t id);

    Executor& executor_;
    uint64_t& queries_;
    uint64_t& failures_;
    uint64_t& bogus_;
    HostsFile hosts_;
    Duration limit_;
    uint64_t next_id_ = 1;
    std::unordered_map<PeerId, Peer> peers_;
    std::unordered_map<uint64_t, std::unique_ptr<Question>> questions_;
    std::unique_ptr<DnsBackend> backend_;
};

} // namespace postern
