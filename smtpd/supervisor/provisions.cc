#include "smtpd/supervisor/provisions.h"

#include <algorithm>
#include <fcntl.h>
#include <optional>
#include <sys/random.h>
#include <thread>
#include <unistd.h>

#include "common/base/log.h"
#include "common/config/parse.h"
#include "common/process/process.h"
#include "smtpd/supervisor/table_files.h"
#include "smtpd/supervisor/warnings.h"
#include "smtpd/supervisor/wiring.h"

namespace postern {

using ipc::Role;

namespace {

// The trust anchor that a mode of the resolver goes by, as text.
Result<std::string> trust_anchor_text(const ResolverOptions& options) {
    static constexpr const char* root_anchor = "/usr/share/dns/root.key";
    if (!options.trust_anchor.empty())
        return read_configuration_file(options.trust_anchor);
    if (options.mode == ResolverMode::recursive)
        return read_configuration_file(root_anchor);
    return std::string();
}

// Where policies are kept: not in the spool, which is the queue's.
std::string policies_directory(const Configuration& configuration) {
    return configuration.spool + "-policies";
}

bool delivers_to_unix_sockets(const Configuration& configuration) {
    return std::any_of(
        configuration.actions.begin(), configuration.actions.end(),
        [](const Action& action) { return action.host && !action.host->unix_path.empty(); });
}

// What processes have learned for good when they were started.
bool needs_a_restart(const Configuration& fresh, const Configuration& present) {
    return fresh.spool != present.spool || fresh.socket != present.socket ||
           fresh.listeners != present.listeners || fresh.relays != present.relays ||
           fresh.users.by_process != present.users.by_process ||
           delivers_to_unix_sockets(fresh) != delivers_to_unix_sockets(present);
}

} // namespace

Provisions::Provisions(Configuration configuration, bool root)
    : configuration_(std::move(configuration)), root_(root) {
    // Without randomness, which Linux always has, it would be known, and no more than that.
    [[maybe_unused]] const ssize_t got = getrandom(decoy_key_.data(), decoy_key_.size(), 0);
}

Result<void> Provisions::prepare() {
    Result<Surroundings> found = survey(configuration_);
    if (!found)
        return found.error();
    surroundings_ = std::move(*found);
    if (Result<void> chosen = choose_identities(configuration_); !chosen)
        return chosen;
    Result<std::vector<BoundSocket>> bound = bind_listeners(surroundings_.listen, sockets_);
    if (!bound)
        return bound.error();
    sockets_ = std::move(*bound);
    Result<FileDescriptor> spool =
        open_directory_of(configuration_.spool, identities_[Role::queue]);
    if (!spool)
        return spool.error();
    spool_ = std::move(*spool);
    Result<FileDescriptor> control = bind_control_socket(configuration_.socket);
    if (!control)
        return control.error();
    control_socket_ = std::move(*control);
    return {};
}

Result<void> Provisions::renew(Configuration fresh) {
    if (needs_a_restart(fresh, configuration_))
        return Error{"spool, socket, users, numbers of processes, and whether mail goes to Unix "
                     "sockets change with a restart only"};
    Result<Surroundings> found = survey(fresh);
    if (!found)
        return found.error();
    if (Result<void> chosen = choose_identities(fresh); !chosen)
        return chosen;
    Result<std::vector<BoundSocket>> bound = bind_listeners(found->listen, sockets_);
    if (!bound)
        return bound.error();
    sockets_ = std::move(*bound);
    surroundings_ = std::move(*found);
    configuration_ = std::move(fresh);
    return {};
}

Result<Surroundings> Provisions::survey(const Configuration& configuration) const {
    Surroundings found;
    found.root = root_;
    found.user_id = geteuid();
    found.cores = std::max(std::thread::hardware_concurrency(), 1u);
    found.hostname = configuration.hostname.empty() ? machine_hostname() : configuration.hostname;
    found.local_addresses = machine_addresses();
    Result<std::string> anchor = trust_anchor_text(configuration.resolver);
    if (!anchor)
        return anchor.error();
    found.trust_anchor = std::move(*anchor);
    found.decoy_key = decoy_key_;
    if (Result<std::string> hosts = read_configuration_file("/etc/hosts"); hosts)
        found.hosts = std::move(*hosts);
    Result<std::vector<ipc::ListenAddress>> listen = addresses_of(configuration, found.hostname);
    if (!listen)
        return listen.error();
    found.listen = std::move(*listen);
    Result<Credentials> credentials = read_credentials(configuration);
    if (!credentials)
        return credentials.error();
    found.credentials = std::move(*credentials);
    if (Result<void> checked = check_table_files(configuration); !checked)
        return checked.error();
    for (const std::string& warning : found.credentials.warnings)
        log::warning(warning);
    for (const std::string& warning : warnings_of(configuration, found.hostname))
        log::warning(warning);
    return found;
}

// Of those that this configuration needs, and that have none yet: users change with a restart only.
Result<void> Provisions::choose_identities(const Configuration& configuration) {
    std::string empty;
    if (root_) {
        Result<std::string> made = empty_directory();
        if (!made)
            return made.error();
        empty = *made;
    }
    for (Role role :
         {Role::listener, Role::keyholder, Role::resolver, Role::lookup, Role::control, Role::queue,
          Role::relay, Role::local, Role::pam, Role::tables, Role::policy}) {
        if (identities_.contains(role) || process_count(role, configuration, 1) == 0)
            continue;
        Result<ipc::Identity> identity = choose_identity(role, configuration, empty);
        if (!identity)
            return identity.error();
        identities_[role] = *identity;
        if (identity->switch_user)
            own_users_.insert(identity->user_id);
        if (role == Role::policy) { // better now than when it is started
            Result<FileDescriptor> made =
                open_directory_of(policies_directory(configuration), *identity);
            if (!made)
                return made.error();
        }
    }
    return {};
}

Result<ipc::Identity> Provisions::choose_identity(Role role, const Configuration& configuration,
                                                  const std::string& empty_directory) const {
    Result<ipc::Identity> identity = identity_of(role, configuration, root_);
    if (!identity)
        return identity;
    // lookup reads the user database, tables what it is asked for, and a relay may have to reach
    // the socket of an LMTP server.
    const bool needs_files = role == Role::lookup || role == Role::tables ||
                             (role == Role::relay && delivers_to_unix_sockets(configuration));
    if (role == Role::queue)
        identity->root_directory = root_ ? configuration.spool : "";
    else if (role == Role::policy)
        identity->root_directory = root_ ? policies_directory(configuration) : "";
    else if (!needs_files)
        identity->root_directory = empty_directory;
    return identity;
}

Result<ipc::Configure> Provisions::configure_message(Role role) const {
    ipc::Configure message;
    if (const auto identity = identities_.find(role); identity != identities_.end())
        message.identity = identity->second;
    Result<FileDescriptor> settings =
        make_memory_file("postern-settings", settings_for(role, configuration_, surroundings_));
    if (!settings)
        return settings.error();
    message.settings = std::move(*settings);
    Result<std::vector<FileDescriptor>> files = files_of(role);
    if (!files)
        return files.error();
    message.files = std::move(*files);
    return message;
}

Result<std::vector<FileDescriptor>> Provisions::files_of(Role role) const {
    std::vector<FileDescriptor> files;
    std::optional<Error> failed;
    auto duplicate = [&](const FileDescriptor& file) {
        files.emplace_back(fcntl(file.get(), F_DUPFD_CLOEXEC, 0));
        if (!files.back() && !failed)
            failed = system_error("cannot duplicate a descriptor");
    };
    if (role == Role::listener)
        for (const BoundSocket& socket : sockets_)
            duplicate(socket.socket);
    if (role == Role::keyholder)
        for (const PkiFiles& pki : surroundings_.credentials.pkis)
            duplicate(pki.key);
    if (role == Role::queue)
        duplicate(spool_);
    if (role == Role::policy) {
        Result<FileDescriptor> policies =
            open_directory_of(policies_directory(configuration_), identities_.at(Role::policy));
        if (!policies)
            return policies.error();
        files.push_back(std::move(*policies));
    }
    if (role == Role::control)
        duplicate(control_socket_);
    if (failed)
        return *failed;
    return files;
}

} // namespace postern
