// The listener's end of the channel to the resolver. Without it there are no names, and mail is
// accepted all the same.
#pragma once

#include <memory>

#include "common/ipc/channel.h"
#include "common/ipc/requests.h"
#include "common/loop/event_loop.h"
#include "smtpd/listener/collaborators.h"

namespace postern::listener {

class ResolverClient final : public Resolver {
  public:
    explicit ResolverClient(EventLoop& loop)
        : loop_(loop), questions_(loop, ipc::resolution_credit) {}

    // Takes a channel in place of the former; what was asked there gets no answer.
    void connect(FileDescriptor channel);
    Task<ipc::ResolveAnswer> resolve(ipc::ResolveQuery query, Duration limit) override;

  private:
    EventLoop& loop_;
    ipc::Requests<ipc::ResolveAnswer> questions_;
    std::unique_ptr<ipc::Channel<ipc::FromResolver, ipc::ToResolver>> channel_;
};

} // namespace postern::listener
