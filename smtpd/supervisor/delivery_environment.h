// The environment of a program that delivers for a user. Pure.
#pragma once

#include <string>
#include <vector>

#include "common/ipc/supervision.h"

namespace postern {

// A user as passwd(5) has him.
struct LocalUser {
    std::string name;
    std::string home;
    uint32_t user_id = 0;
    uint32_t group_id = 0;
};

// "NAME=value": PATH, HOME, SHELL (/bin/sh), USER and LOGNAME of the user, and of the envelope
// SENDER (empty: the null path), RECIPIENT, its parts LOCAL, DOMAIN and EXTENSION (behind the '+'
// of its local part), and ORIGINAL_RECIPIENT, which is what ORCPT (RFC 3461 4.2) said, or
// RECIPIENT. Control characters become '?'; a value has 1,024 octets at most.
std::vector<std::string> delivery_environment(const LocalUser& user, const ipc::Spawn& request);

} // namespace postern
