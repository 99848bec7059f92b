// See keyholder_client.h.
#include "deliver/relay/keyholder_client.h"

#include "common/base/log.h"

namespace postern::relay {

namespace {

constexpr Duration restart_pause = std::chrono::milliseconds(200);

} // namespace

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
    const TimePoint end = loop_.now() + limit;
    const auto send = [this](ipc::SignQuery question) {
        channel_->send(ipc::ListenerToKeyholder(std::move(question)));
    };
    while (loop_.now() < end) {
        if (channel_) {
            ipc::SignQuery question = query;
            std::optional<std::string> signature =
                co_await questions_.ask(std::move(question), send, end - loop_.now());
            if (signature)
                co_return std::move(*signature); // empty: it will not sign
        }
        co_await loop_.sleep(restart_pause);
    }
    co_return "";
}

} // namespace postern::relay
