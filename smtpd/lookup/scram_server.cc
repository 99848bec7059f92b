#include "smtpd/lookup/scram_server.h"

#include <sys/random.h>

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

std::unique_ptr<ScramServer> ScramServer::make(const ipc::SaslStart& start,
                                               ScramExchange::Find find) {
    const bool plus = start.mechanism == SaslMechanism::scram_sha_256_plus;
    if (!plus && start.mechanism != SaslMechanism::scram_sha_256)
        return nullptr;
    char random[18];
    if (getrandom(random, sizeof random, 0) != sizeof random)
        return nullptr;
    return std::make_unique<ScramServer>(ScramExchange(
        plus, start.bindings, encode_base64({random, sizeof random}), std::move(find)));
}

void ScramServer::respond(Secret message, Done done) {
    Outcome outcome;
    outcome.verdict = verdict_of(exchange_.respond(message.view()));
    outcome.challenge = exchange_.challenge();
    outcome.user = exchange_.user();
    done(std::move(outcome)); // may destroy us
}

} // namespace postern
