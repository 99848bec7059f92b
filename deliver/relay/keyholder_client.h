// The relay's end of the channel to the keyholder, which signs where a server asks for our
// certificate.
#pragma once

#include <memory>

#include "common/ipc/channel.h"
#include "common/ipc/requests.h"
#include "common/ipc/signing.h"
#include "common/loop/event_loop.h"
#include "common/tls/accept.h"

namespace postern::relay {

class KeyholderClient final : public Signer {
  public:
    explicit KeyholderClient(EventLoop& loop)
        : loop_(loop), questions_(loop, ipc::signing_credit) {}

    // Takes a channel in place of the former; what was asked there is asked again.
    void connect(FileDescriptor channel);
    // A keyholder that has died, and is being started again, is waited for, within the limit.
    Task<std::string> sign(ipc::SignQuery query, Duration limit) override;

  private:
    EventLoop& loop_;
    ipc::Requests<std::string> questions_;
    std::unique_ptr<ipc::Channel<ipc::KeyholderToListener, ipc::ListenerToKeyholder>> channel_;
};

} // namespace postern::relay
