#include "smtpd/listener/lookup_client.h"

#include "common/base/log.h"

namespace postern::listener {

void LookupClient::connect(FileDescriptor channel) {
    abandon();
    channel_ = std::make_unique<ipc::Channel<ipc::LookupToListener, ipc::ListenerToLookup>>(
        loop_, std::move(channel),
        [this](ipc::LookupToListener&& message) {
            std::visit(ipc::Overloaded{
                           [this](ipc::RouteAnswer& answer) {
                               routes_.answer(answer.request, std::move(answer));
                           },
                           [this](ipc::AuthenticateAnswer& answer) {
                               passwords_.answer(answer.request, std::move(answer));
                           },
                           [this](ipc::SaslAnswer& answer) {
                               exchanges_.answer(answer.request, std::move(answer));
                           },
                           [this](ipc::DovecotMechanisms& news) {
                               announced_[news.credentials] = std::move(news.mechanisms);
                           },
                           [this](ipc::SenderAnswer& answer) {
                               senders_.answer(answer.request, answer.verdict);
                           },
                       },
                       message);
        },
        [this](const std::string& reason) {
            ipc::log_closed_channel("lookup", reason);
            channel_.reset();
            abandon();
        });
    channel_->wipe_packets();
}

void LookupClient::abandon() {
    routes_.abandon();
    passwords_.abandon();
    exchanges_.abandon();
    senders_.abandon();
}

Task<ipc::RouteAnswer> LookupClient::route(ipc::RouteQuery query, Duration limit) {
    ipc::RouteAnswer none;
    if (!channel_)
        co_return none;
    std::optional<ipc::RouteAnswer> answer = co_await routes_.ask(
        std::move(query), [this](ipc::RouteQuery question) { channel_->send(std::move(question)); },
        limit);
    co_return answer ? *std::move(answer) : none;
}

Task<ipc::AuthenticateAnswer> LookupClient::authenticate(ipc::Authenticate question,
                                                         Duration limit) {
    ipc::AuthenticateAnswer none;
    if (!channel_)
        co_return none;
    std::optional<ipc::AuthenticateAnswer> answer = co_await passwords_.ask(
        std::move(question), [this](ipc::Authenticate asked) { channel_->send(std::move(asked)); },
        limit);
    co_return answer ? *std::move(answer) : none;
}

template <class Step> Task<ipc::SaslAnswer> LookupClient::ask_for_step(Step step, Duration limit) {
    ipc::SaslAnswer none;
    if (!channel_)
        co_return none;
    std::optional<ipc::SaslAnswer> answer = co_await exchanges_.ask(
        std::move(step), [this](Step asked) { channel_->send(std::move(asked)); }, limit);
    co_return answer ? *std::move(answer) : none;
}

Task<ipc::SaslAnswer> LookupClient::start(ipc::SaslStart start, Duration limit) {
    return ask_for_step(std::move(start), limit);
}

Task<ipc::SaslAnswer> LookupClient::respond(ipc::SaslResponse response, Duration limit) {
    return ask_for_step(std::move(response), limit);
}

void LookupClient::cancel(uint64_t exchange) {
    if (channel_)
        channel_->send(ipc::SaslCancel{exchange});
}

std::optional<std::vector<SaslMechanism>>
LookupClient::announced(const std::string& credentials) const {
    const auto found = announced_.find(credentials);
    if (found == announced_.end())
        return std::nullopt;
    return found->second;
}

Task<ipc::SenderVerdict> LookupClient::check_sender(ipc::SenderQuery query, Duration limit) {
    if (!channel_)
        co_return ipc::SenderVerdict::temporary;
    std::optional<ipc::SenderVerdict> verdict = co_await senders_.ask(
        std::move(query),
        [this](ipc::SenderQuery question) { channel_->send(std::move(question)); }, limit);
    co_return verdict.value_or(ipc::SenderVerdict::temporary);
}

} // namespace postern::listener
