#include "smtpd/listener/listener.h"

#include <algorithm>
#include <cerrno>
#include <limits>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "common/base/log.h"
#include "common/ipc/channel.h"
#include "smtpd/listener/replies.h"

namespace postern::listener {

namespace {

uint64_t random_number() {
    uint64_t random = 0;
    if (getrandom(&random, sizeof random, GRND_NONBLOCK) != sizeof random)
        random = static_cast<uint64_t>(Clock::now().time_since_epoch().count());
    return random;
}

// Where the numbers of this process's sessions begin: unlike those of other processes and of this
// one's predecessors, so that a session can be found in an old log.
uint64_t first_session_id() { return (random_number() << 32) + 1; }

// Somebody who talks before the greeting has not looked at whom they talk to (RFC 5321 4.3.1).
// Only what is there already counts: nobody is kept waiting for it.
bool has_input(int socket) {
    char byte;
    return ::recv(socket, &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
}

// How many sessions leave enough descriptors to the channels. The queue hands content files over,
// and a channel on which a descriptor finds no room is lost.
size_t descriptors_for_sessions() {
    constexpr size_t reserve = ipc::submission_credit * 3 / 8 + 64;
    rlimit limit{};
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur == RLIM_INFINITY)
        return std::numeric_limits<size_t>::max();
    return limit.rlim_cur > reserve ? limit.rlim_cur - reserve : 1;
}

} // namespace

Listener::Listener(EventLoop& loop, Submission& submission, Routing& routing, Resolver& resolver,
                   Accounts& accounts, KeyholderClient& keyholder)
    : loop_(loop),
      clients_(random_number()), services_{loop,    submission, routing,  resolver, accounts,
                                           delays_, counters_,  clients_, pressure_},
      keyholder_(keyholder), descriptors_for_sessions_(descriptors_for_sessions()),
      next_id_(first_session_id()), reaper_(*this), deadline_(*this) {}

Listener::~Listener() = default;

Result<void> Listener::configure(ipc::ListenerSettings settings,
                                 std::vector<FileDescriptor> sockets) {
    if (sockets.size() != settings.addresses.size())
        return Error{"listening sockets and addresses differ in number"};
    auto shared = std::make_shared<const ipc::ListenerSettings>(std::move(settings));
    std::vector<std::unique_ptr<Acceptor>> acceptors;
    for (size_t i = 0; i < sockets.size(); ++i) {
        Address address;
        address.settings = shared;
        address.index = i;
        if (const TlsOptions& options = address.listen().tls; options.mode != TlsMode::none) {
            auto tls = TlsServer::make(options, *shared, keyholder_.tickets());
            if (!tls)
                return tls.error();
            address.tls = std::move(*tls);
        }
        acceptors.push_back(std::make_unique<Acceptor>(
            loop_, std::move(sockets[i]),
            [this, address](FileDescriptor socket, Endpoint peer) {
                accept(std::move(socket), peer, address);
            },
            [this] {
                log::warning("descriptors or memory have run out",
                             {{"sessions", sessions_.size()}});
                pressure_.descriptors_ran_out(loop_.now());
                relieve();
            }));
        acceptors.back()->pause(paused_);
    }
    clients_.configure(shared->clients, shared->max_sessions);
    pressure_.configure(shared->max_sessions, shared->max_memory);
    settings_ = std::move(shared);
    acceptors_ = std::move(acceptors); // the former sockets close
    return {};
}

void Listener::pause(bool paused) {
    paused_ = paused;
    for (auto& acceptor : acceptors_)
        acceptor->pause(paused);
}

// Nobody is spoken to in plain text where TLS comes first.
void Listener::turn_away(int socket, const ipc::ListenAddress& address, const Reply& reply) {
    if (address.tls.mode == TlsMode::implicit)
        return;
    const std::string text = to_wire(reply);
    // A fresh socket takes a line; if it does not, the client sees the connection close.
    [[maybe_unused]] ssize_t sent =
        ::send(socket, text.data(), text.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
}

// Says why, if it does.
bool Listener::turns_away(int socket, const IpAddress& peer, const Address& place) {
    const ipc::ListenAddress& address = place.listen();
    const uint32_t limit = place.settings->max_sessions;
    const bool scarce = sessions_.size() >= descriptors_for_sessions_;
    if (scarce) {
        pressure_.descriptors_ran_out(loop_.now());
        relieve();
    }
    if (scarce || (limit != 0 && sessions_.size() >= limit)) {
        ++counters_.refused_sessions;
        log::info("too many sessions", {{"client", peer.to_string()}});
        turn_away(socket, address, replies::too_many_sessions(address.hostname));
        return true;
    }
    if (address.proxy != ProxyProtocol::none && !peer.is_loopback() &&
        std::none_of(address.proxies.begin(), address.proxies.end(),
                     [&](const Network& network) { return network.contains(peer); })) {
        ++counters_.refused_proxy;
        log::warning("not a proxy of ours", {{"client", peer.to_string()}});
        turn_away(socket, address, replies::proxies_only(address.hostname));
        return true;
    }
    return false;
}

void Listener::accept(FileDescriptor socket, const Endpoint& peer, const Address& address) {
    if (pressure_.high(loop_.now()))
        relieve();
    const ipc::ListenAddress& place = address.listen();
    if (turns_away(socket.get(), peer.address, address))
        return;
    Connection connection;
    if (place.proxy == ProxyProtocol::none) { // else the session learns who it is
        auto admitted = clients_.admit(peer.address, loop_.now());
        if (auto* excess = std::get_if<Excess>(&admitted)) {
            const Reply reply = replies::over_client_limit(place.hostname, *excess);
            counters_.count_excess(*excess);
            log::info("client over a limit",
                      {{"client", peer.address.to_string()}, {"reason", to_line(reply)}});
            return turn_away(socket.get(), place, reply);
        }
        connection.account = std::move(std::get<std::unique_ptr<ClientLimits::Account>>(admitted));
        // In implicit TLS it is the client who speaks first.
        connection.spoke_early = place.tls.mode != TlsMode::implicit && has_input(socket.get());
    }
    connection.id = next_id_++;
    connection.client = peer.address;
    connection.settings = address.settings;
    connection.address = address.index;
    auto stream = std::make_unique<SocketStream>(loop_, std::move(socket));
    if (address.tls)
        connection.encryption =
            std::make_unique<StreamEncryption>(*stream, address.tls, keyholder_);
    auto session = std::make_unique<Session>(services_, static_cast<SessionOwner&>(*this),
                                             std::move(connection), std::move(stream));
    Session& started = *session;
    sessions_.emplace(started.id(), std::move(session));
    started.start();
}

// Ends those that have waited longest, so many that the pressure is gone. It looks at all of them,
// so not more often than once a second.
void Listener::relieve() {
    const TimePoint now = loop_.now();
    if (now < relieved_ + std::chrono::seconds(1))
        return;
    relieved_ = now;
    std::vector<IdleSession> idle;
    for (const auto& [id, session] : sessions_)
        if (session->overdue_at() <= now)
            idle.push_back({session->waiting_since(), id});
    const auto ids = longest_idle(std::move(idle), pressure_.surplus_sessions(now));
    log::warning(
        "under pressure",
        {{"sessions", sessions_.size()}, {"memory", pressure_.memory()}, {"ended", ids.size()}});
    for (uint64_t id : ids)
        sessions_.at(id)->shed();
}

void Listener::ended(Session& session) {
    ended_.push_back(session.id());
    loop_.schedule(reaper_);
}

void Listener::reap() {
    for (uint64_t id : std::exchange(ended_, {}))
        sessions_.erase(id);
    if (sessions_.empty() && drained_)
        finish_drain();
}

void Listener::drain(Duration limit, std::function<void()> done) {
    acceptors_.clear();
    drained_ = std::move(done);
    deadline_.arm(loop_, loop_.now() + limit);
    for (auto& [id, session] : sessions_)
        session->drain();
    if (sessions_.empty())
        loop_.schedule(reaper_);
}

void Listener::finish_drain() {
    if (!sessions_.empty())
        log::info("sessions broken off", {{"sessions", sessions_.size()}});
    deadline_.disarm();
    for (auto& [id, session] : sessions_)
        session->cut_off();
    sessions_.clear();
    if (std::function<void()> done = std::exchange(drained_, {}))
        done();
}

ipc::Answer Listener::answer(const ipc::Question& question) {
    ipc::Done done;
    std::visit([&done](auto& asked) { done.request = asked.request; }, question);
    auto* asked = std::get_if<ipc::Pause>(&question);
    if (asked && asked->subsystem == ipc::Subsystem::smtp) {
        pause(asked->paused);
        log::info(asked->paused ? "paused" : "resumed");
    } else {
        done.ok = false;
        done.error = "not a question for a listener";
    }
    return done;
}

} // namespace postern::listener
