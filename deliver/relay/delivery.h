// One Deliver of the queue from beginning to end: finds a connection, or walks the list of the
// destination's addresses until one has dealt with the mail (RFC 5321 5.1), and says what became of
// each recipient.
#pragma once

#include "common/ipc/delivery.h"
#include "common/loop/task.h"
#include "deliver/relay/destination.h"
#include "deliver/relay/exchangers.h"
#include "deliver/relay/network.h"
#include "deliver/relay/slow_addresses.h"
#include "deliver/relay/tls_record.h"

namespace postern::relay {

// No further address is tried, and no further transaction begun, when so much time has passed: a
// next hop that takes one recipient at a time, and its time for each, keeps nobody for ever.
inline constexpr std::chrono::minutes walk_limit{30};

// Connecting to an address takes no longer at first, where there is another one to try.
inline constexpr std::chrono::seconds first_connect_limit{10};

struct Identity {
    std::string hostname; // in EHLO, unless the route says otherwise
    Ourselves ourselves;
};

// What all deliveries share. Must outlive them.
struct Surroundings {
    Network& network;
    Destinations& destinations;
    SlowAddresses& slow;
    TlsRecord& tls;
    const Random& random;
};

// The outcome holds the recipients of `order`, in order.
Task<ipc::Outcome> deliver(Surroundings surroundings, std::shared_ptr<const Identity> identity,
                           ipc::Deliver order);

} // namespace postern::relay
