// What an operator can ask: between smtpctl and control, and between control and the other
// processes.
//
// A question carries a request number and gets one answer of the same number; lists come in pages.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <tuple>
#include <variant>
#include <vector>

#include "common/ipc/codec.h"
#include "common/ipc/envelope.h"

namespace postern::ipc {

// Everybody: counters and gauges by name, such as "smtp.sessions" or "queue.messages".
struct StatsQuery {
    uint32_t request = 0;
    static constexpr auto fields(auto& m) { return std::tie(m.request); }
};
struct Counter {
    std::string name;
    uint64_t value = 0;
    static constexpr auto fields(auto& m) { return std::tie(m.name, m.value); }
};
struct Stats {
    uint32_t request = 0;
    std::vector<Counter> counters; // of equal names in several processes, the sum is shown
    static constexpr auto fields(auto& m) { return std::tie(m.request, m.counters); }
};

// What the queue says of one recipient: an envelope in the words of smtpctl.
enum class RecipientState : uint8_t {
    ready,
    in_flight,
    deferred,
    paused,
    // A whole message, whose envelope cannot be read. Known are message, accepted_at, last_error,
    // and next_attempt, which is 0 if it is not tried again.
    unreadable
};
constexpr RecipientState last_enumerator(RecipientState) { return RecipientState::unreadable; }

struct EnvelopeEntry {
    uint64_t message = 0;
    uint32_t index = 0;
    std::string reverse_path;
    std::string recipient;
    RecipientState state = RecipientState::ready;
    int64_t accepted_at = 0;  // seconds since the epoch
    int64_t next_attempt = 0; // the same; 0: now
    int64_t expires_at = 0;
    uint32_t attempts = 0;
    uint64_t size = 0;      // of the content, bytes
    std::string last_error; // of the last attempt; empty: none yet
    static constexpr auto fields(auto& m) {
        return std::tie(m.message, m.index, m.reverse_path, m.recipient, m.state, m.accepted_at,
                        m.next_attempt, m.expires_at, m.attempts, m.size, m.last_error);
    }
};

// The queue, in order of acceptance, after (message, index), at most `limit` entries.
struct QueueQuery {
    uint32_t request = 0;
    uint64_t after_message = 0;
    uint32_t after_index = 0;
    uint32_t limit = 100;
    static constexpr auto fields(auto& m) {
        return std::tie(m.request, m.after_message, m.after_index, m.limit);
    }
};
struct QueuePage {
    uint32_t request = 0;
    bool last = true; // nothing comes after these
    std::vector<EnvelopeEntry> entries;
    static constexpr auto fields(auto& m) { return std::tie(m.request, m.last, m.entries); }
};

// One message: its envelope and a piece of its content.
struct MessageQuery {
    uint32_t request = 0;
    uint64_t message = 0;
    uint64_t offset = 0; // in the content
    uint32_t limit = 0;  // bytes of content wanted, at most 64 KiB
    static constexpr auto fields(auto& m) {
        return std::tie(m.request, m.message, m.offset, m.limit);
    }
};
struct MessagePart {
    uint32_t request = 0;
    bool found = false;
    Envelope envelope;
    std::vector<EnvelopeEntry> entries; // the recipients not finished
    uint64_t size = 0;
    Blob content;
    static constexpr auto fields(auto& m) {
        return std::tie(m.request, m.found, m.envelope, m.entries, m.size, m.content);
    }
};

enum class Subsystem : uint8_t { mta, mda, smtp }; // relays, local, listeners
constexpr Subsystem last_enumerator(Subsystem) { return Subsystem::smtp; }

// Try at once: one envelope, one message, or all.
struct Schedule {
    uint32_t request = 0;
    std::optional<uint64_t> message;
    std::optional<uint32_t> index;
    static constexpr auto fields(auto& m) { return std::tie(m.request, m.message, m.index); }
};
// Forget an envelope or a message, without a bounce.
struct Remove {
    uint32_t request = 0;
    uint64_t message = 0;
    std::optional<uint32_t> index;
    static constexpr auto fields(auto& m) { return std::tie(m.request, m.message, m.index); }
};
struct Pause {
    uint32_t request = 0;
    Subsystem subsystem = Subsystem::mta;
    bool paused = true; // false: resume
    static constexpr auto fields(auto& m) { return std::tie(m.request, m.subsystem, m.paused); }
};
struct LogLevel {
    uint32_t request = 0;
    bool verbose = false;
    static constexpr auto fields(auto& m) { return std::tie(m.request, m.verbose); }
};
// How a command went. `affected` envelopes; 0 with `ok` is no error, but smtpctl says so.
struct Done {
    uint32_t request = 0;
    bool ok = true;
    uint32_t affected = 0;
    std::string error;
    static constexpr auto fields(auto& m) { return std::tie(m.request, m.ok, m.affected, m.error); }
};

using Question =
    std::variant<StatsQuery, QueueQuery, MessageQuery, Schedule, Remove, Pause, LogLevel>;
using Answer = std::variant<Stats, QueuePage, MessagePart, Done>;

} // namespace postern::ipc
