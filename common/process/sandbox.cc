#include "common/process/sandbox.h"

#include <grp.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "common/process/system_call_filter.h"

namespace postern {

namespace {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool built_with_sanitizer = true;
#else
constexpr bool built_with_sanitizer = false;
#endif

Result<void> become(const ipc::Identity& identity) {
    if (!identity.root_directory.empty()) {
        if (chroot(identity.root_directory.c_str()) < 0 || chdir("/") < 0)
            return system_error("chroot to " + identity.root_directory);
    }
    if (!identity.switch_user)
        return {};
    if (setgroups(0, nullptr) < 0)
        return system_error("setgroups");
    if (setresgid(identity.group_id, identity.group_id, identity.group_id) < 0)
        return system_error("setresgid");
    if (setresuid(identity.user_id, identity.user_id, identity.user_id) < 0)
        return system_error("setresuid");
    if (identity.user_id != 0 && (setuid(0) == 0 || seteuid(0) == 0))
        return Error{"root privileges came back"};
    return {};
}

} // namespace

Result<void> enter_sandbox(const ipc::Identity& identity, const Sandbox& sandbox) {
    if (Result<void> done = become(identity); !done)
        return done;
    // The change of user has set this anew.
    if (sandbox.has_secrets && prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
        return system_error("PR_SET_DUMPABLE");
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return system_error("PR_SET_NO_NEW_PRIVS");
    if (built_with_sanitizer)
        return {};
    return install_system_call_filter(sandbox);
}

} // namespace postern
