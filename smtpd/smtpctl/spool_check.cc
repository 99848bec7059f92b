#include "smtpd/smtpctl/spool_check.h"

#include <cerrno>
#include <climits>
#include <cstdio>
#include <cstring>
#include <sysexits.h>
#include <unistd.h>

namespace postern {

// It is where this program is, or in ../libexec/postern from there.
int run_spool_check(const std::string& directory) {
    char path[PATH_MAX];
    const ssize_t length = readlink("/proc/self/exe", path, sizeof path);
    const std::string self(path, static_cast<size_t>(length > 0 ? length : 0));
    const std::string here = self.substr(0, self.rfind('/'));
    for (const char* folder : {"/", "/../libexec/postern/"}) {
        const std::string program = here + folder + "postern-spool-check";
        execl(program.c_str(), "postern-spool-check", directory.c_str(), nullptr);
        if (errno != ENOENT)
            break;
    }
    std::fprintf(stderr, "smtpctl: postern-spool-check: %s\n", std::strerror(errno));
    return EX_UNAVAILABLE;
}

} // namespace postern
