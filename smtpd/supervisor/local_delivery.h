// Runs postern-maildir as the recipient's user, for `local`, which may name a user and an action
// but neither a program nor a path: those come from the configuration. Nothing runs as root.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <sys/types.h>

#include "common/base/result.h"
#include "common/config/configuration.h"
#include "common/ipc/supervision.h"

namespace postern {

class LocalDelivery {
  public:
    using Report = std::function<void(ipc::Exited)>;

    // `root`: users can be switched; else all is done as who runs us.
    LocalDelivery(std::string programs, bool root, Report report)
        : programs_(std::move(programs)), root_(root), report_(std::move(report)) {}

    // Starts the helper, or reports at once why not.
    void spawn(const Configuration& configuration, ipc::Spawn request);
    void kill(uint32_t request);
    // True if the process was one of ours. `status` is of waitpid(2).
    bool ended(pid_t pid, int status);
    // `local` has died: its helpers finish, but nobody is told.
    void forget();
    size_t running() const { return helpers_.size(); }

  private:
    std::string programs_;
    bool root_;
    Report report_;
    struct Helper {
        uint32_t request;
        bool forgotten; // who asked for it has died
    };
    std::map<pid_t, Helper> helpers_;
};

} // namespace postern
