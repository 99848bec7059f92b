// The network of the process: its own sockets, and the resolver and lookup over their channels.
#pragma once

#include <memory>

#include "common/ipc/channel.h"
#include "common/ipc/credentials.h"
#include "common/ipc/requests.h"
#include "common/loop/event_loop.h"
#include "common/process/question_channel.h"
#include "deliver/relay/keyholder_client.h"
#include "deliver/relay/network.h"

namespace postern::relay {

class SystemNetwork final : public Network {
  public:
    explicit SystemNetwork(EventLoop& loop)
        : loop_(loop), tls_(TlsAuthorities()),
          resolver_(loop, ipc::Role::resolver, ipc::resolution_credit),
          policy_(loop, ipc::Role::policy, ipc::policy_credit),
          secrets_(loop, ipc::credential_credit), signer_(loop) {}

    // The channel of a Connect from the role, in place of the former, whose open questions are
    // void: they are asked again for a few seconds, then they have failed.
    void connect_resolver(FileDescriptor channel) { resolver_.connect(std::move(channel)); }
    void connect_policy(FileDescriptor channel) { policy_.connect(std::move(channel)); }

    // The same of a Connect from Role::lookup.
    void connect_lookup(FileDescriptor channel);

    // The same of a Connect from Role::keyholder.
    void connect_keyholder(FileDescriptor channel) { signer_.connect(std::move(channel)); }

    // Whose certificates are trusted from now on, and which are ours; sessions from before are not
    // resumed.
    void trust(TlsAuthorities authorities, TlsCertificates certificates) {
        tls_.emplace(std::move(authorities), std::move(certificates));
    }

    Executor& executor() override { return loop_; }
    Task<Connected> connect(Endpoint peer, std::optional<IpAddress> source,
                            Duration limit) override;
    Task<Connected> connect_unix(std::string path) override;
    IpAddress own_address(Stream& stream) override;
    Result<std::unique_ptr<Encryption>> prepare(const TlsDemand& demand) override;
    Task<Result<SaslCredentials>> credentials(std::string table, std::string label) override;
    Task<ipc::ResolveAnswer> resolve(ipc::RecordType type, std::string name) override;
    Task<ipc::PolicyAnswer> find_policy(std::string domain) override;
    void report(ipc::SessionResult result) override { policy_.tell(std::move(result)); }

  private:
    Connected connected(Result<FileDescriptor> socket);

    EventLoop& loop_;
    std::optional<TlsClient> tls_;
    QuestionChannel<ipc::FromResolver, ipc::ToResolver, ipc::ResolveAnswer> resolver_;
    QuestionChannel<ipc::FromPolicy, ipc::ToPolicy, ipc::PolicyAnswer> policy_;
    ipc::Requests<ipc::CredentialAnswer> secrets_;
    std::unique_ptr<ipc::Channel<ipc::LookupToRelay, ipc::RelayToLookup>> lookup_;
    KeyholderClient signer_;
};

} // namespace postern::relay
