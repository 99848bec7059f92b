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
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/base/quiet_fork.h"
#include "smtpd/supervisor/delivery_plan.h"

namespace postern {

namespace {

constexpr const char* mail_spool = "/var/mail";
constexpr const char* mail_group = "mail";
constexpr rlim_t ordinary_files = 1024; // what a program expects to have, not what we have

// In a folder like Debian's /var/mail, which belongs to the group mail, only that group can make
// mailboxes. It must be the helper's own group, not one more: then no process of the user's that
// lacks it can look into the helper (ptrace(2)).
gid_t group_for(const DeliveryPlan& plan, const LocalUser& user) {
    const group* mail = plan.in_mail_spool ? getgrnam(mail_group) : nullptr;
    struct stat spool;
    const bool fits = mail && stat(mail_spool, &spool) == 0 && spool.st_gid == mail->gr_gid &&
                      (spool.st_mode & S_IWGRP);
    return fits ? mail->gr_gid : user.group_id;
}

// In the child: says why on its standard error, which `local` reads.
[[noreturn]] void give_up(const std::string& what) {
    dprintf(STDERR_FILENO, "%s: %s\n", what.c_str(), std::strerror(errno));
    _exit(EX_TEMPFAIL);
}

bool become_user(const LocalUser& user, gid_t group) {
    return initgroups(user.name.c_str(), user.group_id) == 0 &&
           setresgid(group, group, group) == 0 &&
           setresuid(user.user_id, user.user_id, user.user_id) == 0;
}

std::vector<char*> pointers(std::vector<std::string>& strings) {
    std::vector<char*> list;
    for (std::string& string : strings)
        list.push_back(string.data());
    list.push_back(nullptr);
    return list;
}

// In the child: from here on nothing is done as root.
[[noreturn]] void become_helper(std::string program, const LocalUser& user, bool root, gid_t group,
                                DeliveryPlan plan, const ipc::Spawn& request) {
    if (dup2(request.content.get(), 0) < 0 || dup2(request.output.get(), 1) < 0 ||
        dup2(request.output.get(), 2) < 0)
        _exit(EX_TEMPFAIL);
    close_range(3, ~0u, 0);
    setsid(); // a group of its own, which can be ended with all that is in it
    // Found while we may: the user need not be able to reach the folder that it lies in.
    const int file = open(program.c_str(), O_PATH | O_CLOEXEC);
    if (file < 0)
        give_up(program);
    if (root && !become_user(user, group))
        _exit(EX_TEMPFAIL);
    if (!plan.is_command && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        _exit(EX_TEMPFAIL);
    if (chdir(user.home.c_str()) < 0 && chdir("/") < 0)
        _exit(EX_TEMPFAIL);
    rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur > ordinary_files) {
        files.rlim_cur = ordinary_files;
        setrlimit(RLIMIT_NOFILE, &files);
    }
    umask(077);
    be_like_new();
    plan.arguments.insert(plan.arguments.begin(), program);
    execveat(file, "", pointers(plan.arguments).data(), pointers(plan.environment).data(),
             AT_EMPTY_PATH);
    give_up(program);
}

} // namespace

Result<LocalUser> LocalDelivery::find_user(const std::string& name) const {
    errno = 0;
    // An ordinary user can deliver as himself only, whoever it is for.
    const passwd* entry = root_ ? getpwnam(name.c_str()) : getpwuid(geteuid());
    if (!entry)
        return Error{"there is no user " + name, EX_TEMPFAIL};
    // What anybody may write is not written by somebody who may write everything.
    if (root_ && entry->pw_uid == 0)
        return Error{"nothing is delivered as root: give this mail an action with a user",
                     EX_CONFIG};
    // He could look into our process, and change it (ptrace(2)).
    if (root_ && own_users_.contains(entry->pw_uid))
        return Error{"nothing is delivered as " + name +
                         ", whom a process of the gateway runs as: give this mail an action with "
                         "another user",
                     EX_CONFIG};
    return LocalUser{entry->pw_name, entry->pw_dir, entry->pw_uid, entry->pw_gid};
}

void LocalDelivery::spawn(const Configuration& configuration, ipc::Spawn request) {
    auto refuse = [&](const Error& error) {
        helpers_.refuse(request.request, error.message, error.code);
    };
    Result<const Action*> action = find_action(configuration, request);
    if (!action)
        return refuse(action.error());
    Result<LocalUser> user = find_user(request.user);
    if (!user)
        return refuse(user.error());
    if (helpers_.running() >= ipc::local_helpers_limit)
        return refuse({"there are too many local deliveries", EX_TEMPFAIL});
    Result<DeliveryPlan> plan = plan_delivery(**action, request, *user, configuration);
    if (!plan)
        return refuse(plan.error());
    const gid_t group = group_for(*plan, *user);
    const pid_t pid = quiet_fork();
    if (pid < 0)
        return refuse({system_error("fork").message, EX_TEMPFAIL});
    if (pid == 0)
        become_helper(programs_ + "/postern-deliver", *user, root_, group, *std::move(plan),
                      request);
    helpers_.add(pid, request.request, executor_, ipc::helper_run_time + ipc::helper_end_time);
}

} // namespace postern
