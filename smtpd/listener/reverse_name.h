// The name of a client's address: what its PTR records say, if an address record of that name
// confirms it (RFC 8601 3, "iprev"). Anybody can write any name into their reverse zone; only the
// owner of the name can confirm it.
#pragma once

#include <string>

#include "common/base/ip_address.h"
#include "common/loop/task.h"
#include "smtpd/listener/collaborators.h"

namespace postern::listener {

inline constexpr Duration resolve_limit = std::chrono::seconds(5); // of each question
inline constexpr size_t reverse_names_tried = 5;                   // of one address

// In lower case; empty when there is none or it is not confirmed. Takes at most
// resolve_limit * (1 + reverse_names_tried). Loopback addresses are "localhost" without asking.
Task<std::string> find_reverse_name(Resolver& resolver, IpAddress client);

} // namespace postern::listener
