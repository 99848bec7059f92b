// Content over a session whose envelope was accepted: by DATA, or by BDAT (RFC 3030).
//
// Whether it goes one way or the other, at least `least_content_rate` has to be kept up, and the
// server may say that it has heard enough before the end. The final reply, or with LMTP replies,
// is for the caller to read.
#pragma once

#include <optional>

#include "common/loop/task.h"
#include "deliver/relay/client_session.h"
#include "deliver/relay/content.h"

namespace postern::relay {

// A next hop that takes content more slowly than this is given up: octets a second.
inline constexpr uint64_t least_content_rate = 1024;
// Octets of a chunk at most: the next hop can refuse content only behind one, and each costs a
// round trip.
inline constexpr uint64_t chunk_size = 1024 * 1024;

// How far it came. With neither of these the session has failed, and nobody has the message.
struct ContentTransfer {
    bool complete = false;            // all of it has left, its end included
    std::optional<Reply> refusal;     // the server's, 4yz or 5yz; the rest was not sent
    std::optional<Diagnosis> trouble; // ours, temporary; the session has failed
};

// Behind a 354: with dots doubled, and the final one.
Task<ContentTransfer> send_data(ClientSession& session, ContentSource& content);
// In the place of DATA, octet for octet. The replies to all chunks but the last are read here.
Task<ContentTransfer> send_chunks(ClientSession& session, ContentSource& content);

} // namespace postern::relay
