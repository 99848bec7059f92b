#include "smtpd/supervisor/pam_checks.h"

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/quiet_fork.h"
#include "common/base/result.h"
#include "common/ipc/pam_settings.h"
#include "smtpd/supervisor/slices.h"

namespace postern {

namespace {

// Modules were written for programs with no more; some of them close all that there may be.
constexpr rlim_t descriptor_limit = 1024;

bool set_limits() {
    constexpr rlimit none{0, 0};
    rlimit files;
    if (setrlimit(RLIMIT_CORE, &none) < 0 || getrlimit(RLIMIT_NOFILE, &files) < 0)
        return false;
    files.rlim_cur = std::min(files.rlim_cur, descriptor_limit);
    return setrlimit(RLIMIT_NOFILE, &files) == 0;
}

// In the child: nothing is open but the two pipes, and what modules print is for nobody.
[[noreturn]] void become_helper(const std::string& program, const ipc::SpawnCheck& request,
                                pid_t parent) {
    setsid();
    // Out of the way of where they belong.
    const int question = fcntl(request.question.get(), F_DUPFD, 10);
    const int finding = fcntl(request.finding.get(), F_DUPFD, 10);
    const int null = open("/dev/null", O_RDWR);
    if (question < 0 || finding < 0 || null < 0 || dup2(null, 0) < 0 || dup2(null, 1) < 0 ||
        dup2(null, 2) < 0 || dup2(question, 3) < 0 || dup2(finding, 4) < 0 ||
        close_range(5, ~0u, 0) < 0 || !set_limits() || chdir("/") < 0)
        _exit(EX_OSERR);
    umask(077);
    // Passwords that somebody tries out are not to keep mail waiting.
    (void)!nice(10);
    be_like_new();
    if (prctl(PR_SET_PDEATHSIG, SIGTERM) < 0 || getppid() != parent)
        _exit(EX_OSERR);
    char path[] = "PATH=/usr/sbin:/usr/bin:/sbin:/bin";
    char* environment[] = {path, nullptr};
    const char* arguments[] = {program.c_str(), request.service.c_str(), nullptr};
    execve(program.c_str(), const_cast<char* const*>(arguments), environment);
    _exit(EX_OSFILE);
}

} // namespace

void PamChecks::spawn(const Configuration& configuration, const ipc::SpawnCheck& request) {
    const std::vector<std::string> services = pam_services_of(configuration);
    if (std::find(services.begin(), services.end(), request.service) == services.end())
        return helpers_.refuse(request.request, "the configuration has no such service of PAM");
    if (helpers_.running() >= ipc::pam_helper_limit)
        return helpers_.refuse(request.request, "there are too many checks");
    const pid_t parent = getpid();
    const pid_t pid = quiet_fork();
    if (pid < 0)
        return helpers_.refuse(request.request, system_error("fork").message);
    if (pid == 0)
        become_helper(programs_ + "/postern-pam-check", request, parent);
    helpers_.add(pid, request.request);
}

void PamChecks::ending(pid_t pid) const {
    if (helpers_.has(pid))
        ::kill(-pid, SIGKILL);
}

void PamChecks::end_all() {
    helpers_.forget();
    helpers_.kill_all();
}

} // namespace postern
