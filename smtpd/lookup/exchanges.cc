#include "smtpd/lookup/exchanges.h"

namespace postern {

void Exchanges::start(ipc::SaslStart start, std::unique_ptr<SaslServer> server) {
    open_.erase(start.exchange);
    if (!server || open_.size() >= limit)
        return refuse(start.request);
    auto exchange = std::make_unique<Exchange>(*this, start.exchange);
    exchange->server = std::move(server);
    open_[start.exchange] = std::move(exchange);
    step(start.request, start.exchange, std::move(start.response));
}

void Exchanges::respond(ipc::SaslResponse response) {
    const auto found = open_.find(response.exchange);
    if (found == open_.end())
        return refuse(response.request);
    if (found->second->busy || found->second->steps >= most_steps) {
        open_.erase(found);
        return refuse(response.request);
    }
    step(response.request, response.exchange, std::move(response.response));
}

void Exchanges::step(uint32_t request, uint64_t id, Secret message) {
    Exchange& exchange = *open_.at(id);
    ++exchange.steps;
    exchange.busy = true;
    exchange.arm(executor_, executor_.now() + patience);
    // The server may answer when the exchange, and we with it, are gone.
    exchange.server->respond(std::move(message),
                             [this, request, id, alive = std::weak_ptr<bool>(exchange.alive)](
                                 SaslServer::Outcome outcome) {
                                 if (!alive.expired())
                                     answer(request, id, std::move(outcome));
                             });
}

void Exchanges::answer(uint32_t request, uint64_t id, SaslServer::Outcome outcome) {
    const auto found = open_.find(id);
    if (outcome.verdict == ipc::SaslVerdict::challenge) {
        found->second->busy = false;
        found->second->arm(executor_, executor_.now() + patience);
    }
    ipc::SaslAnswer answer;
    answer.request = request;
    answer.verdict = outcome.verdict;
    answer.challenge = std::move(outcome.challenge);
    answer.user = std::move(outcome.user);
    if (outcome.verdict != ipc::SaslVerdict::challenge)
        open_.erase(found);
    send_(std::move(answer)); // may destroy us
}

void Exchanges::refuse(uint32_t request) {
    ipc::SaslAnswer answer;
    answer.request = request;
    send_(std::move(answer));
}

} // namespace postern
