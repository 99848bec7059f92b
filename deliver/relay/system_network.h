// The network of the process: its own sockets, and the resolver over its channel.
#pragma once

#include <memory>

#include "common/ipc/channel.h"
#include "common/ipc/requests.h"
#include "common/loop/event_loop.h"
#include "deliver/relay/network.h"

namespace postern::relay {

class SystemNetwork final : public Network {
  public:
    explicit SystemNetwork(EventLoop& loop)
        : loop_(loop), tls_(TlsAuthorities()), questions_(loop, ipc::resolution_credit) {}

    // The channel of a Connect from Role::resolver, in place of the former, whose open questions
    // are void: they are asked again for a few seconds, then they have failed.
    void connect_resolver(FileDescriptor channel);

    // Whose certificates are trusted from now on; sessions from before are not resumed.
    void trust(TlsAuthorities authorities) { tls_.emplace(std::move(authorities)); }

    Executor& executor() override { return loop_; }
    Task<Connected> connect(Endpoint peer, std::optional<IpAddress> source) override;
    Task<Connected> connect_unix(std::string path) override;
    Task<Result<TlsFacts>> encrypt(Stream& stream, TlsDemand demand, Duration limit) override;
    Task<ipc::ResolveAnswer> resolve(ipc::RecordType type, std::string name) override;

  private:
    Connected connected(Result<FileDescriptor> socket);

    EventLoop& loop_;
    std::optional<TlsClient> tls_;
    ipc::Requests<ipc::ResolveAnswer> questions_;
    std::unique_ptr<ipc::Channel<ipc::FromResolver, ipc::ToResolver>> resolver_;
};

} // namespace postern::relay
