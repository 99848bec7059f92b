#include "common/base/quiet_fork.h"

#include <csignal>
#include <unistd.h>

#include "common/base/log.h"

namespace postern {

pid_t quiet_fork() {
    log::flush(); // or the child would have the lines as well
    sigset_t all, before;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, &before);
    const pid_t pid = fork();
    if (pid != 0)
        sigprocmask(SIG_SETMASK, &before, nullptr);
    return pid;
}

void be_like_new() {
    for (int number = 1; number < NSIG; ++number)
        signal(number, SIG_DFL); // those that cannot be set are so already
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, nullptr);
}

} // namespace postern
