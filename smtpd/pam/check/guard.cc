#include "smtpd/pam/check/guard.h"

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <string>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

namespace postern::pam {

namespace {

// Those that have lost their parent are children of ours as well (PR_SET_CHILD_SUBREAPER).
void kill_children() {
    const std::string self = std::to_string(getpid());
    FILE* file = std::fopen(("/proc/self/task/" + self + "/children").c_str(), "re");
    if (!file)
        return;
    int pid = 0;
    while (std::fscanf(file, "%d", &pid) == 1)
        ::kill(pid, SIGKILL);
    std::fclose(file);
}

// Each one that dies hands its own children over to us, until there is none.
void end_descendants() {
    do
        kill_children();
    while (waitpid(-1, nullptr, 0) > 0 || errno == EINTR);
}

[[noreturn]] void end_by(int number) {
    sigset_t one;
    sigemptyset(&one);
    sigaddset(&one, number);
    signal(number, SIG_DFL);
    sigprocmask(SIG_UNBLOCK, &one, nullptr);
    raise(number);
    _exit(EX_SOFTWARE); // it was one that ends nobody
}

// Until the child has ended; then its status, as waitpid(2) has it.
int wait_for(pid_t child, const sigset_t& news) {
    for (;;) {
        int number = 0;
        sigwait(&news, &number);
        if (number == SIGTERM) {
            ::kill(child, SIGKILL); // end_descendants() ends the others
            return SIGKILL;
        }
        int status = 0;
        pid_t pid;
        while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
            if (pid == child)
                return status;
    }
}

} // namespace

void run_guarded(const std::function<int()>& body) {
    sigset_t news, before;
    sigemptyset(&news);
    sigaddset(&news, SIGCHLD);
    sigaddset(&news, SIGTERM);
    sigprocmask(SIG_BLOCK, &news, &before);
    signal(SIGCHLD, SIG_DFL);
    const pid_t self = getpid();
    if (prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) < 0)
        _exit(EX_OSERR);
    const pid_t child = fork();
    if (child < 0)
        _exit(EX_OSERR);
    if (child == 0) {
        if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != self)
            _exit(EX_OSERR);
        sigprocmask(SIG_SETMASK, &before, nullptr);
        _exit(body());
    }
    const int status = wait_for(child, news);
    end_descendants();
    if (WIFSIGNALED(status))
        end_by(WTERMSIG(status));
    _exit(WEXITSTATUS(status));
}

} // namespace postern::pam
