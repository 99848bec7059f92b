#include "smtpd/supervisor/helpers.h"

#include <sys/wait.h>
#include <utility>

namespace postern {

void Helpers::refuse(uint32_t request, std::string why, int status) {
    ipc::Exited exited;
    exited.request = request;
    exited.status = status;
    exited.error = std::move(why);
    report_(std::move(exited));
}

void Helpers::add(pid_t pid, uint32_t request, Executor& executor, Duration limit) {
    add(pid, request);
    Helper& helper = running_[pid];
    helper.limit = std::make_unique<Limit>(*this, pid);
    helper.limit->arm(executor, executor.now() + limit);
}

void Helpers::overdue(pid_t pid) {
    Helper& helper = running_.at(pid);
    helper.told_to_end = true; // and so by SIGKILL
    end(pid, helper);
}

void Helpers::end(pid_t pid, Helper& helper) const {
    const int signal = std::exchange(helper.told_to_end, true) ? SIGKILL : kill_signal_;
    // One that has just been started may not have made its group yet.
    if (extent_ == Extent::process || ::kill(-pid, signal) < 0)
        ::kill(pid, signal);
}

void Helpers::kill(uint32_t request) {
    for (auto& [pid, helper] : running_)
        if (helper.request == request && !helper.forgotten)
            end(pid, helper);
}

void Helpers::kill_all() {
    for (auto& [pid, helper] : running_)
        end(pid, helper);
}

bool Helpers::ended(pid_t pid, int status) {
    const auto found = running_.find(pid);
    if (found == running_.end())
        return false;
    ipc::Exited exited;
    exited.request = found->second.request;
    exited.status = WIFEXITED(status) ? WEXITSTATUS(status) : EX_TEMPFAIL;
    if (!WIFEXITED(status))
        exited.error = "ended by signal " + std::to_string(WTERMSIG(status));
    const bool forgotten = found->second.forgotten;
    running_.erase(found);
    if (!forgotten)
        report_(std::move(exited));
    return true;
}

void Helpers::forget() {
    for (auto& [pid, helper] : running_)
        helper.forgotten = true;
}

} // namespace postern
