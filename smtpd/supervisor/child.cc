#include "smtpd/supervisor/child.h"

#include <climits>
#include <csignal>
#include <cstdlib>
#include <fcntl.h>
#include <spawn.h>
#include <unistd.h>

#include "common/base/log.h"

namespace postern {

namespace {

// Bytes of lines that wait for us, as the kernel counts them: some 800 for a short line. A burst
// (thousands of bounces in a turn of the queue) must not lose any.
constexpr int log_buffer = 4 << 20;

// What is different in the child: nothing is open but standard error and the channel, and signals
// do what they do in a new process.
class Spawning {
  public:
    Spawning(int channel, int log) {
        posix_spawn_file_actions_init(&files_);
        need(posix_spawn_file_actions_addopen(&files_, 0, "/dev/null", O_RDWR, 0));
        need(posix_spawn_file_actions_adddup2(&files_, 0, 1));
        if (log >= 0)
            need(posix_spawn_file_actions_adddup2(&files_, log, 2));
        need(posix_spawn_file_actions_adddup2(&files_, channel, ipc::supervision_fd));
        need(posix_spawn_file_actions_addclosefrom_np(&files_, ipc::supervision_fd + 1));
        sigset_t signals;
        posix_spawnattr_init(&attributes_);
        posix_spawnattr_setflags(&attributes_, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
        sigfillset(&signals);
        posix_spawnattr_setsigdefault(&attributes_, &signals);
        sigemptyset(&signals);
        posix_spawnattr_setsigmask(&attributes_, &signals);
    }
    ~Spawning() {
        posix_spawn_file_actions_destroy(&files_);
        posix_spawnattr_destroy(&attributes_);
    }
    Spawning(const Spawning&) = delete;

    // Our memory is not copied for it, as fork(2) would.
    Result<pid_t> start(const std::string& path) {
        pid_t pid = 0;
        char* const arguments[] = {const_cast<char*>(path.c_str()), nullptr};
        if (error_ == 0)
            error_ = posix_spawn(&pid, path.c_str(), &files_, &attributes_, arguments, environ);
        if (error_ != 0)
            return system_error(path, error_);
        return pid;
    }

  private:
    void need(int error) { error_ = error_ != 0 ? error_ : error; }

    int error_ = 0; // an errno
    posix_spawn_file_actions_t files_;
    posix_spawnattr_t attributes_;
};

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
    started_ = Clock::now();
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
    const Result<pid_t> pid = Spawning(channel->second.get(), their_log.get()).start(path);
    if (!pid)
        return pid.error();
    pid_ = *pid;
    if (our_log)
        log_ = std::make_unique<ChildLog>(loop_, std::move(our_log),
                                          program + "[" + std::to_string(pid_) + "]", pass_on_);
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
