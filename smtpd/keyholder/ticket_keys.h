// The keys of session tickets (RFC 5077 5.5, RFC 8446 4.6.1): all listeners use the same, so that a
// session can be resumed with whichever of them takes the next connection.
#pragma once

#include <chrono>

#include "common/base/result.h"
#include "common/ipc/signing.h"

namespace postern::keyholder {

// A key encrypts for so long, and decrypts for as long again. What listeners give as the lifetime
// of a ticket is not longer.
inline constexpr std::chrono::seconds ticket_key_life{3600};

class TicketKeyRing {
  public:
    // A new key in front; the one before the last is forgotten. An error where there is no
    // randomness: then everything stays as it was.
    Result<void> rotate();
    const ipc::TicketKeys& keys() const { return keys_; }

  private:
    ipc::TicketKeys keys_;
};

} // namespace postern::keyholder
