// What an operator should know of a configuration that is taken all the same.
#pragma once

#include <string>
#include <vector>

#include "common/config/configuration.h"

namespace postern {

// `hostname`: the server's. `pam_directories`: where PAM looks for its services.
std::vector<std::string>
warnings_of(const Configuration& configuration, const std::string& hostname,
            const std::vector<std::string>& pam_directories = {"/etc/pam.d", "/usr/lib/pam.d"});

} // namespace postern
