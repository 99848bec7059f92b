#include "deliver/local/helper/command.h"

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/base/file_descriptor.h"
#include "common/base/pipe.h"
#include "common/base/quiet_fork.h"

namespace postern {

namespace {

struct Pipes {
    Pipe input;
    Pipe output;
    Pipe failure; // the errno of an exec that failed; closed by one that did not
};

Result<Pipes> make_pipes() {
    Result<Pipe> input = make_pipe(), output = make_pipe(), failure = make_pipe();
    for (const Result<Pipe>* pipe : {&input, &output, &failure})
        if (!*pipe)
            return pipe->error();
    return Pipes{*std::move(input), *std::move(output), *std::move(failure)};
}

[[noreturn]] void become_command(const std::vector<std::string>& words, const Pipes& pipes,
                                 pid_t parent) {
    std::vector<char*> arguments;
    for (const std::string& word : words)
        arguments.push_back(const_cast<char*>(word.c_str()));
    arguments.push_back(nullptr);
    if (::dup2(pipes.input.read_end.get(), 0) >= 0 &&
        ::dup2(pipes.output.write_end.get(), 1) >= 0 && ::dup2(1, 2) >= 0 &&
        ::dup2(pipes.failure.write_end.get(), 3) >= 0) {
        ::close_range(4, ~0u, 0);
        ::fcntl(3, F_SETFD, FD_CLOEXEC);
        be_like_new();
        // Without us nobody knows how it ends.
        if (::prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 && ::getppid() == parent)
            ::execvp(arguments.front(), arguments.data());
    }
    const int code = errno;
    [[maybe_unused]] const ssize_t told = ::write(3, &code, sizeof code);
    ::_exit(EX_TEMPFAIL);
}

// The descriptors of a command that runs, and what goes through them.
class Running {
  public:
    Running(pid_t pid, const LocalMessage& message, FileDescriptor input, FileDescriptor output)
        : pid_(pid), message_(message), input_(std::move(input)), output_(std::move(output)),
          process_(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0))) {
        for (const FileDescriptor* pipe : {&input_, &output_})
            ::fcntl(pipe->get(), F_SETFL, O_NONBLOCK);
    }

    Result<CommandEnd> wait() {
        if (!process_)
            return give_up(system_error("pidfd_open"));
        for (;;) {
            pollfd waiting[] = {{process_.get(), POLLIN, 0},
                                {output_ ? output_.get() : -1, POLLIN, 0},
                                {input_ ? input_.get() : -1, POLLOUT, 0}};
            if (::poll(waiting, std::size(waiting), -1) < 0 && errno != EINTR)
                return give_up(system_error("poll"));
            if (waiting[1].revents)
                read_output();
            if (waiting[0].revents)
                break;
            if (waiting[2].revents)
                if (Result<void> written = write_input(); !written)
                    return give_up(written.error());
        }
        CommandEnd end;
        read_output(); // what it said last
        if (::waitpid(pid_, &end.status, 0) < 0)
            return system_error("wait for the command");
        end.output = std::move(said_);
        return end;
    }

  private:
    // It has not got all of the message, and neither it nor what it has started may take the part
    // for it: they end while the pipe is open yet, and so do we, who lead their process group.
    Error give_up(Error error) {
        if (::getpgrp() == ::getpid()) {
            std::fprintf(stderr, "%s\n", error.message.c_str());
            std::fflush(stderr);
            ::kill(0, SIGKILL);
        }
        ::kill(pid_, SIGKILL);
        ::waitpid(pid_, nullptr, 0);
        return error;
    }

    void read_output() {
        char buffer[4096];
        ssize_t got = 0;
        // Somebody whom it has left running may say more than we can read.
        for (int piece = 0; piece < 64 && output_; ++piece) {
            got = ::read(output_.get(), buffer, sizeof buffer);
            if (got == 0)
                output_.reset();
            if (got <= 0)
                return;
            const size_t room = command_output_limit - said_.size();
            said_.append(buffer, std::min(room, static_cast<size_t>(got)));
        }
    }

    Result<void> write_input() {
        if (piece_.empty()) {
            Result<std::string> next = message_.next();
            if (!next)
                return next.error();
            piece_ = *std::move(next);
            written_ = 0;
        }
        const ssize_t size = piece_.empty() ? 0
                                            : ::write(input_.get(), piece_.data() + written_,
                                                      piece_.size() - written_);
        if (size < 0 && (errno == EAGAIN || errno == EINTR))
            return {};
        if (size <= 0) { // all is said, or it does not want to hear more
            input_.reset();
            return {};
        }
        written_ += static_cast<size_t>(size);
        if (written_ == piece_.size())
            piece_.clear();
        return {};
    }

    pid_t pid_;
    MessageText message_;
    FileDescriptor input_;
    FileDescriptor output_;
    FileDescriptor process_;
    std::string piece_;
    size_t written_ = 0;
    std::string said_;
};

} // namespace

Result<CommandEnd> run_command(const std::vector<std::string>& words, const LocalMessage& message) {
    if (words.empty())
        return Error{"there is no command", EINVAL};
    Result<Pipes> pipes = make_pipes();
    if (!pipes)
        return pipes.error();
    const pid_t parent = ::getpid();
    const pid_t pid = quiet_fork();
    if (pid < 0)
        return system_error("fork");
    if (pid == 0)
        become_command(words, *pipes, parent);
    pipes->input.read_end.reset();
    pipes->output.write_end.reset();
    pipes->failure.write_end.reset();
    int code = 0;
    if (::read(pipes->failure.read_end.get(), &code, sizeof code) == sizeof code) {
        ::waitpid(pid, nullptr, 0);
        return system_error(words.front(), code);
    }
    Running running(pid, message, std::move(pipes->input.write_end),
                    std::move(pipes->output.read_end));
    return running.wait();
}

Verdict verdict_on(const CommandEnd& end) {
    Verdict verdict;
    if (WIFEXITED(end.status) && WEXITSTATUS(end.status) == EX_OK)
        return verdict;
    verdict.status = EX_TEMPFAIL;
    if (WIFEXITED(end.status)) {
        const int status = WEXITSTATUS(end.status);
        if (status >= EX__BASE && status <= EX__MAX)
            verdict.status = status;
        verdict.words = "the command ended with status " + std::to_string(status);
    } else {
        verdict.words = "the command was ended by signal " + std::to_string(WTERMSIG(end.status));
    }
    if (!end.output.empty())
        verdict.words += ": " + end.output;
    return verdict;
}

} // namespace postern
