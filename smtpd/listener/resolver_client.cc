#include "smtpd/listener/resolver_client.h"

#include "common/base/log.h"

namespace postern::listener {

void ResolverClient::connect(FileDescriptor channel) {
    questions_.abandon();
    channel_ = std::make_unique<ipc::Channel<ipc::FromResolver, ipc::ToResolver>>(
        loop_, std::move(channel),
        [this](ipc::FromResolver&& message) {
            std::visit(
                [this](ipc::ResolveAnswer& answer) {
                    const uint32_t request = answer.request;
                    questions_.answer(request, std::move(answer));
                },
                message);
        },
        [this](const std::string& reason) {
            ipc::log_closed_channel("resolver", reason);
            channel_.reset();
            questions_.abandon();
        });
}

Task<ipc::ResolveAnswer> ResolverClient::resolve(ipc::ResolveQuery query, Duration limit) {
    ipc::ResolveAnswer nothing;
    if (!channel_)
        co_return nothing;
    std::optional<ipc::ResolveAnswer> answer = co_await questions_.ask(
        std::move(query),
        [this](ipc::ResolveQuery question) {
            channel_->send(ipc::ToResolver(std::move(question)));
        },
        limit);
    co_return answer ? std::move(*answer) : nothing;
}

} // namespace postern::listener
