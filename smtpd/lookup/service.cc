#include "smtpd/lookup/service.h"

#include "common/base/log.h"
#include "common/smtp/domain_name.h"

namespace postern {

LookupService::LookupService(EventLoop& loop, std::function<void()> on_drained)
    : loop_(loop), on_drained_(std::move(on_drained)), operator_port_(loop, counters_),
      peers_([this] {
          if (draining_ && peers_.empty())
              finish();
      }),
      pending_(loop, tables_), routes_(loop, counters_, peers_, pending_),
      logins_(loop, counters_, peers_, pending_), tables_(loop, counters_) {}

// Nobody is there any more for the last answers.
LookupService::~LookupService() { peers_.clear(); }

Result<void> LookupService::configure(const ipc::LookupSettings& settings) {
    Result<Router> router = Router::prepare(settings, [this] { return loop_.wall_seconds(); });
    if (!router)
        return router.error();
    Result<Accounts> accounts = Accounts::prepare(settings);
    if (!accounts)
        return accounts.error();
    Result<RelaySecrets> secrets = RelaySecrets::prepare(settings);
    if (!secrets)
        return secrets.error();
    if (!settings.srs.key.empty() && !is_domain(settings.srs.domain))
        log::error("no senders are rewritten: \"srs domain\" is missing, and this is no domain",
                   {{"hostname", settings.srs.domain}});
    routes_.use(*std::move(router));
    tables_.forget();
    secrets_ = *std::move(secrets);
    logins_.use(*std::move(accounts), settings.credentials);
    peers_.for_each([](Peer& peer) {
        if (peer.other) // listeners ask anew for each recipient
            peer.other->send(ipc::RoutesChanged());
    });
    return {};
}

void LookupService::connect(ipc::Connect connect) {
    if (connect.role == ipc::Role::control)
        return operator_port_.connect(std::move(connect.channel));
    if (connect.role == ipc::Role::pam)
        return logins_.connect_pam(std::move(connect.channel));
    if (connect.role == ipc::Role::tables)
        return tables_.connect(std::move(connect.channel));
    const Asker asker = peers_.next(connect.role, connect.index);
    Peer peer;
    if (connect.role == ipc::Role::listener)
        connect_listener(peer, asker, std::move(connect.channel));
    else if (connect.role == ipc::Role::relay)
        connect_relay(peer, asker, std::move(connect.channel));
    else
        connect_other(peer, asker, std::move(connect.channel));
    peers_.add(asker, std::move(peer));
}

void LookupService::connect_listener(Peer& peer, Asker asker, FileDescriptor channel) {
    peer.listener = std::make_unique<Peer::ListenerChannel>(
        loop_, std::move(channel),
        [this, asker](ipc::ListenerToLookup&& message) { dispatch(asker, std::move(message)); },
        [this, asker](const std::string& reason) { lose(asker, reason); });
    peer.listener->wipe_packets();
    peer.exchanges = logins_.exchanges_of(asker);
    logins_.announce(peer);
}

void LookupService::dispatch(Asker asker, ipc::ListenerToLookup&& message) {
    Exchanges& exchanges = *peers_.find(asker)->exchanges;
    std::visit(ipc::Overloaded{
                   [&](ipc::RouteQuery& query) { routes_.ask(asker, std::move(query)); },
                   [&](ipc::Authenticate& question) { logins_.ask(asker, std::move(question)); },
                   [&](ipc::SenderQuery& query) { logins_.ask(asker, std::move(query)); },
                   [&](ipc::SaslStart& start) { logins_.start(asker, std::move(start)); },
                   [&](ipc::SaslResponse& response) { exchanges.respond(std::move(response)); },
                   [&](ipc::SaslCancel& cancel) { exchanges.cancel(cancel); },
               },
               message);
}

void LookupService::connect_relay(Peer& peer, Asker asker, FileDescriptor channel) {
    peer.relay = std::make_unique<Peer::RelayChannel>(
        loop_, std::move(channel),
        [this, asker](ipc::RelayToLookup&& message) {
            std::visit(ipc::Overloaded{[&](const ipc::CredentialQuery& query) {
                           ++counters_["lookup.secrets"];
                           peers_.answer_relay(asker, secrets_.find(query));
                       }},
                       message);
        },
        [this, asker](const std::string& reason) { lose(asker, reason); });
    peer.relay->wipe_packets();
}

void LookupService::connect_other(Peer& peer, Asker asker, FileDescriptor channel) {
    peer.other = std::make_unique<Peer::OtherChannel>(
        loop_, std::move(channel),
        [this, asker](ipc::ToLookup&& message) {
            std::visit(ipc::Overloaded{[&](ipc::RouteQuery& query) {
                           routes_.ask(asker, std::move(query));
                       }},
                       message);
        },
        [this, asker](const std::string& reason) { lose(asker, reason); });
    peer.paced = RouteQuestions::pace_of(loop_, *peer.other);
}

void LookupService::lose(Asker asker, const std::string& reason) {
    ipc::log_closed_channel(ipc::role_name(asker.place.first), reason);
    peers_.disconnect(asker);
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
