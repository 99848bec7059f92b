// Runs postern-deliver as the recipient's user, for `local`, which may name a user and an action
// but neither a program nor a path: those come from the configuration (delivery_plan.h). Nothing
// runs as root.
#pragma once

#include <string>
#include <sys/types.h>

#include "common/config/configuration.h"
#include "common/ipc/supervision.h"
#include "smtpd/supervisor/helpers.h"

namespace postern {

class LocalDelivery {
  public:
    // `root`: users can be switched; else all is done as who runs us.
    LocalDelivery(std::string programs, bool root, Helpers::Report report)
        : programs_(std::move(programs)), root_(root),
          helpers_(std::move(report), SIGKILL, Helpers::Extent::group) {}

    // Starts the helper, or reports at once why not.
    void spawn(const Configuration& configuration, ipc::Spawn request);
    void kill(uint32_t request) { helpers_.kill(request); }
    // True if the process was one of ours. `status` is of waitpid(2).
    bool ended(pid_t pid, int status) { return helpers_.ended(pid, status); }
    // `local` has died: its helpers finish, but nobody is told.
    void forget() { helpers_.forget(); }
    size_t running() const { return helpers_.running(); }

  private:
    std::string programs_;
    bool root_;
    Helpers helpers_;
};

} // namespace postern
