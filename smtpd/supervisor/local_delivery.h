// Runs postern-deliver as the recipient's user, for `local`, which may name a user and an action
// but neither a program nor a path: those come from the configuration (delivery_plan.h). Nothing
// runs as root, nor as a user whom one of our own processes has.
//
// Bounds, whatever `local` says, and whether it lives or not: local_helpers_limit at once, each for
// the time that `local` gives it and no longer.
#pragma once

#include <set>
#include <string>
#include <sys/types.h>

#include "common/base/result.h"
#include "common/config/configuration.h"
#include "common/ipc/local_settings.h"
#include "common/ipc/supervision.h"
#include "common/loop/executor.h"
#include "smtpd/supervisor/delivery_environment.h"
#include "smtpd/supervisor/helpers.h"

namespace postern {

class LocalDelivery {
  public:
    // `root`: users can be switched; else all is done as who runs us.
    LocalDelivery(Executor& executor, std::string programs, bool root, Helpers::Report report)
        : executor_(executor), programs_(std::move(programs)), root_(root),
          helpers_(std::move(report), SIGKILL, Helpers::Extent::group) {}

    // Our own processes run as these.
    void set_own_users(std::set<uid_t> users) { own_users_ = std::move(users); }
    // Starts the helper, or reports at once why not.
    void spawn(const Configuration& configuration, ipc::Spawn request);
    void kill(uint32_t request) { helpers_.kill(request); }
    // True if the process was one of ours. `status` is of waitpid(2).
    bool ended(pid_t pid, int status) { return helpers_.ended(pid, status); }
    // `local` has died: its helpers finish, but nobody is told.
    void forget() { helpers_.forget(); }
    // We end, and they with us.
    void end_all() {
        helpers_.forget();
        helpers_.kill_all();
    }
    size_t running() const { return helpers_.running(); }

  private:
    Result<LocalUser> find_user(const std::string& name) const;

    Executor& executor_;
    std::string programs_;
    bool root_;
    std::set<uid_t> own_users_;
    Helpers helpers_;
};

} // namespace postern
