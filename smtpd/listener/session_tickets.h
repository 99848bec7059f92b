// Session tickets (RFC 5077, RFC 8446 4.6.1) under keys that all listeners share, so that a client
// resumes its session with whichever takes its next connection.
#pragma once

#include "common/ipc/signing.h"
#include "common/tls/openssl.h"

namespace postern::listener {

// Not longer than the keyholder keeps a key (smtpd/keyholder/ticket_keys.h).
inline constexpr std::chrono::seconds ticket_life{3600};

class SessionTickets {
  public:
    // Keys of another shape than TicketKey says are left out.
    void set(ipc::TicketKeys keys);
    bool usable() const { return !keys_.keys.empty(); }

    // Sessions of `context` are resumed by these tickets, and by nothing else, if they began under
    // the same `terms`. This object outlives the context.
    void attach(SSL_CTX* context, std::string_view terms) const;

    // The key that encrypts; null where there is none.
    const ipc::TicketKey* current() const { return usable() ? &keys_.keys.front() : nullptr; }
    const ipc::TicketKey* find(std::string_view name) const;

  private:
    ipc::TicketKeys keys_;
};

} // namespace postern::listener
