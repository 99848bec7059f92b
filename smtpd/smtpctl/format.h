// What smtpctl prints. Pure; everything that came from a peer is escaped.
#pragma once

#include <cstdint>
#include <string>

#include "common/ipc/administration.h"

namespace postern {

// One line: "<id> <state> from=<…> to=<…> size=… age=… next=… expires=… attempts=… error=\"…\"".
std::string format_line(const ipc::EnvelopeEntry& entry, int64_t now);
// One fact a line, for `show envelope`.
std::string format_details(const ipc::EnvelopeEntry& entry, int64_t now);
std::string format_message(const ipc::MessagePart& message, uint64_t id, int64_t now);
// "<number> suspend|reroute from=<pattern> … host=… age=… until=… reason=\"…\"", what it has of
// these.
std::string format_order(const ipc::StandingOrder& order, int64_t now);
// "<destination> open|limited|held|probing waiting=… out=… at-most=… next=… error=\"…\"", the last
// two of one that is held.
std::string format_destination(const ipc::DestinationEntry& entry, int64_t now);
std::string format_counter(const ipc::Counter& counter);

// "ready", "in-flight", ...
const char* state_name(ipc::RecipientState state);

// "45s", "12m", "3h20m", "2d4h"; "0s" for what is past.
std::string format_duration(int64_t seconds);

} // namespace postern
