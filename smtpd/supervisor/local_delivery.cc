#include "smtpd/supervisor/local_delivery.h"

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <string>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/config/maildir_path.h"
#include "smtpd/supervisor/quiet_fork.h"

namespace postern {

namespace {

struct User {
    std::string name;
    std::string home;
    uid_t user_id;
    gid_t group_id;
};

Result<User> find_user(const std::string& name, bool root) {
    errno = 0;
    // An ordinary user can deliver as himself only, whoever it is for.
    const passwd* entry = root ? getpwnam(name.c_str()) : getpwuid(geteuid());
    if (!entry)
        return Error{"there is no user " + name};
    return User{entry->pw_name, entry->pw_dir, entry->pw_uid, entry->pw_gid};
}

// In the child: says why on its standard error, which `local` reads.
[[noreturn]] void give_up(const std::string& what) {
    dprintf(STDERR_FILENO, "%s: %s\n", what.c_str(), std::strerror(errno));
    _exit(EX_TEMPFAIL);
}

// In the child: from here on nothing is done as root.
[[noreturn]] void become_helper(const std::string& program, const User& user, bool root,
                                const std::string& path, const ipc::Spawn& request) {
    if (dup2(request.content.get(), 0) < 0 || dup2(request.output.get(), 1) < 0 ||
        dup2(request.output.get(), 2) < 0)
        _exit(EX_TEMPFAIL);
    close_range(3, ~0u, 0);
    // Found while we may: the user need not be able to reach the folder that it lies in.
    const int file = open(program.c_str(), O_PATH | O_CLOEXEC);
    if (file < 0)
        give_up(program);
    if (root && (initgroups(user.name.c_str(), user.group_id) < 0 ||
                 setresgid(user.group_id, user.group_id, user.group_id) < 0 ||
                 setresuid(user.user_id, user.user_id, user.user_id) < 0))
        _exit(EX_TEMPFAIL);
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        _exit(EX_TEMPFAIL);
    if (chdir(user.home.c_str()) < 0 && chdir("/") < 0)
        _exit(EX_TEMPFAIL);
    umask(077);
    be_like_new();
    std::string home = "HOME=" + user.home, name = "USER=" + user.name;
    char* environment[] = {home.data(), name.data(), const_cast<char*>("PATH=/usr/bin:/bin"),
                           nullptr};
    const char* arguments[] = {program.c_str(), path.c_str(), request.reverse_path.c_str(),
                               request.recipient.c_str(), nullptr};
    execveat(file, "", const_cast<char* const*>(arguments), environment, AT_EMPTY_PATH);
    give_up(program);
}

} // namespace

void LocalDelivery::spawn(const Configuration& configuration, ipc::Spawn request) {
    auto refuse = [&](std::string why, int status = EX_TEMPFAIL) {
        helpers_.refuse(request.request, std::move(why), status);
    };
    auto action = std::find_if(configuration.actions.begin(), configuration.actions.end(),
                               [&](const Action& a) { return a.name == request.action; });
    if (action == configuration.actions.end() || action->kind != ActionKind::maildir)
        return refuse("there is no maildir action " + request.action);
    if (!action->user.empty() && action->user != request.user)
        return refuse("action " + request.action + " does not deliver as " + request.user);
    Result<User> user = find_user(request.user, root_);
    if (!user)
        return refuse(user.error().message);
    // What anybody may write is not written by somebody who may write everything.
    if (root_ && user->user_id == 0)
        return refuse("nothing is delivered as root: give this mail an action with a user",
                      EX_CONFIG);
    MaildirValues values;
    values.user = user->name;
    values.directory = user->home;
    values.recipient = request.recipient;
    values.reverse_path = request.reverse_path;
    Result<std::string> path = expand_maildir_path(action->maildir_path, values);
    if (!path)
        return refuse(path.error().message);
    const pid_t pid = quiet_fork();
    if (pid < 0)
        return refuse(system_error("fork").message);
    if (pid == 0)
        become_helper(programs_ + "/postern-maildir", *user, root_, *path, request);
    helpers_.add(pid, request.request);
}

} // namespace postern
