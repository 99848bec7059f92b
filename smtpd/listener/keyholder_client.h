// The listener's end of the channel to the keyholder, which signs TLS handshakes. While there is no
// keyholder, STARTTLS is answered with 454.
#pragma once

#include <memory>

#include "common/ipc/channel.h"
#include "common/ipc/requests.h"
#include "common/ipc/signing.h"
#include "common/loop/event_loop.h"
#include "common/tls/accept.h"
#include "smtpd/listener/session_tickets.h"

namespace postern::listener {

class KeyholderClient final : public Signer {
  public:
    explicit KeyholderClient(EventLoop& loop)
        : loop_(loop), questions_(loop, ipc::signing_credit) {}

    // Takes a channel in place of the former; what was asked there gets no answer.
    void connect(FileDescriptor channel);
    // It is there, and has said what tickets are encrypted with.
    bool available() const { return channel_ != nullptr && tickets_.usable(); }

    Task<std::string> sign(ipc::SignQuery query, Duration limit) override;
    // Outlives all contexts that use it.
    const SessionTickets& tickets() const { return tickets_; }

  private:
    EventLoop& loop_;
    SessionTickets tickets_;
    ipc::Requests<std::string> questions_;
    std::unique_ptr<ipc::Channel<ipc::KeyholderToListener, ipc::ListenerToKeyholder>> channel_;
};

} // namespace postern::listener
