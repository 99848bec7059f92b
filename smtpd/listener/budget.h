// What one session may cost: bad commands, commands that lead to nothing, refused recipients,
// transactions. Pure: it counts, the session acts.
#pragma once

#include <cstdint>

#include "common/ipc/listener_settings.h"

namespace postern::listener {

class Budget {
  public:
    explicit Budget(const ipc::ListenerSettings& settings);

    // Commands such as NOOP and RSET between two messages that are free; each further one counts
    // as a bad command.
    static constexpr uint32_t free_commands = 100;

    // Recipients between two messages that may come to nothing without being refused for good: no
    // room for them (RFC 5321 4.5.3.1.10 has clients find out this way), no answer now, there
    // already. Each further one counts as a bad command.
    static constexpr uint32_t free_recipients = 1000;

    // A chunk of fewer octets, if it is not the last one, is worth no more than a NOOP.
    static constexpr uint64_t small_chunk = 256;
    // Chunks between two messages that come to nothing: a client sends them ahead of our reply to
    // the first (RFC 3030 2). Each further one counts as a bad command.
    static constexpr uint32_t free_chunks = 1000;

    void bad_command() { ++errors_; }
    void idle_command();
    void refused_recipient() { ++refused_recipients_; }
    void surplus_recipient();
    void surplus_chunk();
    // A message was accepted: the client is of some use, and starts afresh.
    void message_accepted();

    // More bad commands than max_errors, or more refused recipients than a transaction may have:
    // somebody tries out addresses.
    bool exhausted() const;
    // Takes one transaction; false: there were max_mails of them.
    bool take_transaction();
    // Takes one command; false: there were max_commands of them.
    bool take_command();

  private:
    uint32_t max_errors_; // 0: no limit, here and below
    uint32_t max_refused_recipients_;
    uint32_t max_transactions_;
    uint32_t max_commands_;
    uint32_t errors_ = 0;
    uint32_t idle_commands_ = 0;
    uint32_t refused_recipients_ = 0;
    uint32_t surplus_recipients_ = 0;
    uint32_t surplus_chunks_ = 0;
    uint32_t transactions_ = 0;
    uint32_t commands_ = 0;
};

} // namespace postern::listener
