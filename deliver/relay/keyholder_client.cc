// See keyholder_client.h.
#include "deliver/relay/keyholder_client.h"

#include "common/base/log.h"

namespace postern::relay {

void KeyholderClient::connect(FileDescriptor channel) {
    questions_.abandon();
    channel_ = std::make_unique<ipc::Channel<ipc::KeyholderToListener, ipc::ListenerToKeyholder>>(
        loop_, std::move(channel),
        [this](ipc::KeyholderToListener&& message) {
            std::visit(ipc::Overloaded{
                           [this](ipc::Signature& answer) {
                               questions_.answer(answer.request, std::move(answer.signature));
                           },
                           [](ipc::TicketKeys&) {}, // those are for servers
                       },
                       message);
        },
        [this](const std::string& reason) {
            ipc::log_closed_channel("keyholder", reason);
            channel_.reset();
            questions_.abandon();
        });
}

Task<std::string> KeyholderClient::sign(ipc::SignQuery query, Duration limit) {
    if (!channel_)
        co_return "";
    std::optional<std::string> signature = co_await questions_.ask(
        std::move(query),
        [this](ipc::SignQuery question) {
            channel_->send(ipc::ListenerToKeyholder(std::move(question)));
        },
        limit);
    co_return std::move(signature).value_or("");
}

} // namespace postern::relay
