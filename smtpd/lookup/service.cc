#include "smtpd/lookup/service.h"

#include <algorithm>
#include <thread>

#include "common/base/client_network.h"
#include "common/base/log.h"
#include "common/net/socket.h"
#include "smtpd/lookup/users.h"

namespace postern {

namespace {

// Questions are answered as they come, so what a peer has open is what it has not read yet: with
// its credit, no more than so many answers of this size (bytes).
constexpr size_t largest_answer = 2048;
constexpr size_t unread_limit = ipc::routing_credit * largest_answer;
// The same with those who are in recipients' places (bytes): a packet's worth each, several of the
// largest lists at once.
constexpr size_t expanded_part = 64 * 1024;
constexpr size_t unread_expanded_limit = 128u << 20;
// Keys of aliases that one question asks for at once.
constexpr size_t members_at_once = 512;
constexpr size_t paced_limit = 8u << 20; // beyond it nothing more is worked out

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
    case ipc::RouteVerdict::expanded:
        return "lookup.expanded";
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

ipc::RouteAnswer temporary_answer(const ipc::RouteQuery& query) {
    ipc::RouteAnswer answer;
    answer.request = query.request;
    return answer;
}

size_t size_of(const ipc::ExpandedRecipient& one) {
    return one.recipient.size() + one.owner.size() + 32 +
           (one.target ? one.target->text.size() + one.target->user.size() : 0);
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
    Result<RelaySecrets> secrets = RelaySecrets::prepare(settings);
    if (!secrets)
        return secrets.error();
    router_.emplace(std::move(*router));
    tables_.forget();
    secrets_ = *std::move(secrets);
    accounts->remember_all_of(accounts_);
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
    if (connect.role == ipc::Role::tables)
        return tables_.connect(std::move(connect.channel));
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
    } else if (connect.role == ipc::Role::relay) {
        connect_relay(peer, key, std::move(connect.channel));
    } else {
        peer.other = std::make_unique<OtherChannel>(
            loop_, std::move(connect.channel),
            [this, key](ipc::ToLookup&& message) {
                std::visit(
                    ipc::Overloaded{[&](ipc::RouteQuery& query) { route(key, std::move(query)); }},
                    message);
            },
            on_closed);
        peer.paced = std::make_unique<Paced>(
            loop_, [&channel = *peer.other] { return channel.unsent() < paced_limit; });
    }
    peers_.insert_or_assign(key, std::move(peer));
}

void LookupService::connect_relay(Peer& peer, PeerKey key, FileDescriptor channel) {
    peer.relay = std::make_unique<RelayChannel>(
        loop_, std::move(channel),
        [this, key](ipc::RelayToLookup&& message) {
            std::visit(ipc::Overloaded{[&](const ipc::CredentialQuery& query) {
                           ++counters_["lookup.secrets"];
                           send(key, *peers_.at(key).relay, secrets_.find(query));
                       }},
                       message);
        },
        [this, key](const std::string& reason) {
            ipc::log_closed_channel(ipc::role_name(key.first), reason);
            disconnect(key);
        });
    peer.relay->wipe_packets();
}

void LookupService::dispatch(PeerKey key, ipc::ListenerToLookup&& message) {
    Exchanges& exchanges = *peers_.at(key).exchanges;
    std::visit(ipc::Overloaded{
                   [&](ipc::RouteQuery& query) { route(key, std::move(query)); },
                   [&](ipc::Authenticate& question) { authenticate(key, std::move(question)); },
                   [&](ipc::SenderQuery& query) {
                       const auto question = begin<SenderQuestion>(key);
                       question->query = std::move(query);
                       check_sender(question);
                   },
                   [&](ipc::SaslStart& start) { start_exchange(key, std::move(start)); },
                   [&](ipc::SaslResponse& response) { exchanges.respond(std::move(response)); },
                   [&](ipc::SaslCancel& cancel) { exchanges.cancel(cancel); },
               },
               message);
}

template <class Kind> std::shared_ptr<Kind> LookupService::begin(PeerKey key) const {
    auto question = std::make_shared<Kind>();
    question->peer = key;
    question->life = peers_.at(key).life;
    question->until = loop_.now() + question_limit;
    return question;
}

void LookupService::route(PeerKey key, ipc::RouteQuery&& query) {
    ++counters_["lookup.queries"];
    const auto waiting = begin<Waiting>(key);
    waiting->query = std::move(query);
    route_in_turn(waiting);
}

// What the queue asks is worked out as fast as it reads the answers.
void LookupService::route_in_turn(const std::shared_ptr<Waiting>& waiting) {
    Peer* asker = peer(waiting->peer, waiting->life);
    if (!asker)
        return; // nobody wants to know any more
    if (!asker->paced)
        return route_again(waiting);
    if (asker->paced->waiting() >= ipc::routing_credit)
        return answer_route(*waiting, temporary_answer(waiting->query));
    asker->paced->add([this, waiting] { route_again(waiting); });
}

// Large lists name the same users again and again.
Result<bool> LookupService::user_exists(const std::string& name) {
    if (users_at_ != loop_.now()) {
        users_at_ = loop_.now();
        users_.clear();
    }
    if (const auto known = users_.find(name); known != users_.end())
        return known->second;
    const Result<bool> exists = system_user_exists(name);
    if (exists)
        users_.emplace(name, *exists);
    else
        log::warning("user database", {{"reason", exists.error().message}});
    return exists;
}

// By the rules as they are now, with what has become known.
void LookupService::route_again(const std::shared_ptr<Waiting>& waiting) {
    const bool of_listener = waiting->peer.first == ipc::Role::listener;
    const UserExists exists = [this](const std::string& name) { return user_exists(name); };
    Learned learned = Learned::now;
    while (learned == Learned::now) {
        std::vector<std::string> problems;
        ipc::RouteAnswer answer =
            router_->route(waiting->query, exists, waiting->answers, &problems,
                           of_listener ? Wanted::somebody : Wanted::everybody);
        if (!waiting->answers.wanting()) {
            for (const std::string& problem : problems) // who asks at RCPT fills no log
                if (!of_listener)
                    log::warning("an alias cannot be used as it is",
                                 {{"to", waiting->query.recipient}, {"reason", problem}});
            return answer_route(*waiting, std::move(answer));
        }
        learned = learn(waiting, [this, waiting] { route_in_turn(waiting); });
    }
    if (learned == Learned::never)
        answer_route(*waiting, temporary_answer(waiting->query));
}

void LookupService::answer_route(const Waiting& waiting, ipc::RouteAnswer answer) {
    ++counters_[counter_name(answer.verdict)];
    Peer* asker = peer(waiting.peer, waiting.life);
    if (!asker)
        return;
    if (asker->listener)
        answer_listener(waiting.peer, std::move(answer));
    else
        answer_queue(waiting.peer, std::move(answer));
}

LookupService::Learned LookupService::learn(const std::shared_ptr<Question>& question,
                                            std::function<void()> then) {
    std::vector<TableKey> wanted = question->answers.take_wanted();
    // Of the members of a large list some, so that others are answered in between: the next
    // evaluation wants the rest.
    size_t members = 0;
    std::erase_if(wanted, [&](const TableKey& key) {
        return key.service == TableService::alias && ++members > members_at_once;
    });
    if (!question->place)
        question->place = waiting_of_peers_.take(question->life);
    if (!question->place || loop_.now() >= question->until)
        return Learned::never;
    // One more: some may be known at once, and not before all are asked for it goes on.
    const auto missing = std::make_shared<size_t>(wanted.size() + 1);
    const auto learned = [missing, then = std::move(then)] {
        if (--*missing == 0)
            then();
    };
    for (const TableKey& key : wanted)
        tables_.ask(key, [question, key, learned](const TableAnswers::Answer& known) {
            question->answers.learn(key, known);
            learned();
        });
    return --*missing == 0 ? Learned::now : Learned::later;
}

// Who asked, if he is still there: another one may be in his place.
LookupService::Peer* LookupService::peer(PeerKey key, uint64_t life) {
    const auto found = peers_.find(key);
    return found == peers_.end() || found->second.life != life ? nullptr : &found->second;
}

// They need not know who is in a recipient's place.
void LookupService::answer_listener(PeerKey key, ipc::RouteAnswer answer) {
    answer.expanded.clear();
    send(key, *peers_.at(key).listener, std::move(answer));
}

// In as many answers as it takes.
void LookupService::answer_queue(PeerKey key, ipc::RouteAnswer answer) {
    std::vector<ipc::ExpandedRecipient> all = std::exchange(answer.expanded, {});
    for (size_t next = 0; next == 0 || next < all.size();) {
        ipc::RouteAnswer part = answer;
        size_t size = 0;
        for (; next < all.size() && size < expanded_part; ++next) {
            size += size_of(all[next]);
            part.expanded.push_back(std::move(all[next]));
        }
        part.more = next < all.size();
        const auto peer = peers_.find(key);
        if (peer == peers_.end())
            return; // it did not read the ones before
        send(key, *peer->second.other, std::move(part));
        if (all.empty())
            return;
    }
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
    if (DovecotClient* source = dovecot(question.table)) {
        ask_dovecot(key, *source, std::move(question), std::move(*place));
    } else if (service) {
        ask_pam(key, *service, std::move(question), std::move(*place));
    } else {
        const auto login = begin<Login>(key);
        login->question = std::move(question);
        login->network_place = std::move(*place);
        check_password(login);
    }
}

void LookupService::check_password(const std::shared_ptr<Login>& login) {
    ipc::Authenticate& question = login->question;
    ipc::AuthenticateAnswer answer;
    answer.request = question.request;
    const PeerKey key = login->peer;
    const uint64_t life = login->life;
    const auto candidate = accounts_.find(question.table, question.user, login->answers);
    if (login->answers.wanting()) {
        const Learned learned = learn(login, [this, login] { check_password(login); });
        if (learned == Learned::now)
            return check_password(login);
        if (learned == Learned::never)
            authenticated(key, life, std::move(answer));
        return;
    }
    if (!candidate)
        log::warning("there is no such table of credentials", {{"table", question.table}});
    if (!candidate || login->answers.away())
        return authenticated(key, life, std::move(answer));
    if (candidate->exists)
        accounts_.remember(question.table, candidate->hash);
    if (candidate->hash.empty()) {
        answer.verdict = ipc::Authentication::failed;
        return authenticated(key, life, std::move(answer));
    }
    answer.user = candidate->user;
    const bool exists = candidate->exists;
    const IpAddress client = question.client;
    const bool taken = workers_.check(
        std::move(question.password), candidate->hash,
        [this, key, life, exists, client, answer, login](PasswordCheck result) mutable {
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
    Peer* asker = peer(key, life);
    if (!asker)
        return;
    if (answer.verdict != ipc::Authentication::ok)
        answer.user.clear();
    ++counters_[counter_name(answer.verdict)];
    send(key, *asker->listener, std::move(answer));
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
        server = ScramServer::make(
            start, [this, key, table = start.table](std::string user, ScramServer::Found found) {
                const auto question = begin<ScramQuestion>(key);
                question->table = table;
                question->user = std::move(user);
                question->found = std::move(found);
                find_scram(question);
            });
    } else {
        log::warning("nobody in this table of credentials has a secret for SCRAM",
                     {{"table", start.table}});
    }
    peers_.at(key).exchanges->start(std::move(start), std::move(server));
}

// Nothing where it cannot be told, or a reload has taken the table away meanwhile.
void LookupService::find_scram(const std::shared_ptr<ScramQuestion>& question) {
    auto account = accounts_.find_scram(question->table, question->user, question->answers);
    if (question->answers.wanting()) {
        const Learned learned = learn(question, [this, question] { find_scram(question); });
        if (learned == Learned::now)
            return find_scram(question);
        if (learned == Learned::never)
            question->found(std::nullopt);
        return;
    }
    if (question->answers.away())
        account.reset();
    if (account && account->exists)
        accounts_.remember(question->table, to_string(account->secret));
    question->found(std::move(account));
}

void LookupService::answer_exchange(PeerKey key, ipc::SaslAnswer answer) {
    if (const char* name = counter_name(answer.verdict))
        ++counters_[name];
    send(key, *peers_.at(key).listener, std::move(answer));
}

void LookupService::check_sender(const std::shared_ptr<SenderQuestion>& question) {
    ipc::SenderAnswer answer;
    answer.request = question->query.request;
    answer.verdict = accounts_.may_send(question->query, question->answers);
    if (question->answers.wanting()) {
        const Learned learned = learn(question, [this, question] { check_sender(question); });
        if (learned == Learned::now)
            return check_sender(question);
        if (learned == Learned::later)
            return;
        answer.verdict = ipc::SenderVerdict::temporary;
    } else if (answer.verdict == ipc::SenderVerdict::temporary && !question->answers.away()) {
        log::warning("there is no such table of senders", {{"table", question->query.table}});
    }
    if (Peer* asker = peer(question->peer, question->life))
        send(question->peer, *asker->listener, std::move(answer));
}

template <class Channel, class Answer>
void LookupService::send(PeerKey key, Channel& channel, Answer answer) {
    channel.send(std::move(answer));
    const size_t limit = key.first == ipc::Role::listener ? unread_limit : unread_expanded_limit;
    if (channel.unsent() <= limit)
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
