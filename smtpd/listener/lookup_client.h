// The listener's end of the channel to lookup. While there is no lookup, or when it does not answer
// in time, the answer is "temporary": nobody is refused for our own trouble, and nobody let in.
#pragma once

#include <memory>

#include "common/ipc/channel.h"
#include "common/ipc/requests.h"
#include "common/loop/event_loop.h"
#include "smtpd/listener/collaborators.h"

namespace postern::listener {

class LookupClient final : public Routing {
  public:
    explicit LookupClient(EventLoop& loop) : loop_(loop), questions_(loop, ipc::routing_credit) {}

    // Takes a channel in place of the former; what was asked there gets no answer.
    void connect(FileDescriptor channel);
    Task<ipc::RouteVerdict> route(ipc::RouteQuery query, Duration limit) override;

  private:
    EventLoop& loop_;
    ipc::Requests<ipc::RouteVerdict> questions_;
    std::unique_ptr<ipc::Channel<ipc::FromLookup, ipc::ToLookup>> channel_;
};

} // namespace postern::listener
