// How long a message has, by what was asked for with it: from when it is tried, until when it has
// to be delivered, and after which delays its sender is told. Pure.
#pragma once

#include <algorithm>
#include <chrono>
#include <optional>
#include <vector>

#include "queue/mail_table.h"

namespace postern {

// From when its time counts: it is not tried before (RFC 4865).
inline WallTime starts_at(const ipc::Envelope& envelope) {
    return std::max(envelope.accepted_at, envelope.release_at);
}

// When it should have been delivered (RFC 2852): the time of BY counts from its acceptance.
inline std::optional<WallTime> wanted_by(const ipc::Envelope& envelope) {
    const std::optional<DeliverBy>& by = envelope.parameters.deliver_by;
    return by ? std::optional(envelope.accepted_at + by->seconds) : std::nullopt;
}

// Mode R: after that it is not to be delivered any more.
inline bool gives_up(const ipc::Envelope& envelope) {
    return envelope.parameters.deliver_by && envelope.parameters.deliver_by->give_up;
}

inline WallTime expires_at(const ipc::Envelope& envelope, std::chrono::seconds ttl) {
    const WallTime end = starts_at(envelope) + ttl.count();
    return gives_up(envelope) ? std::min(end, *wanted_by(envelope)) : end;
}

using WarnDelays = std::vector<std::chrono::seconds>; // in order; no more than told::warnings

// What the sender of a message should have been told of a recipient by `now`, in addition to
// `told`.
Told told_by(const ipc::Envelope& envelope, const WarnDelays& delays, Told told, WallTime now);
// When there is more to tell, after `told`. Nothing: never.
std::optional<WallTime> next_told(const ipc::Envelope& envelope, const WarnDelays& delays,
                                  Told told);

// Which of the scheduler's lists a job belongs to (RFC 6710): 0 for a raised priority, 1, or 2 for
// a lowered one.
inline uint8_t rank_of(const ipc::Envelope& envelope) {
    const int priority = envelope.parameters.priority;
    return priority > 0 ? 0 : priority == 0 ? 1 : 2;
}

} // namespace postern
