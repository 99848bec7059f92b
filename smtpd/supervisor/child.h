// One process under the supervisor: its pid, its channel, and how it is started.
#pragma once

#include <csignal>
#include <functional>
#include <memory>
#include <string>
#include <sys/types.h>

#include "common/base/file_descriptor.h"
#include "common/base/result.h"
#include "common/ipc/channel.h"
#include "common/ipc/supervision.h"
#include "smtpd/supervisor/child_log.h"
#include "smtpd/supervisor/restart_delay.h"
#include "smtpd/supervisor/wiring.h"

namespace postern {

// The folder with the programs that smtpd starts: where smtpd itself is, or ../libexec/postern.
Result<std::string> find_programs();

class Child {
  public:
    using Handler = std::function<void(Child&, ipc::ToSupervisor&&)>;

    // Its log lines go to `pass_on`; if that is empty, to the standard error that we have
    // ourselves.
    Child(EventLoop& loop, ProcessName name, Handler handler, ChildLog::PassOn pass_on)
        : loop_(loop), name_(name), handler_(std::move(handler)), pass_on_(std::move(pass_on)),
          execution_(*this) {}

    ProcessName name() const { return name_; }
    pid_t pid() const { return pid_; } // 0: not running
    bool running() const { return pid_ != 0; }

    // Starts the program with nothing but its channel and its log. What is sent before it reads is
    // kept. An error if there are no descriptors or processes left, or the program cannot be run:
    // it has ended then, and may be tried again.
    Result<void> start(const std::string& programs);
    void send(ipc::FromSupervisor message);
    void signal(int number);
    // It has ended. Returns how long to wait until it is started again.
    std::chrono::milliseconds ended();

  private:
    // A process without a channel has this long to end by itself.
    static constexpr std::chrono::seconds grace{3};
    struct Execution final : Timer {
        explicit Execution(Child& child) : child_(child) {}
        void expired() override { child_.signal(SIGKILL); }
        Child& child_;
    };

    EventLoop& loop_;
    ProcessName name_;
    Handler handler_;
    ChildLog::PassOn pass_on_;
    pid_t pid_ = 0;
    TimePoint started_;
    RestartDelay delay_;
    Execution execution_;
    std::unique_ptr<ipc::Channel<ipc::ToSupervisor, ipc::FromSupervisor>> channel_;
    std::unique_ptr<ChildLog> log_; // if there is somebody to pass it on to
};

} // namespace postern
