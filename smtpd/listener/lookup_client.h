// The listener's end of the channel to lookup. While there is no lookup, or when it does not answer
// in time, the answer is "temporary": nobody is refused for our own trouble, and nobody let in.
#pragma once

#include <map>
#include <memory>

#include "common/ipc/channel.h"
#include "common/ipc/requests.h"
#include "common/loop/event_loop.h"
#include "smtpd/listener/collaborators.h"

namespace postern::listener {

class LookupClient final : public Routing, public Accounts {
  public:
    explicit LookupClient(EventLoop& loop)
        : loop_(loop), routes_(loop, ipc::routing_credit),
          passwords_(loop, ipc::authentication_credit), exchanges_(loop, ipc::exchange_credit),
          senders_(loop, ipc::sender_credit) {}

    // Takes a channel in place of the former; what was asked there gets no answer.
    void connect(FileDescriptor channel);
    Task<ipc::RouteAnswer> route(ipc::RouteQuery query, Duration limit) override;
    Task<ipc::AuthenticateAnswer> authenticate(ipc::Authenticate question, Duration limit) override;
    Task<ipc::SaslAnswer> start(ipc::SaslStart start, Duration limit) override;
    Task<ipc::SaslAnswer> respond(ipc::SaslResponse response, Duration limit) override;
    void cancel(uint64_t exchange) override;
    std::optional<std::vector<SaslMechanism>>
    announced(const std::string& credentials) const override;
    Task<ipc::SenderVerdict> check_sender(ipc::SenderQuery query, Duration limit) override;

  private:
    void abandon();
    template <class Step> Task<ipc::SaslAnswer> ask_for_step(Step step, Duration limit);

    EventLoop& loop_;
    ipc::Requests<ipc::RouteAnswer> routes_;
    ipc::Requests<ipc::AuthenticateAnswer> passwords_;
    ipc::Requests<ipc::SaslAnswer> exchanges_;
    ipc::Requests<ipc::SenderVerdict> senders_;
    // By credentials. It outlives a lookup: the next one has to connect to Dovecot first.
    std::map<std::string, std::vector<SaslMechanism>> announced_;
    std::unique_ptr<ipc::Channel<ipc::LookupToListener, ipc::ListenerToLookup>> channel_;
};

} // namespace postern::listener
