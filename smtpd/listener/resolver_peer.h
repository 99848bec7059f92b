// The listener's end of the channel to the resolver. Without it there are no names, and mail is
// accepted all the same.
#pragma once

#include "common/process/question_channel.h"
#include "smtpd/listener/collaborators.h"

namespace postern::listener {

class ResolverPeer final : public Resolver {
  public:
    explicit ResolverPeer(EventLoop& loop)
        : channel_(loop, ipc::Role::resolver, ipc::resolution_credit) {}

    // Takes a channel in place of the former; what was asked there gets no answer.
    void connect(FileDescriptor channel) { channel_.connect(std::move(channel)); }

    Task<ipc::ResolveAnswer> resolve(ipc::ResolveQuery query, Duration limit) override {
        std::optional<ipc::ResolveAnswer> answer = co_await channel_.ask(std::move(query), limit);
        co_return answer ? std::move(*answer) : ipc::ResolveAnswer(); // temporary
    }

  private:
    QuestionChannel<ipc::FromResolver, ipc::ToResolver, ipc::ResolveAnswer> channel_;
};

} // namespace postern::listener
