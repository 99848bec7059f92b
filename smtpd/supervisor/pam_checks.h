// Runs postern-pam-check with our own rights, for `pam`, which may name a service of PAM that the
// configuration has, and hand over two pipes that we do not look into.
//
// SIGTERM has a helper end all that it has started, and itself. It leads a session of its own; who
// stays behind there, since it was killed in another way, is ended too. Bounds: pam_helper_limit at
// once; pam says when one has had its time.
#pragma once

#include <string>
#include <sys/types.h>

#include "common/config/configuration.h"
#include "common/ipc/supervision.h"
#include "smtpd/supervisor/helpers.h"

namespace postern {

class PamChecks {
  public:
    PamChecks(std::string programs, Helpers::Report report)
        : programs_(std::move(programs)), helpers_(std::move(report), SIGTERM) {}

    // Starts the helper, or reports at once why not.
    void spawn(const Configuration& configuration, const ipc::SpawnCheck& request);
    void kill(uint32_t request) { helpers_.kill(request); }
    // The process has ended, but has not been waited for.
    void ending(pid_t pid) const;
    // True if the process was one of ours. `status` is of waitpid(2).
    bool ended(pid_t pid, int status) { return helpers_.ended(pid, status); }
    // `pam` has died: nobody waits for an answer.
    void end_all();
    size_t running() const { return helpers_.running(); }

  private:
    std::string programs_;
    Helpers helpers_;
};

} // namespace postern
