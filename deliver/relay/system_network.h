// The network of the process: its own sockets, and the resolver over its channel.
#pragma once

#include <memory>

#include "common/loop/event_loop.h"
#include "common/process/question_channel.h"
#include "deliver/relay/network.h"

namespace postern::relay {

class SystemNetwork final : public Network {
  public:
    explicit SystemNetwork(EventLoop& loop)
        : loop_(loop), tls_(TlsAuthorities()),
          resolver_(loop, ipc::Role::resolver, ipc::resolution_credit),
          policy_(loop, ipc::Role::policy, ipc::policy_credit) {}

    // The channel of a Connect from the role, in place of the former, whose open questions are
    // void: they are asked again for a few seconds, then they have failed.
    void connect_resolver(FileDescriptor channel) { resolver_.connect(std::move(channel)); }
    void connect_policy(FileDescriptor channel) { policy_.connect(std::move(channel)); }

    // Whose certificates are trusted from now on; sessions from before are not resumed.
    void trust(TlsAuthorities authorities) { tls_.emplace(std::move(authorities)); }

    Executor& executor() override { return loop_; }
    Task<Connected> connect(Endpoint peer, std::optional<IpAddress> source) override;
    Task<Connected> connect_unix(std::string path) override;
    Task<Result<TlsFacts>> encrypt(Stream& stream, TlsDemand demand, Duration limit) override;
    Task<ipc::ResolveAnswer> resolve(ipc::RecordType type, std::string name) override;
    Task<ipc::PolicyAnswer> find_policy(std::string domain) override;

  private:
    Connected connected(Result<FileDescriptor> socket);

    EventLoop& loop_;
    std::optional<TlsClient> tls_;
    QuestionChannel<ipc::FromResolver, ipc::ToResolver, ipc::ResolveAnswer> resolver_;
    QuestionChannel<ipc::FromPolicy, ipc::ToPolicy, ipc::PolicyAnswer> policy_;
};

} // namespace postern::relay
