#include "smtpd/supervisor/warnings.h"

#include <algorithm>
#include <unistd.h>

#include "smtpd/supervisor/postmaster.h"
#include "smtpd/supervisor/slices.h"

namespace postern {

std::vector<std::string> warnings_of(const Configuration& configuration,
                                     const std::string& hostname,
                                     const std::vector<std::string>& pam_directories) {
    std::vector<std::string> warnings;
    if (std::string postmaster = postmaster_warning(configuration, hostname); !postmaster.empty())
        warnings.push_back(std::move(postmaster));
    for (const std::string& service : pam_services_of(configuration)) {
        const auto has_it = [&](const std::string& directory) {
            return access((directory + "/" + service).c_str(), F_OK) == 0;
        };
        if (std::none_of(pam_directories.begin(), pam_directories.end(), has_it))
            warnings.push_back("there is no " + pam_directories.front() + "/" + service +
                               ": PAM goes by its service \"other\"");
    }
    return warnings;
}

} // namespace postern
