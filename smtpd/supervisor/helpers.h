// Programs that the supervisor runs for one of its processes, each for one request of it: which
// they are, and what is told of their end.
#pragma once

#include <csignal>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <sys/types.h>
#include <sysexits.h>

#include "common/ipc/supervision.h"
#include "common/loop/executor.h"

namespace postern {

class Helpers {
  public:
    using Report = std::function<void(ipc::Exited)>;

    // What is ended with a helper: itself, or all of the process group that it leads (setsid(2)).
    enum class Extent { process, group };

    // `kill_signal` ends one that has had its time.
    explicit Helpers(Report report, int kill_signal = SIGKILL, Extent extent = Extent::process)
        : report_(std::move(report)), kill_signal_(kill_signal), extent_(extent) {}

    // Reports that none was started, and why.
    void refuse(uint32_t request, std::string why, int status = EX_TEMPFAIL);
    // One runs, for this request.
    void add(pid_t pid, uint32_t request) { running_[pid].request = request; }
    // The same; when this time is over it is ended by SIGKILL, whoever still waits for it.
    void add(pid_t pid, uint32_t request, Executor& executor, Duration limit);
    bool has(pid_t pid) const { return running_.contains(pid); }
    // By kill_signal; if that was said before, by SIGKILL.
    void kill(uint32_t request);
    void kill_all();
    // True if the process was one of ours. `status` is of waitpid(2).
    bool ended(pid_t pid, int status);
    // Who asked for them has died: nobody is told of their end.
    void forget();
    size_t running() const { return running_.size(); }

  private:
    struct Limit final : Timer {
        Limit(Helpers& helpers, pid_t pid) : helpers_(helpers), pid_(pid) {}
        void expired() override { helpers_.overdue(pid_); }
        Helpers& helpers_;
        pid_t pid_;
    };
    struct Helper {
        uint32_t request = 0;
        bool forgotten = false;
        bool told_to_end = false;
        std::unique_ptr<Limit> limit;
    };
    void overdue(pid_t pid);
    void end(pid_t pid, Helper& helper) const;

    Report report_;
    int kill_signal_;
    Extent extent_;
    std::map<pid_t, Helper> running_;
};

} // namespace postern
