// What processes are provided with: who each of them becomes, its settings, and the descriptors
// that the supervisor opens for it. It goes by one configuration, that which is in force.
#pragma once

#include <map>
#include <set>
#include <string>
#include <sys/types.h>
#include <vector>

#include "common/base/file_descriptor.h"
#include "common/base/result.h"
#include "common/config/configuration.h"
#include "common/ipc/supervision.h"
#include "smtpd/supervisor/machine.h"
#include "smtpd/supervisor/slices.h"

namespace postern {

class Provisions {
  public:
    // `root`: users can be switched.
    Provisions(Configuration configuration, bool root);

    // Binds, opens and checks everything that can fail before anything is started.
    Result<void> prepare();
    // Goes by another configuration from now on. On failure the present one stays.
    Result<void> renew(Configuration fresh);
    // No new connections, once the listeners have closed theirs as well.
    void stop_listening() { sockets_.clear(); }

    const Configuration& configuration() const { return configuration_; }
    const Surroundings& surroundings() const { return surroundings_; }
    // Whom processes become, by now.
    const std::set<uid_t>& own_users() const { return own_users_; }

    // The identity, settings and files of a process with this role. An error if there are no
    // descriptors left.
    Result<ipc::Configure> configure_message(ipc::Role role) const;

  private:
    Result<Surroundings> survey(const Configuration& configuration) const;
    Result<void> choose_identities(const Configuration& configuration);
    Result<ipc::Identity> choose_identity(ipc::Role role, const Configuration& configuration,
                                          const std::string& empty_directory) const;
    Result<std::vector<FileDescriptor>> files_of(ipc::Role role) const;

    Configuration configuration_;
    Surroundings surroundings_;
    bool root_;
    std::string decoy_key_ = std::string(32, '\0');
    std::vector<BoundSocket> sockets_;
    FileDescriptor control_socket_;
    FileDescriptor spool_;
    std::map<ipc::Role, ipc::Identity> identities_; // of those that were needed once
    std::set<uid_t> own_users_;
};

} // namespace postern
