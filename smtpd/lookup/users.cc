#include "smtpd/lookup/users.h"

#include <pwd.h>
#include <vector>

namespace postern {

Result<bool> system_user_exists(const std::string& name) {
    static constexpr size_t entry_limit = 1024 * 1024;
    std::vector<char> buffer(4096);
    passwd entry{};
    passwd* found = nullptr;
    int code = 0;
    while ((code = getpwnam_r(name.c_str(), &entry, buffer.data(), buffer.size(), &found)) ==
               ERANGE &&
           buffer.size() < entry_limit)
        buffer.resize(buffer.size() * 4);
    if (found)
        return true;
    // getpwnam(3): "not found" comes as 0 or as one of several codes.
    if (code == 0 || code == ENOENT || code == ESRCH || code == EBADF || code == EPERM)
        return false;
    return system_error("look up user " + name, code);
}

} // namespace postern
