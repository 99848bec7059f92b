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

#include "common/config/configuration.h"
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
    held, // by an operator, until next_attempt, or for good if that is 0
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

// Which recipients of the queue are meant: those of which all of this is true.
struct QueueFilter {
    // Patterns: `*` stands for any characters, case does not count. Empty: any; "<>" as the sender:
    // the null reverse-path.
    std::string sender;
    std::string recipient;
    std::string error;          // occurs in the last error, case does not count
    int64_t accepted_after = 0; // seconds since the epoch
    int64_t accepted_before = INT64_MAX;
    std::optional<RecipientState> state;
    uint32_t order = 0; // a StandingOrder holds them; 0: or not
    static constexpr auto fields(auto& m) {
        return std::tie(m.sender, m.recipient, m.error, m.accepted_after, m.accepted_before,
                        m.state, m.order);
    }
};

// The queue, in order of acceptance, after (message, index), at most `limit` entries.
struct QueueQuery {
    uint32_t request = 0;
    uint64_t after_message = 0;
    uint32_t after_index = 0;
    uint32_t limit = 100;
    QueueFilter filter;
    static constexpr auto fields(auto& m) {
        return std::tie(m.request, m.after_message, m.after_index, m.limit, m.filter);
    }
};
// A page may have few entries, or none, before the last one: the work for it is bounded too.
struct QueuePage {
    uint32_t request = 0;
    bool last = true;           // nothing comes after these
    uint64_t after_message = 0; // where the next page goes on
    uint32_t after_index = 0;
    bool loading = false; // the queue still reads its spool: there may be more than it knows of
    std::vector<EnvelopeEntry> entries;
    static constexpr auto fields(auto& m) {
        return std::tie(m.request, m.last, m.after_message, m.after_index, m.loading, m.entries);
    }
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

enum class ChangeKind : uint8_t {
    schedule, // try at once
    remove,   // forget, without a bounce
    bounce,   // give up now; the sender is told
    hold,     // do not try until it is released, or until a time
    release,  // what is held goes on
};
constexpr ChangeKind last_enumerator(ChangeKind) { return ChangeKind::release; }

// Something is done to one envelope, to one message, or to all that the filter means. The latter in
// pieces: each answer says where the next question goes on.
struct Change {
    uint32_t request = 0;
    ChangeKind kind = ChangeKind::schedule;
    std::optional<uint64_t> message;
    std::optional<uint32_t> index; // of `message`
    QueueFilter filter;            // without `message`
    uint64_t after_message = 0;    // without `message`
    std::string reason;            // bounce, hold: an operator's words, one line
    int64_t until = 0;             // hold: seconds since the epoch; 0: for good
    static constexpr auto fields(auto& m) {
        return std::tie(m.request, m.kind, m.message, m.index, m.filter, m.after_message, m.reason,
                        m.until);
    }
};
struct Changed {
    uint32_t request = 0;
    uint32_t affected = 0; // envelopes
    bool last = true;
    uint64_t after_message = 0; // where the next question goes on
    static constexpr auto fields(auto& m) {
        return std::tie(m.request, m.affected, m.last, m.after_message);
    }
};

// Where mail goes to, by the queue's numbers for it, which are given again when nothing is left of
// one: those after `after`.
struct DestinationQuery {
    uint32_t request = 0;
    uint32_t after = 0;
    static constexpr auto fields(auto& m) { return std::tie(m.request, m.after); }
};
enum class DestinationState : uint8_t {
    open,
    limited, // by its rate, or by the limits of the address that its mail leaves from
    held,    // it could not be reached, and nothing goes out until a time
    probing, // that is over, and one goes out to see
};
constexpr DestinationState last_enumerator(DestinationState) { return DestinationState::probing; }
struct DestinationEntry {
    std::string destination;
    DestinationState state = DestinationState::open;
    uint64_t waiting = 0; // deliveries
    uint32_t out = 0;     // the same, with a deliverer
    uint32_t most = 0;    // so many at once, as things are
    int64_t until = 0;    // held: seconds since the epoch
    std::string reason;   // held
    static constexpr auto fields(auto& m) {
        return std::tie(m.destination, m.state, m.waiting, m.out, m.most, m.until, m.reason);
    }
};
struct DestinationPage {
    uint32_t request = 0;
    bool last = true;
    uint32_t after = 0; // where the next page goes on
    std::vector<DestinationEntry> entries;
    static constexpr auto fields(auto& m) {
        return std::tie(m.request, m.last, m.after, m.entries);
    }
};

enum class OrderKind : uint8_t {
    suspend, // it is held
    reroute, // it goes to another host than the rules say
};
constexpr OrderKind last_enumerator(OrderKind) { return OrderKind::reroute; }

// What an operator wants of mail that waits and of mail to come: that of which all of this is true.
struct StandingOrder {
    uint32_t number = 0; // the queue gives it
    OrderKind kind = OrderKind::suspend;
    // Patterns, as in QueueFilter; `next_hop` is the domain whose mail exchangers are looked up, or
    // the host that is relayed to. Empty: any.
    std::string sender;
    std::string recipient;
    std::string next_hop;
    std::optional<uint64_t> message;
    std::optional<RelayHost> host; // reroute
    int64_t given_at = 0;          // seconds since the epoch; the queue says so
    int64_t until = 0;             // the same; 0: for good
    std::string reason;            // one line
    static constexpr auto fields(auto& m) {
        return std::tie(m.number, m.kind, m.sender, m.recipient, m.next_hop, m.message, m.host,
                        m.given_at, m.until, m.reason);
    }
};
// Answered by the order as it stands, on disk.
struct GiveOrder {
    uint32_t request = 0;
    StandingOrder order;
    static constexpr auto fields(auto& m) { return std::tie(m.request, m.order); }
};
// Answered by Done. What was suspended stays held: it is released by a Change.
struct EndOrder {
    uint32_t request = 0;
    uint32_t number = 0;
    static constexpr auto fields(auto& m) { return std::tie(m.request, m.number); }
};
struct OrderQuery {
    uint32_t request = 0;
    static constexpr auto fields(auto& m) { return std::tie(m.request); }
};
struct OrderList {
    uint32_t request = 0;
    std::vector<StandingOrder> orders;
    static constexpr auto fields(auto& m) { return std::tie(m.request, m.orders); }
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

// The queue's spool is verified as it is on the disk, a piece at a time: each answer is the next
// piece of the check that it names. One check at a time; a new one ends what is left of another.
struct SpoolCheck {
    uint32_t request = 0;
    uint64_t check = 0; // 0: a new one
    static constexpr auto fields(auto& m) { return std::tie(m.request, m.check); }
};
struct SpoolChecked {
    uint32_t request = 0;
    uint64_t check = 0;
    bool last = true;
    uint64_t damaged = 0;           // so far
    std::vector<std::string> lines; // for the operator; the last one of the last piece sums up
    static constexpr auto fields(auto& m) {
        return std::tie(m.request, m.check, m.last, m.damaged, m.lines);
    }
};

// Policy: what it has to tell domains of how TLS with them went (RFC 8460) goes out now, of the day
// so far too. Answered by Done, in which `affected` are the reports that begin to go out.
struct SendTlsReports {
    uint32_t request = 0;
    std::string domain; // that is told; empty: all
    static constexpr auto fields(auto& m) { return std::tie(m.request, m.domain); }
};

using Question = std::variant<StatsQuery, QueueQuery, MessageQuery, Change, Pause, LogLevel,
                              GiveOrder, EndOrder, OrderQuery, DestinationQuery, SpoolCheck,
                              SendTlsReports>;
using Answer = std::variant<Stats, QueuePage, MessagePart, Changed, Done, OrderList,
                            DestinationPage, SpoolChecked>;

} // namespace postern::ipc
