#include "smtpd/supervisor/child.h"

#include <climits>
#include <csignal>
#include <cstdlib>
#include <fcntl.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/base/quiet_fork.h"

namespace postern {

namespace {

// Bytes of lines that wait for us, as the kernel counts them: some 800 for a short line. A burst
// (thousands of bounces in a turn of the queue) must not lose any.
constexpr int log_buffer = 4 << 20;

// In the child: nothing is open but standard error and the channel.
[[noreturn]] void become_program(const std::string& path, int channel, int log) {
    int null = open("/dev/null", O_RDWR);
    if (null < 0 || dup2(null, 0) < 0 || dup2(null, 1) < 0 || (log >= 0 && dup2(log, 2) < 0))
        _exit(71);
    // dup2() of a descriptor to itself would leave it close-on-exec.
    int moved = channel == ipc::supervision_fd ? dup(channel) : channel;
    if (dup2(moved, ipc::supervision_fd) < 0)
        _exit(71);
    close_range(ipc::supervision_fd + 1, ~0u, 0);
    be_like_new();
    execl(path.c_str(), path.c_str(), static_cast<char*>(nullptr));
    _exit(72); // EX_OSFILE
}

} // namespace

Result<std::string> find_programs() {
    char buffer[PATH_MAX];
    ssize_t size = readlink("/proc/self/exe", buffer, sizeof buffer - 1);
    if (size < 0)
        return system_error("/proc/self/exe");
    std::string here(buffer, static_cast<size_t>(size));
    here.resize(here.rfind('/'));
    for (const std::string& folder : {here, here + "/../libexec/postern"})
        if (access((folder + "/postern-queue").c_str(), X_OK) == 0)
            return folder;
    return Error{"postern-queue and the other programs are neither in " + here + " nor in " + here +
                 "/../libexec/postern"};
}

Result<void> Child::start(const std::string& programs) {
    Result<ipc::SocketPair> channel = ipc::try_pair();
    if (!channel)
        return channel.error();
    const std::string program = std::string("postern-") + ipc::role_name(name_.role);
    const std::string path = programs + "/" + program;
    FileDescriptor our_log, their_log;
    if (pass_on_) {
        Result<ipc::SocketPair> log = ipc::try_pair();
        if (!log)
            return log.error();
        std::tie(our_log, their_log) = std::move(*log);
        ipc::enlarge_send_buffer(their_log, log_buffer);
    }
    const pid_t pid = quiet_fork();
    if (pid < 0)
        return system_error("fork");
    if (pid == 0)
        become_program(path, channel->second.get(), their_log.get());
    pid_ = pid;
    if (our_log)
        log_ = std::make_unique<ChildLog>(loop_, std::move(our_log),
                                          program + "[" + std::to_string(pid) + "]", pass_on_);
    started_ = Clock::now();
    channel_ = std::make_unique<ipc::Channel<ipc::ToSupervisor, ipc::FromSupervisor>>(
        loop_, std::move(channel->first),
        [this](ipc::ToSupervisor&& message) { handler_(*this, std::move(message)); },
        [this](const std::string& reason) {
            // It is ending, and SIGCHLD will tell; or it broke the protocol, and has to end.
            log::debug("the channel of a process closed",
                       {{"process", ipc::role_name(name_.role)}, {"reason", reason}});
            execution_.arm(loop_, loop_.now() + grace);
        });
    return {};
}

void Child::send(ipc::FromSupervisor message) {
    if (channel_)
        channel_->send(std::move(message));
}

void Child::signal(int number) {
    if (pid_ > 0)
        kill(pid_, number);
}

std::chrono::milliseconds Child::ended() {
    pid_ = 0;
    execution_.disarm();
    channel_.reset();
    if (log_)
        log_->read_rest();
    log_.reset();
    return delay_.next(Clock::now() - started_);
}

} // namespace postern
