// A new thread has the signal mask of the one that starts it.
#include "queue/spool/worker_thread.h"

#include <csignal>
#include <pthread.h>
#include <string>
#include <system_error>

namespace postern {

Result<void> start_thread(std::thread& thread, std::function<void()> run) {
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    Result<void> started;
    try {
        thread = std::thread(std::move(run));
    } catch (const std::system_error& error) {
        started = Error{std::string("thread: ") + error.what(), error.code().value()};
    }
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    return started;
}

} // namespace postern
