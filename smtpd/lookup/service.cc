#include "smtpd/lookup/service.h"

#include <algorithm>
#include <thread>

#include "common/base/client_network.h"
#include "common/base/log.h"
#include "common/net/socket.h"
#include "smtpd/lookup/scram_server.h"
#include "smtpd/lookup/users.h"

namespace postern {

namespace {

// Questions are answered as they come, so what a peer has open is what it has not read yet: with
// its credit, no more than so many answers of this size (bytes).
constexpr size_t largest_answer = 2048;
constexpr size_t unread_limit = ipc::routing_credit * largest_answer;

const char* counter_name(ipc::RouteVerdict verdict) {
    switch (verdict) {
    case ipc::RouteVerdict::accepted:
        return "lookup.accepted";
    case ipc::RouteVerdict::refused:
        return "lookup.refused";
    case ipc::RouteVerdict::no_rule:
        return "lookup.no_rule";
    case ipc::RouteVerdict::no_mailbox:
        return "lookup.no_mailbox";
    case ipc::RouteVerdict::temporary:
        return "lookup.temporary";
    }
    return "lookup.temporary";
}

const char* counter_name(ipc::Authentication verdict) {
    switch (verdict) {
    case ipc::Authentication::ok:
        return "lookup.passwords.ok";
    case ipc::Authentication::failed:
        return "lookup.passwords.failed";
    case ipc::Authentication::temporary:
        break;
    }
    return "lookup.passwords.temporary";
}

// None for a challenge.
const char* counter_name(ipc::SaslVerdict verdict) {
    switch (verdict) {
    case ipc::SaslVerdict::challenge:
        return nullptr;
    case ipc::SaslVerdict::ok:
        return "lookup.exchanges.ok";
    case ipc::SaslVerdict::failed:
        return "lookup.exchanges.failed";
    case ipc::SaslVerdict::malformed:
        return "lookup.exchanges.malformed";
    case ipc::SaslVerdict::temporary:
        break;
    }
    return "lookup.exchanges.temporary";
}

// A part of the processors: mail goes on while somebody tries out passwords.
unsigned password_threads() { return std::clamp(std::thread::hardware_concurrency() / 2, 1u, 4u); }

Task<DovecotClient::Connected> connect_to_dovecot(EventLoop& loop, std::string path) {
    Result<FileDescriptor> socket =
        co_await connect_to_unix(loop, std::move(path), std::chrono::seconds(10));
    if (!socket)
        co_return socket.error();
    std::unique_ptr<Stream> stream = std::make_unique<SocketStream>(loop, std::move(*socket));
    co_return stream;
}

Result<bool> user_exists(const std::string& name) {
    Result<bool> exists = system_user_exists(name);
    if (!exists)
        log::warning("user database", {{"reason", exists.error().message}});
    return exists;
}

} // namespace

LookupService::LookupService(EventLoop& loop, std::function<void()> on_drained)
    : loop_(loop), on_drained_(std::move(on_drained)), operator_port_(loop, counters_),
      workers_(loop, password_threads(), max_password_checks), pam_(loop) {}

// Nobody is there any more for the last answers.
LookupService::~LookupService() {
    peers_.clear();
    dovecots_.clear();
}

Result<void> LookupService::configure(const ipc::LookupSettings& settings) {
    Result<Router> router = Router::prepare(settings);
    if (!router)
        return router.error();
    Result<Accounts> accounts = Accounts::prepare(settings);
    if (!accounts)
        return accounts.error();
    router_.emplace(std::move(*router));
    accounts_ = *std::move(accounts);
    keep_dovecots(settings);
    pam_services_.clear();
    for (const std::string& name : settings.credentials)
        if (auto service = pam_service(name))
            pam_services_.insert(*std::move(service));
    for (auto& [key, peer] : peers_)
        if (peer.other) // listeners ask anew for each recipient
            peer.other->send(ipc::RoutesChanged());
    return {};
}

void LookupService::connect(ipc::Connect connect) {
    if (connect.role == ipc::Role::control)
        return operator_port_.connect(std::move(connect.channel));
    if (connect.role == ipc::Role::pam)
        return pam_.connect(std::move(connect.channel));
    const PeerKey key{connect.role, connect.index};
    const auto on_closed = [this, key](const std::string& reason) {
        ipc::log_closed_channel(ipc::role_name(key.first), reason);
        disconnect(key);
    };
    Peer peer;
    peer.life = next_life_++;
    if (connect.role == ipc::Role::listener) {
        peer.listener = std::make_unique<ListenerChannel>(
            loop_, std::move(connect.channel),
            [this, key](ipc::ListenerToLookup&& message) { dispatch(key, std::move(message)); },
            on_closed);
        peer.listener->wipe_packets();
        peer.exchanges = std::make_unique<Exchanges>(loop_, [this, key](ipc::SaslAnswer answer) {
            answer_exchange(key, std::move(answer));
        });
        announce(peer);
    } else {
        peer.other = std::make_unique<OtherChannel>(
            loop_, std::move(connect.channel),
            [this, key](ipc::ToLookup&& message) {
                std::visit(ipc::Overloaded{[&](const ipc::RouteQuery& query) {
                               send(key, *peers_.at(key).other, route(query));
                           }},
                           message);
            },
            on_closed);
    }
    peers_.insert_or_assign(key, std::move(peer));
}

void LookupService::dispatch(PeerKey key, ipc::ListenerToLookup&& message) {
    ListenerChannel& channel = *peers_.at(key).listener;
    Exchanges& exchanges = *peers_.at(key).exchanges;
    std::visit(ipc::Overloaded{
                   [&](ipc::RouteQuery& query) { send(key, channel, route(query)); },
                   [&](ipc::Authenticate& question) { authenticate(key, std::move(question)); },
                   [&](ipc::SenderQuery& query) { send(key, channel, check_sender(query)); },
                   [&](ipc::SaslStart& start) { start_exchange(key, std::move(start)); },
                   [&](ipc::SaslResponse& response) { exchanges.respond(std::move(response)); },
                   [&](ipc::SaslCancel& cancel) { exchanges.cancel(cancel); },
               },
               message);
}

ipc::RouteAnswer LookupService::route(const ipc::RouteQuery& query) {
    ipc::RouteAnswer answer = router_->route(query, user_exists);
    ++counters_["lookup.queries"];
    ++counters_[counter_name(answer.verdict)];
    return answer;
}

namespace {

struct Places {
    std::shared_ptr<const void> of_network, of_listener;
};

// Loopback addresses, and who is not on a network, have no share.
bool is_shared_out(const IpAddress& client) { return client.version != 0 && !client.is_loopback(); }

// A place of the client's network; null if it needs none. Nothing: its share is used up.
std::optional<std::shared_ptr<const void>> place_of(const IpAddress& client,
                                                    Shares<IpAddress>& shares) {
    if (!is_shared_out(client))
        return std::shared_ptr<const void>();
    std::shared_ptr<const void> place = shares.take(client_network(client));
    return place ? std::optional(std::move(place)) : std::nullopt;
}

} // namespace

void LookupService::authenticate(PeerKey key, ipc::Authenticate&& question) {
    ++counters_["lookup.passwords"];
    auto service = pam_service(question.table);
    if (service && !pam_services_.contains(*service))
        service.reset();
    auto place = place_of(question.client, service ? pam_checks_of_networks_ : checks_of_networks_);
    if (!place) {
        ipc::AuthenticateAnswer later;
        later.request = question.request;
        return authenticated(key, peers_.at(key).life, std::move(later));
    }
    if (DovecotClient* source = dovecot(question.table))
        ask_dovecot(key, *source, std::move(question), std::move(*place));
    else if (service)
        ask_pam(key, *service, std::move(question), std::move(*place));
    else
        check_password(key, std::move(question), std::move(*place));
}

// `place` is held until there is an answer.
void LookupService::check_password(PeerKey key, ipc::Authenticate&& question,
                                   std::shared_ptr<const void> place) {
    ipc::AuthenticateAnswer answer;
    answer.request = question.request;
    const uint64_t life = peers_.at(key).life;
    const auto candidate = accounts_.find(question.table, question.user);
    if (!candidate) {
        log::warning("there is no such table of credentials", {{"table", question.table}});
        return authenticated(key, life, std::move(answer));
    }
    if (candidate->hash.empty()) {
        answer.verdict = ipc::Authentication::failed;
        return authenticated(key, life, std::move(answer));
    }
    answer.user = candidate->user;
    const bool exists = candidate->exists;
    const IpAddress client = question.client;
    const bool taken =
        workers_.check(std::move(question.password), candidate->hash,
                       [this, key, life, exists, client, answer,
                        place = std::move(place)](PasswordCheck result) mutable {
                           if (result == PasswordCheck::failed && exists)
                               log::error("a password cannot be checked",
                                          {{"user", answer.user}, {"client", client.to_string()}});
                           if (!exists || result == PasswordCheck::differs)
                               answer.verdict = ipc::Authentication::failed;
                           else if (result == PasswordCheck::matches)
                               answer.verdict = ipc::Authentication::ok;
                           authenticated(key, life, std::move(answer));
                       });
    if (!taken)
        authenticated(key, life, std::move(answer));
}

// The peer may have gone meanwhile, and another one, whose questions have the same numbers, be in
// its place: that one must not learn that somebody has proved who he is.
void LookupService::authenticated(PeerKey key, uint64_t life, ipc::AuthenticateAnswer answer) {
    const auto peer = peers_.find(key);
    if (peer == peers_.end() || peer->second.life != life)
        return;
    if (answer.verdict != ipc::Authentication::ok)
        answer.user.clear();
    ++counters_[counter_name(answer.verdict)];
    send(key, *peer->second.listener, std::move(answer));
}

// Those that are wanted still keep their connection.
void LookupService::keep_dovecots(const ipc::LookupSettings& settings) {
    std::map<std::string, std::shared_ptr<DovecotClient>> kept;
    for (const std::string& name : settings.credentials) {
        const auto path = dovecot_socket(name);
        if (!path)
            continue;
        auto& client = kept[name] = dovecots_[name];
        if (!client)
            client = std::make_shared<DovecotClient>(
                loop_, *path, [this, path = *path] { return connect_to_dovecot(loop_, path); },
                [this] {
                    for (auto& [key, peer] : peers_)
                        if (peer.listener)
                            announce(peer);
                });
    }
    dovecots_ = std::move(kept);
}

DovecotClient* LookupService::dovecot(const std::string& credentials) const {
    const auto found = dovecots_.find(credentials);
    return found == dovecots_.end() ? nullptr : found->second.get();
}

void LookupService::announce(Peer& listener) const {
    for (const auto& [name, client] : dovecots_) {
        if (client->mechanisms().empty())
            continue;
        ipc::DovecotMechanisms news;
        news.credentials = name;
        news.mechanisms = client->mechanisms();
        listener.listener->send(std::move(news));
    }
}

void LookupService::ask_dovecot(PeerKey key, DovecotClient& dovecot, ipc::Authenticate&& question,
                                std::shared_ptr<const void> place) {
    std::shared_ptr<const void> request_place = requests_of_listeners_.take(key);
    const bool refused = !request_place;
    const auto done = [this, key, life = peers_.at(key).life, request = question.request, place,
                       request_place](DovecotClient::Outcome end) {
        ipc::AuthenticateAnswer answer;
        answer.request = request;
        if (end.verdict == ipc::SaslVerdict::ok) {
            answer.verdict = ipc::Authentication::ok;
            answer.user = std::move(end.user);
        } else if (end.verdict == ipc::SaslVerdict::failed) {
            answer.verdict = ipc::Authentication::failed;
        }
        authenticated(key, life, std::move(answer));
    };
    if (refused)
        return done({});
    check_password_with(dovecot, question.user, question.password, question.client, done);
}

void LookupService::ask_pam(PeerKey key, const std::string& service, ipc::Authenticate&& question,
                            std::shared_ptr<const void> place) {
    const uint32_t request = question.request;
    ipc::CheckPassword check;
    check.service = service;
    check.user = std::move(question.user);
    check.password = std::move(question.password);
    check.client = question.client;
    pam_.check(std::move(check), [this, key, life = peers_.at(key).life, request,
                                  place = std::move(place)](PamClient::Outcome outcome) {
        ipc::AuthenticateAnswer answer;
        answer.request = request;
        answer.verdict = outcome.verdict;
        answer.user = std::move(outcome.user);
        authenticated(key, life, std::move(answer));
    });
}

void LookupService::start_exchange(PeerKey key, ipc::SaslStart&& start) {
    ++counters_["lookup.exchanges"];
    std::unique_ptr<SaslServer> server;
    if (const auto source = dovecots_.find(start.table); source != dovecots_.end()) {
        // While the client says nothing both are held, for as long as the exchange may last.
        Places places{place_of(start.client, exchanges_of_networks_).value_or(nullptr),
                      requests_of_listeners_.take(key)};
        const bool shared =
            places.of_listener && (places.of_network || !is_shared_out(start.client));
        if (shared)
            server = std::make_unique<DovecotExchange>(
                source->second, start.mechanism, start.client,
                std::make_shared<const Places>(std::move(places)));
    } else if (accounts_.has_scram(start.table)) {
        // Asked for within start(): a reload does not come between.
        server = ScramServer::make(start, [this, table = start.table](std::string_view user) {
            return *accounts_.find_scram(table, user);
        });
    } else {
        log::warning("nobody in this table of credentials has a secret for SCRAM",
                     {{"table", start.table}});
    }
    peers_.at(key).exchanges->start(std::move(start), std::move(server));
}

void LookupService::answer_exchange(PeerKey key, ipc::SaslAnswer answer) {
    if (const char* name = counter_name(answer.verdict))
        ++counters_[name];
    send(key, *peers_.at(key).listener, std::move(answer));
}

ipc::SenderAnswer LookupService::check_sender(const ipc::SenderQuery& query) {
    ipc::SenderAnswer answer;
    answer.request = query.request;
    answer.verdict = accounts_.may_send(query);
    if (answer.verdict == ipc::SenderVerdict::temporary)
        log::warning("there is no such table of senders", {{"table", query.table}});
    return answer;
}

template <class Channel, class Answer>
void LookupService::send(PeerKey key, Channel& channel, Answer answer) {
    channel.send(std::move(answer));
    if (channel.unsent() <= unread_limit)
        return;
    log::error("peer does not read its answers",
               {{"peer", ipc::role_name(key.first)}, {"index", key.second}});
    disconnect(key);
}

void LookupService::disconnect(PeerKey key) {
    peers_.erase(key);
    if (draining_ && peers_.empty())
        finish();
}

void LookupService::drain(std::chrono::seconds limit) {
    draining_ = true;
    if (peers_.empty())
        return finish();
    arm(loop_, loop_.now() + limit);
}

void LookupService::finish() {
    disarm();
    on_drained_();
}

} // namespace postern
