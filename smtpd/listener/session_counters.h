// What the sessions of a listener count, since it started.
#pragma once

#include <cstdint>

#include "common/ipc/routing.h"
#include "common/process/operator_port.h"
#include "smtpd/listener/client_limits.h"

namespace postern::listener {

struct SessionCounters {
    uint64_t sessions = 0; // at present
    uint64_t sessions_total = 0;
    uint64_t messages = 0;   // answered with 250
    uint64_t recipients = 0; // of these messages
    uint64_t bytes = 0;      // of content of these messages
    uint64_t errors = 0;     // bad commands
    uint64_t timeouts = 0;   // sessions ended because the client kept us waiting
    uint64_t early_talkers = 0;
    uint64_t tls_sessions = 0; // encrypted, in all
    uint64_t tls_resumed = 0;  // of these: without a full handshake
    uint64_t tls_failures = 0; // handshakes
    uint64_t auth_successes = 0;
    uint64_t auth_failures = 0;
    uint64_t auth_temporary = 0;       // lookup had no answer
    uint64_t auth_senders_refused = 0; // reverse-paths that are not the user's
    uint64_t refused_sessions = 0;     // over max_sessions
    uint64_t refused_relaying = 0;     // recipients, as the next three
    uint64_t refused_policy = 0;
    uint64_t refused_mailbox = 0;
    uint64_t refused_temporary = 0;
    uint64_t refused_size = 0; // messages, as the next three
    uint64_t refused_content = 0;
    uint64_t refused_loop = 0;
    uint64_t refused_queue = 0; // the queue refused, was away, or did not answer

    // Sessions, commands, transactions and recipients that a limit of clients kept out: sessions at
    // once, and what is more than a rate.
    uint64_t limited_sessions = 0;
    std::array<uint64_t, measures> limited_rates{};
    uint64_t limited_commands = 0; // sessions over max_commands, and the next two likewise
    uint64_t limited_mails = 0;
    uint64_t limited_bytes = 0;

    uint64_t memory = 0;         // bytes that the sessions hold at present
    uint64_t shed = 0;           // sessions ended to make room
    uint64_t refused_memory = 0; // transactions, recipients, contents: no memory for them
    uint64_t refused_proxy = 0;  // connections without a good PROXY header, or from no proxy

    void count_refusal(ipc::RouteVerdict verdict);
    void count_excess(const Excess& excess);
    // As "smtp.sessions" and so on.
    void publish(Counters& counters) const;
};

} // namespace postern::listener
