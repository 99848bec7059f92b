#include "smtpd/supervisor/supervisor.h"

#include <algorithm>
#include <csignal>
#include <cstring>
#include <sys/resource.h>
#include <sys/wait.h>

#include "common/base/log.h"
#include "common/config/parse.h"
#include "common/process/process.h"
#include "smtpd/supervisor/wiring.h"

namespace postern {

using ipc::Role;

namespace {

// What a process that is needed no more has for what is under way.
constexpr uint32_t retirement_seconds = 30;

// What those that clients wait for have of the processors before others are started.
constexpr std::chrono::milliseconds head_start{50};

// Before it is tried again to start a process that cannot be started.
constexpr std::chrono::milliseconds least_pause{1000};

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

} // namespace

Supervisor::Supervisor(EventLoop& loop, SupervisorOptions options, Configuration configuration,
                       std::string programs)
    : loop_(loop), options_(std::move(options)), programs_(std::move(programs)),
      root_(geteuid() == 0), provisions_(std::move(configuration), root_),
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
}

Supervisor::~Supervisor() = default;

Result<void> Supervisor::prepare() {
    raise_descriptor_limit();
    Result<void> prepared = provisions_.prepare();
    local_delivery_.set_own_users(provisions_.own_users());
    return prepared;
}

int Supervisor::run() {
    log::info("starting",
              {{"version", POSTERN_VERSION}, {"hostname", provisions_.surroundings().hostname}});
    if (!root_)
        log::info("running as an ordinary user: no process switches its user or changes its root");
    SignalWatch child_signal(loop_, SIGCHLD, [this] { on_child_signal(); });
    SignalWatch terminate(loop_, SIGTERM, [this] { drain(); });
    SignalWatch interrupt(loop_, SIGINT, [this] { drain(); });
    SignalWatch hangup(loop_, SIGHUP, [this] { reload(); });
    start_missing(Stage::front);
    tasks_.spawn(start_others());
    for (const ipc::ListenAddress& address : provisions_.surroundings().listen)
        log::info("listening", {{"address", address.where()}, {"hostname", address.hostname}});
    loop_.run();
    unlink(provisions_.configuration().socket.c_str());
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

// Starts those that the configuration has and that there have not been, or not lately. All of a
// stage are there before the first one reads who is.
void Supervisor::start_missing(Stage stage) {
    std::vector<Child*> missing;
    for (ProcessName name :
         all_processes(provisions_.configuration(), provisions_.surroundings().cores)) {
        if (stage == Stage::front && !serves_clients(name.role))
            continue;
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

Task<void> Supervisor::start_others() {
    co_await loop_.sleep(head_start);
    if (!draining_)
        start_missing(Stage::all);
}

// Ends those that the configuration has no more.
void Supervisor::retire_needless() {
    for (auto& child : children_)
        if (process_count(child->name().role, provisions_.configuration(),
                          provisions_.surroundings().cores) <= child->name().index &&
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
        tasks_.spawn(restart_later(child, std::max(child.ended(), least_pause)));
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
    Result<ipc::Configure> message = provisions_.configure_message(child.name().role);
    if (!message)
        return give_up(child, message.error());
    message->syslog = options_.syslog;
    message->orders = orders_;
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
                    local_delivery_.spawn(provisions_.configuration(), std::move(spawn));
                else
                    child.signal(SIGKILL);
            },
            [&](ipc::SpawnCheck& check) {
                if (is_pam)
                    pam_checks_.spawn(provisions_.configuration(), check);
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
    Result<void> renewed = provisions_.renew(*std::move(parsed.configuration));
    local_delivery_.set_own_users(provisions_.own_users());
    if (!renewed)
        return refuse(renewed.error().message);
    for (auto& child : children_)
        configure(*child);
    retire_needless();
    start_missing(Stage::all);
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
    provisions_.stop_listening();
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
