// What the queue writes into the spool's records: the spool keeps these bytes and does not look
// inside. Pure encoding; damaged or newer bytes are an error, never a guess.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "common/base/result.h"
#include "common/ipc/codec.h"
#include "common/ipc/delivery.h"
#include "common/ipc/envelope.h"

namespace postern {

// What the sender was told of a recipient that still waits: the number of warnings (`queue
// warn-delay`), and whether it was that the time of BY=…;N is over (RFC 2852).
using Told = uint8_t;
namespace told {
inline constexpr Told warnings = 7; // the bits of the number
inline constexpr Told late = 8;
inline constexpr Told all = warnings | late;
} // namespace told

struct RecipientTold {
    uint32_t index = 0; // among the message's recipients
    Told told = 0;
    static constexpr auto fields(auto& m) { return std::tie(m.index, m.told); }
};

// What a message of ours was written for: a bounce, or the last of those to whoever is in a
// recipient's place. After a crash between "it is on disk" and "its cause is marked", this is how
// the cause is known to be done with already.
struct BounceCause {
    uint64_t message = 0;
    std::vector<uint32_t> recipients; // indexes of those with whom nothing is left to be done
    std::vector<RecipientTold> delayed;
    static constexpr auto fields(auto& m) { return std::tie(m.message, m.recipients, m.delayed); }
};

// Of a message to those in a recipient's place: the message with that recipient, the first of that
// line, how many such steps there were, the users whose .forward was followed, and how many others
// each of its recipients may come to stand for yet.
struct Descent {
    uint64_t parent = 0;
    uint64_t root = 0;
    uint32_t generation = 0;
    uint32_t budget = 0;
    std::vector<std::string> ancestors;
    static constexpr auto fields(auto& m) {
        return std::tie(m.parent, m.root, m.generation, m.budget, m.ancestors);
    }
};

// A Message record, besides the content.
struct StoredMessage {
    uint8_t format = 4;
    ipc::Envelope envelope;
    ipc::ContentTraits traits;
    std::optional<BounceCause> cause; // of what we wrote ourselves
    std::optional<Descent> descent;
    static constexpr auto fields(auto& m) {
        return std::tie(m.format, m.envelope, m.traits, m.cause, m.descent);
    }
};

// Why an attempt failed; or what was said when it did not, for the sender to be told.
struct AttemptError {
    std::string enhanced;   // "4.4.1"
    std::string diagnostic; // one line of printable ASCII, at most 1 KiB
    bool from_remote = false;
    std::string remote;       // "mx1.example[192.0.2.1]:25"; empty: nobody was reached
    std::string tls = "none"; // of the connection (common/ipc/delivery.h); for the log, not kept
    static constexpr auto fields(auto& m) {
        return std::tie(m.enhanced, m.diagnostic, m.from_remote, m.remote);
    }
};

// An operator's words behind what was done, in one line of printable ASCII.
AttemptError own_words(const char* enhanced, const std::string& what, const std::string& reason);
// What is done to a recipient by the standing order of this number.
std::string suspended_by(uint32_t order);

struct RecipientProgress {
    uint32_t index = 0; // among the message's recipients
    uint32_t attempts = 0;
    int64_t next_attempt = 0; // seconds since the epoch
    uint32_t error = 0;       // 1 + index in `errors`; 0: none
    Told told = 0;
    // It is delivered, and a report of that is still to be written.
    std::optional<ipc::Handover> handover;
    bool expanded = false; // the same: others are in its place
    bool held = false;     // by an operator, until next_attempt
    static constexpr auto fields(auto& m) {
        return std::tie(m.index, m.attempts, m.next_attempt, m.error, m.told, m.handover,
                        m.expanded, m.held);
    }
};

// A Progress record: the state of all recipients of a message.
struct StoredProgress {
    uint8_t format = 4;
    ipc::Blob finished;                        // bit i: recipient i is finished
    std::vector<AttemptError> errors;          // each once, whoever shares it
    std::vector<RecipientProgress> recipients; // unfinished, of which there is something to say
    static constexpr auto fields(auto& m) {
        return std::tie(m.format, m.finished, m.errors, m.recipients);
    }

    void set_finished(uint32_t index);
    bool is_finished(uint32_t index) const;
};

std::string encode(const StoredMessage& message);
std::string encode(const StoredProgress& progress);

// An error for bytes that are no such record, or one of a format that this version does not know.
Result<StoredMessage> decode_message(std::string_view bytes);
// `recipients`: how many the message has; indexes beyond are an error.
Result<StoredProgress> decode_progress(std::string_view bytes, size_t recipients);

} // namespace postern
