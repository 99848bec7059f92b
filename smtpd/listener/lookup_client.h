// The listener's end of the channel to lookup. While there is no lookup, or when it does not answer
// in time, the answer is "temporary": nobody is refused for our own trouble, and nobody let in.
#pragma once

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
          passwords_(loop, ipc::authentication_credit), senders_(loop, ipc::sender_credit) {}

    // Takes a channel in place of the former; what was asked there gets no answer.
    void connect(FileDescriptor channel);
    Task<ipc::RouteVerdict> route(ipc::RouteQuery query, Duration limit) override;
    Task<ipc::AuthenticateAnswer> authenticate(ipc::Authenticate question, Duration limit) override;
    Task<ipc::SenderVerdict> check_sender(ipc::SenderQuery query, Duration limit) override;

  private:
    void abandon();

    EventLoop& loop_;
    ipc::Requests<ipc::RouteVerdict> routes_;
    ipc::Requests<ipc::AuthenticateAnswer> passwords_;
    ipc::Requests<ipc::SenderVerdict> senders_;
    std::unique_ptr<ipc::Channel<ipc::LookupToListener, ipc::ListenerToLookup>> channel_;
};

} // namespace postern::listener
