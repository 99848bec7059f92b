#include "smtpd/supervisor/supervisor.h"

#include <algorithm>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <thread>

#include "common/base/log.h"
#include "common/config/parse.h"
#include "common/process/process.h"
#include "smtpd/supervisor/table_files.h"
#include "smtpd/supervisor/warnings.h"
#include "smtpd/supervisor/wiring.h"

namespace postern {

using ipc::Role;

namespace {

// What a process that is needed no more has for what is under way.
constexpr uint32_t retirement_seconds = 30;

std::string described(ProcessName name) {
    return ipc::role_name(name.role) + (name.index ? std::to_string(name.index) : std::string());
}

std::string how_it_ended(int status) {
    if (WIFSIGNALED(status))
        return std::string("signal ") + strsignal(WTERMSIG(status));
    return "exit status " + std::to_string(WEXITSTATUS(status));
}

// As many descriptors as we may have: sessions and deliveries are made of them.
void raise_descriptor_limit() {
    rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}

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

} // namespace

Supervisor::Supervisor(EventLoop& loop, SupervisorOptions options, Configuration configuration,
                       std::string programs)
    : loop_(loop), options_(std::move(options)), configuration_(std::move(configuration)),
      programs_(std::move(programs)), root_(geteuid() == 0),
      local_delivery_(loop_, programs_, root_,
                      [this](ipc::Exited exited) {
                          if (Child* local = find(Role::local))
                              local->send(std::move(exited));
                      }),
      pam_checks_(programs_, [this](ipc::Exited exited) {
          if (Child* pam = find(Role::pam))
              pam->send(std::move(exited));
      }) {
    orders_.verbose = options_.verbose;
    // Without randomness, which Linux always has, it would be known, and no more than that.
    [[maybe_unused]] const ssize_t got = getrandom(decoy_key_.data(), decoy_key_.size(), 0);
}

Supervisor::~Supervisor() = default;

Result<Surroundings> Supervisor::survey(const Configuration& configuration) const {
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
Result<void> Supervisor::choose_identities(const Configuration& configuration) {
    std::string empty;
    if (root_) {
        Result<std::string> made = empty_directory();
        if (!made)
            return made.error();
        empty = *made;
    }
    for (Role role : {Role::listener, Role::keyholder, Role::resolver, Role::lookup, Role::control,
                      Role::queue, Role::relay, Role::local, Role::pam, Role::tables,
                      Role::policy}) {
        if (identities_.contains(role) || process_count(role, configuration, 1) == 0)
            continue;
        Result<ipc::Identity> identity = identity_of(role, configuration, root_);
        if (!identity)
            return identity.error();
        // lookup reads the user database, tables what it is asked for, and a relay may have to
        // reach the socket of an LMTP server.
        bool needs_files = role == Role::lookup || role == Role::tables ||
                           (role == Role::relay && delivers_to_unix_sockets(configuration));
        if (role == Role::queue)
            identity->root_directory = root_ ? configuration.spool : "";
        else if (role == Role::policy)
            identity->root_directory = root_ ? policies_directory(configuration) : "";
        else if (!needs_files)
            identity->root_directory = empty;
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
    local_delivery_.set_own_users(own_users_);
    return {};
}

Result<void> Supervisor::prepare() {
    raise_descriptor_limit();
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
    Result<FileDescriptor> spool = open_directory_of(configuration_.spool, identities_[Role::queue]);
    if (!spool)
        return spool.error();
    spool_ = std::move(*spool);
    Result<FileDescriptor> control = bind_control_socket(configuration_.socket);
    if (!control)
        return control.error();
    control_socket_ = std::move(*control);
    return {};
}

int Supervisor::run() {
    log::info("starting", {{"version", POSTERN_VERSION}, {"hostname", surroundings_.hostname}});
    if (!root_)
        log::info("running as an ordinary user: no process switches its user or changes its root");
    SignalWatch child_signal(loop_, SIGCHLD, [this] { on_child_signal(); });
    SignalWatch terminate(loop_, SIGTERM, [this] { drain(); });
    SignalWatch interrupt(loop_, SIGINT, [this] { drain(); });
    SignalWatch hangup(loop_, SIGHUP, [this] { reload(); });
    start_missing();
    for (const ipc::ListenAddress& address : surroundings_.listen)
        log::info("listening", {{"address", address.where()}, {"hostname", address.hostname}});
    loop_.run();
    unlink(configuration_.socket.c_str());
    log::info("stopped");
    return 0;
}

Child* Supervisor::find(Role role, uint32_t index) {
    for (auto& child : children_)
        if (child->name() == ProcessName{role, index})
            return child.get();
    return nullptr;
}

bool Supervisor::any_running(const std::vector<Role>& roles) const {
    return std::any_of(children_.begin(), children_.end(), [&](const auto& child) {
        return child->running() &&
               std::find(roles.begin(), roles.end(), child->name().role) != roles.end();
    });
}

// Starts those that the configuration has and that there have not been, or not lately.
void Supervisor::start_missing() {
    std::vector<Child*> missing;
    for (ProcessName name : all_processes(configuration_, surroundings_.cores)) {
        Child* child = find(name.role, name.index);
        const bool retired = retired_.erase(name) == 1;
        if (!child)
            child = children_
                        .emplace_back(std::make_unique<Child>(
                            loop_, name,
                            [this](Child& from, ipc::ToSupervisor&& message) {
                                on_message(from, std::move(message));
                            },
                            options_.syslog ? log::pass_on : ChildLog::PassOn()))
                        .get();
        else if (!retired || child->running()) // one that is ending is started again then
            continue;
        missing.push_back(child);
    }
    for (Child* child : missing)
        start(*child);
}

// Ends those that the configuration has no more.
void Supervisor::retire_needless() {
    for (auto& child : children_)
        if (process_count(child->name().role, configuration_, surroundings_.cores) <=
                child->name().index &&
            retired_.insert(child->name()).second)
            tasks_.spawn(end_in_time(*child));
}

Task<void> Supervisor::end_in_time(Child& child) {
    const pid_t pid = child.pid();
    child.send(ipc::Drain{retirement_seconds});
    co_await loop_.sleep(std::chrono::seconds(retirement_seconds + 1));
    if (child.pid() == pid)
        child.signal(SIGKILL);
}

void Supervisor::start(Child& child) {
    if (Result<void> started = child.start(programs_); !started) {
        log::error("cannot start a process",
                   {{"process", described(child.name())}, {"reason", started.error().message}});
        tasks_.spawn(restart_later(child, std::chrono::seconds(1)));
        return;
    }
    configure(child);
    if (Result<void> wired = wire(child); !wired)
        give_up(child, wired.error());
}

// It cannot be what it should be, for want of descriptors: it is ended, and started again later.
void Supervisor::give_up(Child& child, const Error& why) {
    log::error("a process cannot be provided with what it needs, it is ended",
               {{"process", described(child.name())}, {"reason", why.message}});
    child.signal(SIGKILL);
}

void Supervisor::configure(Child& child) {
    Result<ipc::Configure> message = configure_message(child);
    if (!message)
        return give_up(child, message.error());
    child.send(std::move(*message));
}

// Gives a process that was just started its channels, and its peers the other ends.
Result<void> Supervisor::wire(Child& child) {
    for (auto& other : children_)
        if (other.get() != &child && other->running() &&
            connected(child.name().role, other->name().role))
            if (Result<void> made = connect(child, *other); !made)
                return made;
    return {};
}

Result<void> Supervisor::connect(Child& one, Child& other) {
    Result<ipc::SocketPair> pair = ipc::try_pair();
    if (!pair)
        return pair.error();
    ipc::Connect to_one{other.name().role, other.name().index, std::move(pair->first)};
    ipc::Connect to_other{one.name().role, one.name().index, std::move(pair->second)};
    one.send(std::move(to_one));
    other.send(std::move(to_other));
    return {};
}

Result<ipc::Configure> Supervisor::configure_message(Child& child) {
    ipc::Configure message;
    Role role = child.name().role;
    message.identity = identities_[role];
    message.syslog = options_.syslog;
    message.orders = orders_;
    std::string bytes = settings_for(role, configuration_, surroundings_);
    Result<FileDescriptor> settings = make_memory_file("postern-settings", bytes);
    if (!settings)
        return settings.error();
    message.settings = std::move(*settings);
    std::optional<Error> failed;
    auto duplicate = [&](const FileDescriptor& file) {
        message.files.emplace_back(fcntl(file.get(), F_DUPFD_CLOEXEC, 0));
        if (!message.files.back() && !failed)
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
            open_directory_of(policies_directory(configuration_), identities_[Role::policy]);
        if (!policies)
            return policies.error();
        message.files.push_back(std::move(*policies));
    }
    if (role == Role::control)
        duplicate(control_socket_);
    if (failed)
        return *failed;
    return message;
}

template <class Order> void Supervisor::on_order(Child& child, const Order& order) {
    if (child.name().role != Role::control)
        return child.signal(SIGKILL);
    orders_.heed(order);
    log::set_verbose(orders_.verbose);
}

void Supervisor::on_message(Child& child, ipc::ToSupervisor&& message) {
    bool is_local = child.name().role == Role::local;
    bool is_pam = child.name().role == Role::pam;
    std::visit(
        ipc::Overloaded{
            [&](ipc::Ready& ready) {
                log::debug("ready", {{"process", described(child.name())}, {"pid", ready.pid}});
            },
            [&](ipc::Spawn& spawn) {
                if (is_local)
                    local_delivery_.spawn(configuration_, std::move(spawn));
                else
                    child.signal(SIGKILL);
            },
            [&](ipc::SpawnCheck& check) {
                if (is_pam)
                    pam_checks_.spawn(configuration_, check);
                else
                    child.signal(SIGKILL);
            },
            [&](ipc::Kill& kill) {
                if (is_local)
                    local_delivery_.kill(kill.request);
                else if (is_pam)
                    pam_checks_.kill(kill.request);
                else
                    child.signal(SIGKILL);
            },
            [&](ipc::Pause& pause) { on_order(child, pause); },
            [&](ipc::LogLevel& level) { on_order(child, level); },
        },
        message);
}

void Supervisor::on_child_signal() {
    siginfo_t end;
    for (;;) {
        // Until it is waited for its number is that of nobody else, nor of a group but its own.
        end.si_pid = 0;
        if (waitid(P_ALL, 0, &end, WEXITED | WNOHANG | WNOWAIT) < 0 || end.si_pid == 0)
            return;
        const pid_t pid = end.si_pid;
        pam_checks_.ending(pid);
        int status = 0;
        waitpid(pid, &status, 0);
        if (local_delivery_.ended(pid, status) || pam_checks_.ended(pid, status))
            continue;
        for (auto& child : children_)
            if (child->pid() == pid) {
                on_child_end(*child, status);
                break;
            }
    }
}

void Supervisor::on_child_end(Child& child, int status) {
    std::chrono::milliseconds delay = child.ended();
    if (child.name().role == Role::local)
        local_delivery_.forget();
    if (child.name().role == Role::pam)
        pam_checks_.end_all();
    if (draining_ || retired_.contains(child.name()))
        return;
    log::warning("a process ended, it is started again", {{"process", described(child.name())},
                                                          {"reason", how_it_ended(status)},
                                                          {"after_ms", delay.count()}});
    if (delay == delay.zero())
        start(child);
    else
        tasks_.spawn(restart_later(child, delay));
}

Task<void> Supervisor::restart_later(Child& child, std::chrono::milliseconds delay) {
    co_await loop_.sleep(delay);
    if (!draining_ && !child.running() && !retired_.contains(child.name()))
        start(child);
}

void Supervisor::reload() {
    if (draining_)
        return;
    ParsedConfiguration parsed = parse_configuration_file(options_.configuration_file);
    for (const Diagnostic& error : parsed.errors)
        log::error(error.to_string());
    for (const Diagnostic& warning : parsed.warnings)
        log::warning(warning.to_string());
    auto refuse = [](const std::string& reason) {
        log::error("the configuration is not taken over, the present one stays",
                   {{"reason", reason}});
    };
    if (!parsed.configuration)
        return refuse("it has errors");
    Configuration& fresh = *parsed.configuration;
    if (fresh.spool != configuration_.spool || fresh.socket != configuration_.socket ||
        fresh.listeners != configuration_.listeners || fresh.relays != configuration_.relays ||
        fresh.users.by_process != configuration_.users.by_process ||
        delivers_to_unix_sockets(fresh) != delivers_to_unix_sockets(configuration_))
        return refuse("spool, socket, users, numbers of processes, and whether mail goes to Unix "
                      "sockets change with a restart only");
    Result<Surroundings> found = survey(fresh);
    if (!found)
        return refuse(found.error().message);
    if (Result<void> chosen = choose_identities(fresh); !chosen)
        return refuse(chosen.error().message);
    Result<std::vector<BoundSocket>> bound = bind_listeners(found->listen, sockets_);
    if (!bound)
        return refuse(bound.error().message);
    sockets_ = std::move(*bound);
    surroundings_ = std::move(*found);
    configuration_ = std::move(fresh);
    for (auto& child : children_)
        configure(*child);
    retire_needless();
    start_missing();
    log::info("configuration reloaded", {{"file", options_.configuration_file}});
}

void Supervisor::drain() {
    if (draining_)
        return hurry();
    draining_ = true;
    log::info("stopping: what is under way is finished first");
    tasks_.spawn(end_in_order());
}

// Asked to stop a second time.
void Supervisor::hurry() {
    hurried_ = true;
    for (auto& child : children_)
        child->signal(SIGKILL);
}

Task<void> Supervisor::end_in_order() {
    using namespace std::chrono_literals;
    sockets_.clear(); // no new connections; the listeners close theirs
    for (const DrainStep& step : drain_steps()) {
        for (auto& child : children_)
            if (std::find(step.roles.begin(), step.roles.end(), child->name().role) !=
                step.roles.end())
                child->send(ipc::Drain{step.seconds});
        TimePoint limit = loop_.now() + std::chrono::seconds(step.seconds) + 1s;
        while (any_running(step.roles) && !hurried_ && loop_.now() < limit)
            co_await loop_.sleep(5ms);
        for (auto& child : children_)
            if (child->running() && std::find(step.roles.begin(), step.roles.end(),
                                              child->name().role) != step.roles.end())
                child->signal(SIGKILL);
    }
    while (std::any_of(children_.begin(), children_.end(),
                       [](auto& child) { return child->running(); }))
        co_await loop_.sleep(5ms);
    local_delivery_.end_all();
    loop_.stop();
}

} // namespace postern
