// The system's users, by name.
#pragma once

#include <string>

#include "common/base/result.h"

namespace postern {

// Whether passwd(5), or whatever nsswitch.conf(5) names, has this user. Blocks while it is asked.
// An error means that it cannot be told now.
Result<bool> system_user_exists(const std::string& name);

} // namespace postern
