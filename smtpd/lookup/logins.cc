#include "smtpd/lookup/logins.h"

#include <algorithm>
#include <thread>

#include "common/base/client_network.h"
#include "common/base/log.h"
#include "common/smtp/sasl.h"

namespace postern {

namespace {

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

Logins::Logins(EventLoop& loop, Counters& counters, Peers& peers, PendingQuestions& pending)
    : loop_(loop), counters_(counters), peers_(peers), pending_(pending),
      workers_(loop, password_threads(), max_password_checks), pam_(loop), dovecots_(loop, [this] {
          peers_.for_each([this](Peer& peer) {
              if (peer.listener)
                  announce(peer);
          });
      }) {}

void Logins::use(Accounts accounts, const std::vector<std::string>& credentials) {
    accounts.remember_all_of(accounts_);
    accounts_ = std::move(accounts);
    dovecots_.keep(credentials);
    pam_services_.clear();
    for (const std::string& name : credentials)
        if (auto service = pam_service(name))
            pam_services_.insert(*std::move(service));
}

void Logins::announce(Peer& listener) const {
    for (ipc::DovecotMechanisms& news : dovecots_.mechanisms())
        listener.listener->send(std::move(news));
}

// Passwords.

void Logins::ask(Asker asker, ipc::Authenticate question) {
    ++counters_["lookup.passwords"];
    auto service = pam_service(question.table);
    if (service && !pam_services_.contains(*service))
        service.reset();
    auto place = place_of(question.client, service ? pam_checks_of_networks_ : checks_of_networks_);
    if (!place) {
        ipc::AuthenticateAnswer later;
        later.request = question.request;
        return answer(asker, std::move(later));
    }
    if (const auto dovecot = dovecots_.find(question.table)) {
        ask_dovecot(asker, *dovecot, std::move(question), std::move(*place));
    } else if (service) {
        ask_pam(asker, *service, std::move(question), std::move(*place));
    } else {
        const auto login = pending_.begin<PasswordQuestion>(asker);
        login->question = std::move(question);
        login->network_place = std::move(*place);
        check_password(login);
    }
}

void Logins::check_password(const std::shared_ptr<PasswordQuestion>& login) {
    ipc::Authenticate& question = login->question;
    ipc::AuthenticateAnswer no;
    no.request = question.request;
    const auto candidate = accounts_.find(question.table, question.user, login->answers);
    if (login->answers.wanting()) {
        const Learned learned = pending_.learn(login, [this, login] { check_password(login); });
        if (learned == Learned::now)
            return check_password(login);
        if (learned == Learned::never)
            answer(login->asker, std::move(no));
        return;
    }
    if (!candidate)
        log::warning("there is no such table of credentials", {{"table", question.table}});
    if (!candidate || login->answers.away())
        return answer(login->asker, std::move(no));
    if (candidate->exists)
        accounts_.remember(question.table, candidate->hash);
    if (candidate->hash.empty()) {
        no.verdict = ipc::Authentication::failed;
        return answer(login->asker, std::move(no));
    }
    const auto checked = [this, login, user = candidate->user,
                          exists = candidate->exists](PasswordCheck result) {
        if (result == PasswordCheck::failed && exists)
            log::error("a password cannot be checked",
                       {{"user", user}, {"client", login->question.client.to_string()}});
        ipc::AuthenticateAnswer last;
        last.request = login->question.request;
        last.user = user;
        if (!exists || result == PasswordCheck::differs)
            last.verdict = ipc::Authentication::failed;
        else if (result == PasswordCheck::matches)
            last.verdict = ipc::Authentication::ok;
        answer(login->asker, std::move(last));
    };
    if (!workers_.check(std::move(question.password), candidate->hash, checked))
        answer(login->asker, std::move(no));
}

void Logins::ask_dovecot(Asker asker, DovecotClient& dovecot, ipc::Authenticate&& question,
                         std::shared_ptr<const void> place) {
    std::shared_ptr<const void> request_place = requests_of_listeners_.take(asker.place);
    const bool refused = !request_place;
    const auto done = [this, asker, request = question.request, place,
                       request_place](DovecotClient::Outcome end) {
        ipc::AuthenticateAnswer last;
        last.request = request;
        if (end.verdict == ipc::SaslVerdict::ok) {
            last.verdict = ipc::Authentication::ok;
            last.user = std::move(end.user);
        } else if (end.verdict == ipc::SaslVerdict::failed) {
            last.verdict = ipc::Authentication::failed;
        }
        answer(asker, std::move(last));
    };
    if (refused)
        return done({});
    check_password_with(dovecot, question.user, question.password, question.client, done);
}

void Logins::ask_pam(Asker asker, const std::string& service, ipc::Authenticate&& question,
                     std::shared_ptr<const void> place) {
    const uint32_t request = question.request;
    ipc::CheckPassword check;
    check.service = service;
    check.user = std::move(question.user);
    check.password = std::move(question.password);
    check.client = question.client;
    pam_.check(std::move(check),
               [this, asker, request, place = std::move(place)](PamClient::Outcome outcome) {
                   ipc::AuthenticateAnswer last;
                   last.request = request;
                   last.verdict = outcome.verdict;
                   last.user = std::move(outcome.user);
                   answer(asker, std::move(last));
               });
}

// Another one in the asker's place must not learn that somebody has proved who he is.
void Logins::answer(Asker asker, ipc::AuthenticateAnswer answer) {
    if (!peers_.find(asker))
        return;
    if (answer.verdict != ipc::Authentication::ok)
        answer.user.clear();
    ++counters_[counter_name(answer.verdict)];
    peers_.answer_listener(asker, std::move(answer));
}

// Exchanges of SASL messages.

std::unique_ptr<Exchanges> Logins::exchanges_of(Asker listener) {
    return std::make_unique<Exchanges>(loop_, [this, listener](ipc::SaslAnswer answer) {
        if (const char* name = counter_name(answer.verdict))
            ++counters_[name];
        peers_.answer_listener(listener, std::move(answer));
    });
}

void Logins::start(Asker asker, ipc::SaslStart start) {
    ++counters_["lookup.exchanges"];
    std::unique_ptr<SaslServer> server;
    if (const auto dovecot = dovecots_.find(start.table))
        server = dovecot_server(asker, start, dovecot);
    else if (accounts_.has_scram(start.table))
        server = scram_server(asker, start);
    else
        log::warning("nobody in this table of credentials has a secret for SCRAM",
                     {{"table", start.table}});
    peers_.find(asker)->exchanges->start(std::move(start), std::move(server));
}

// Null: a share is used up. While the client says nothing both places are held, for as long as the
// exchange may last.
std::unique_ptr<SaslServer> Logins::dovecot_server(Asker asker, const ipc::SaslStart& start,
                                                   const std::shared_ptr<DovecotClient>& dovecot) {
    Places places{place_of(start.client, exchanges_of_networks_).value_or(nullptr),
                  requests_of_listeners_.take(asker.place)};
    if (!places.of_listener || (!places.of_network && is_shared_out(start.client)))
        return nullptr;
    return std::make_unique<DovecotExchange>(dovecot, start.mechanism, start.client,
                                             std::make_shared<const Places>(std::move(places)));
}

std::unique_ptr<SaslServer> Logins::scram_server(Asker asker, const ipc::SaslStart& start) {
    return ScramServer::make(
        start, [this, asker, table = start.table](std::string user, ScramServer::Found found) {
            const auto question = pending_.begin<ScramQuestion>(asker);
            question->table = table;
            question->user = std::move(user);
            question->found = std::move(found);
            find_scram(question);
        });
}

// Nothing where it cannot be told, or a reload has taken the table away meanwhile.
void Logins::find_scram(const std::shared_ptr<ScramQuestion>& question) {
    auto account = accounts_.find_scram(question->table, question->user, question->answers);
    if (question->answers.wanting()) {
        const Learned learned =
            pending_.learn(question, [this, question] { find_scram(question); });
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

// Senders.

void Logins::ask(Asker asker, ipc::SenderQuery query) {
    const auto question = pending_.begin<SenderQuestion>(asker);
    question->query = std::move(query);
    check_sender(question);
}

void Logins::check_sender(const std::shared_ptr<SenderQuestion>& question) {
    ipc::SenderAnswer answer;
    answer.request = question->query.request;
    answer.verdict = accounts_.may_send(question->query, question->answers);
    if (question->answers.wanting()) {
        const Learned learned =
            pending_.learn(question, [this, question] { check_sender(question); });
        if (learned == Learned::now)
            return check_sender(question);
        if (learned == Learned::later)
            return;
        answer.verdict = ipc::SenderVerdict::temporary;
    } else if (answer.verdict == ipc::SenderVerdict::temporary && !question->answers.away()) {
        log::warning("there is no such table of senders", {{"table", question->query.table}});
    }
    peers_.answer_listener(question->asker, std::move(answer));
}

} // namespace postern
