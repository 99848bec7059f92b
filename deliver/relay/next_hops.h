// Finds out whom to connect to for a route: asks the DNS, and lets exchangers.h put the answers in
// order.
#pragma once

#include "common/ipc/routing.h"
#include "common/loop/task.h"
#include "deliver/relay/exchangers.h"
#include "deliver/relay/network.h"

namespace postern::relay {

// All answers must be in after this; those that are not count as temporary failures.
inline constexpr std::chrono::seconds lookups_limit{45};
// As soon as one address is known the others have this long: a name server that drops questions
// for one family does not hold up mail that can go by the other.
inline constexpr std::chrono::seconds stragglers_limit{5};

// For a route over the network, that is without a Unix path. A configured host that cannot be
// found, or is ourselves, is our operator's mistake, not the recipient's: its failure is temporary. The
// references
// must outlive the task.
Task<ExchangerList> find_exchangers(Network& network, const ipc::Route& route,
                                    const Ourselves& ourselves, const Random& random);

} // namespace postern::relay
