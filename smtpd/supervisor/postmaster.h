// RFC 5321 4.5.1: a server that relays or delivers takes mail for its postmaster.
#pragma once

#include <string>
#include <vector>

#include "common/config/configuration.h"

namespace postern {

// The names by which SMTP clients know this server (`hostname` where a listener has none of its
// own), and for whose postmaster there is certainly no rule. Rules that may take it, for some
// clients at least, are as good as ones that do. Pure.
std::vector<std::string> names_without_postmaster(const Configuration& configuration,
                                                  const std::string& hostname);

// What to tell the operator; empty: nothing.
std::string postmaster_warning(const Configuration& configuration, const std::string& hostname);

} // namespace postern
