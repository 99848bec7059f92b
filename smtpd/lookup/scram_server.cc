#include "smtpd/lookup/scram_server.h"

#include <sys/random.h>
#include <utility>

#include "common/base/base64.h"

namespace postern {

namespace {

ipc::SaslVerdict verdict_of(ScramExchange::State state) {
    switch (state) {
    case ScramExchange::State::asking:
        return ipc::SaslVerdict::challenge;
    case ScramExchange::State::complete:
        return ipc::SaslVerdict::ok;
    case ScramExchange::State::failed:
        return ipc::SaslVerdict::failed;
    case ScramExchange::State::malformed:
        break;
    }
    return ipc::SaslVerdict::malformed;
}

} // namespace

std::unique_ptr<ScramServer> ScramServer::make(const ipc::SaslStart& start, Find find) {
    const bool plus = start.mechanism == SaslMechanism::scram_sha_256_plus;
    if (!plus && start.mechanism != SaslMechanism::scram_sha_256)
        return nullptr;
    char random[18];
    if (getrandom(random, sizeof random, 0) != sizeof random)
        return nullptr;
    auto link = std::make_shared<Link>();
    ScramExchange exchange(plus, start.bindings, encode_base64({random, sizeof random}),
                           [link](std::string_view user) {
                               link->user = user;
                               return link->account;
                           });
    return std::unique_ptr<ScramServer>(
        new ScramServer(std::move(exchange), std::move(link), std::move(find)));
}

// Who it is, is in the first message: a copy of the exchange reads it, and when the account is
// known the exchange itself does.
void ScramServer::respond(Secret message, Done done) {
    if (std::exchange(is_first_, false))
        ScramExchange(exchange_).respond(message.view());
    if (!link_->user)
        return go_on(message, done);
    auto first = std::make_shared<Secret>(std::move(message));
    find_(*std::exchange(link_->user, std::nullopt),
          [this, first, done = std::move(done),
           alive = std::weak_ptr<bool>(alive_)](std::optional<ScramExchange::Account> account) {
              if (alive.expired())
                  return;
              if (!account)
                  return done({}); // may destroy us
              link_->account = *std::move(account);
              go_on(*first, done);
          });
}

void ScramServer::go_on(const Secret& message, const Done& done) {
    Outcome outcome;
    outcome.verdict = verdict_of(exchange_.respond(message.view()));
    outcome.challenge = exchange_.challenge();
    outcome.user = exchange_.user();
    link_->user.reset();
    done(std::move(outcome)); // may destroy us
}

} // namespace postern
