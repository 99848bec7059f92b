#include "smtpd/listener/lookup_client.h"

#include "common/base/log.h"

namespace postern::listener {

void LookupClient::connect(FileDescriptor channel) {
    questions_.abandon();
    channel_ = std::make_unique<ipc::Channel<ipc::FromLookup, ipc::ToLookup>>(
        loop_, std::move(channel),
        [this](ipc::FromLookup&& message) {
            std::visit(ipc::Overloaded{
                           [this](ipc::RouteAnswer& answer) {
                               questions_.answer(answer.request, answer.verdict);
                           },
                           [](ipc::RoutesChanged&) {}, // no answer is kept here
                       },
                       message);
        },
        [this](const std::string& reason) {
            ipc::log_closed_channel("lookup", reason);
            channel_.reset();
            questions_.abandon();
        });
}

Task<ipc::RouteVerdict> LookupClient::route(ipc::RouteQuery query, Duration limit) {
    if (!channel_)
        co_return ipc::RouteVerdict::temporary;
    std::optional<ipc::RouteVerdict> verdict = co_await questions_.ask(
        std::move(query),
        [this](ipc::RouteQuery question) { channel_->send(ipc::ToLookup(std::move(question))); },
        limit);
    co_return verdict.value_or(ipc::RouteVerdict::temporary);
}

} // namespace postern::listener
