// Who sent a message, as far as it matters for taking turns (job_lists.h). Pure.
#pragma once

#include <cstdint>
#include <string>

#include "common/ipc/envelope.h"

namespace postern {

// The user who was authenticated; else the client, an IPv6 one by its /64, with the reverse-path,
// in which what varies with the message or the recipient (VERP, SRS, tags) is left out: all from
// the first '+', '-', '=' or digit of the local part on.
std::string sender_name(const ipc::Envelope& envelope);

// Equal for equal senders, seldom equal for others. The seed is for that nobody can choose to share
// the turns of somebody else.
uint16_t sender_key(const ipc::Envelope& envelope, uint64_t seed);

} // namespace postern
