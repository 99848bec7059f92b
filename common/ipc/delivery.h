// Between the queue and those who deliver: relays (SMTP, LMTP) and local (Maildir).
//
// A deliverer grants credit with Capacity; the queue never has more deliveries open than that.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <tuple>
#include <variant>
#include <vector>

#include "common/base/file_descriptor.h"
#include "common/ipc/codec.h"
#include "common/ipc/envelope.h"
#include "common/ipc/routing.h"

namespace postern::ipc {

struct DeliveryRecipient {
    uint32_t index = 0;  // among the message's recipients
    std::string address; // forward-path in wire form
    RecipientParameters parameters;
    // What is delivered to in its place: a mailbox, without looking at a .forward again, a command
    // or a file. None: the address.
    std::optional<Target> target;
    static constexpr auto fields(auto& m) {
        return std::tie(m.index, m.address, m.parameters, m.target);
    }
};

// One transaction's worth of one message, for one destination. Answered by one Outcome.
struct Deliver {
    uint64_t delivery = 0;
    uint64_t message = 0;
    Route route; // equal for all recipients
    std::string reverse_path;
    MailParameters parameters; // BY: what is left of it now
    ContentTraits traits;
    std::vector<DeliveryRecipient> recipients;
    Blob content;                     // all of it, or empty when in `file`
    std::vector<FileDescriptor> file; // none or one, read-only
    uint64_t file_offset = 0;
    uint64_t file_length = 0;
    static constexpr auto fields(auto& m) {
        return std::tie(m.delivery, m.message, m.route, m.reverse_path, m.parameters, m.traits,
                        m.recipients, m.content, m.file, m.file_offset, m.file_length);
    }
};

enum class RecipientStatus : uint8_t {
    delivered,
    temporary,
    permanent,
    forwarded, // nothing was delivered: it goes to `targets` instead
};
constexpr RecipientStatus last_enumerator(RecipientStatus) { return RecipientStatus::forwarded; }

inline constexpr size_t forward_limit = 100; // targets of one recipient

// Who has a delivered message now (RFC 3461 5.2): is there a report of success to be written?
enum class Handover : uint8_t {
    relayed,       // a next hop that knows nothing of such reports
    relayed_aware, // one that was told what to report, and will do so
    delivered,     // it lies in the mailbox, or with an LMTP server
};
constexpr Handover last_enumerator(Handover) { return Handover::delivered; }

struct RecipientOutcome {
    uint32_t index = 0;
    RecipientStatus status = RecipientStatus::temporary;
    Handover handover = Handover::relayed; // if delivered
    bool deliver_by = false;               // the same: to one that keeps to BY (RFC 2852)
    std::string enhanced;                  // "5.1.1"; never empty
    std::string diagnostic;   // the next hop's reply or what happened, sanitised, at most 1 KiB
    bool from_remote = false; // `diagnostic` is an SMTP reply of `remote`
    std::string remote; // "mx1.example[192.0.2.1]:25", or the mailbox; empty: nobody was reached
    // How the connection was encrypted: "TLSv1.3,TLS_AES_256_GCM_SHA384,verified", or "none".
    std::string tls = "none";
    std::vector<Target> targets; // forwarded: one at least, forward_limit at most
    static constexpr auto fields(auto& m) {
        return std::tie(m.index, m.status, m.handover, m.deliver_by, m.enhanced, m.diagnostic,
                        m.from_remote, m.remote, m.tls, m.targets);
    }
};

struct Outcome {
    uint64_t delivery = 0;
    // Nobody at the destination could be talked to at all: other mail for it need not be tried now.
    bool destination_down = false;
    std::vector<RecipientOutcome>
        recipients; // exactly those of Deliver; a missing one is temporary
    static constexpr auto fields(auto& m) {
        return std::tie(m.delivery, m.destination_down, m.recipients);
    }
};

// The deliverer can have `deliveries` open at once, from now on.
struct Capacity {
    uint32_t deliveries = 0;
    static constexpr auto fields(auto& m) { return std::tie(m.deliveries); }
};

using QueueToDeliverer = std::variant<Deliver>;
using DelivererToQueue = std::variant<Outcome, Capacity>;

} // namespace postern::ipc
