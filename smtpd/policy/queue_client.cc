#include "smtpd/policy/queue_client.h"

#include "common/base/log.h"

namespace postern::policy {

namespace {

constexpr std::chrono::minutes submit_limit{2};

} // namespace

void QueueClient::connect(FileDescriptor channel) {
    submissions_.abandon();
    channel_ = std::make_unique<ipc::Channel<ipc::QueueToListener, ipc::ListenerToQueue>>(
        loop_, std::move(channel),
        [this](ipc::QueueToListener&& message) {
            std::visit(
                ipc::Overloaded{
                    [this](ipc::Durable& durable) { submissions_.answer(durable.request, {true}); },
                    [this](ipc::Refused& refused) {
                        log::warning("the queue does not take a message of ours",
                                     {{"reason", refused.text}});
                        submissions_.answer(refused.request, {false});
                    },
                    // Neither was asked for.
                    [](ipc::ContentFile&) {},
                    [](ipc::Woken&) {},
                },
                message);
        },
        [this](const std::string& reason) {
            ipc::log_closed_channel("queue", reason);
            channel_.reset();
            submissions_.abandon();
        });
}

Task<bool> QueueClient::submit(std::string recipient, std::string message) {
    if (!channel_ || message.size() > ipc::inline_content_limit)
        co_return false;
    ipc::Submit submit;
    submit.envelope.origin.internal = true;
    submit.envelope.origin.local_hostname = hostname_;
    submit.envelope.recipients.push_back(std::move(recipient));
    submit.envelope.accepted_at = loop_.wall_seconds();
    submit.traits.header_length = static_cast<uint32_t>(message.find("\r\n\r\n") + 4);
    submit.content.bytes = std::move(message);
    auto send = [this](ipc::Submit asked) { channel_->send(std::move(asked)); };
    const std::optional<Answer> answer =
        co_await submissions_.ask(std::move(submit), send, submit_limit);
    co_return answer && answer->durable;
}

} // namespace postern::policy
