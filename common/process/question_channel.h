// The end of a channel of one who asks: each question has one answer, or none in time.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "common/ipc/channel.h"
#include "common/ipc/requests.h"
#include "common/ipc/supervision.h"
#include "common/loop/event_loop.h"
#include "common/loop/task.h"

namespace postern {

// FromPeer and ToPeer are variants of a header of common/ipc, the former of nothing but Answer. The
// questions outlast the channel: a peer that was started again is asked the next ones.
template <class FromPeer, class ToPeer, class Answer> class QuestionChannel {
  public:
    // `credit`: how many questions may be open; more wait for their turn.
    QuestionChannel(EventLoop& loop, ipc::Role peer, uint32_t credit)
        : loop_(loop), peer_(peer), questions_(loop, credit) {}

    // Takes a channel in place of the former; what was asked there gets no answer.
    void connect(FileDescriptor channel) {
        questions_.abandon();
        channel_ = std::make_unique<ipc::Channel<FromPeer, ToPeer>>(
            loop_, std::move(channel),
            [this](FromPeer&& message) {
                std::visit(ipc::Overloaded{[this](Answer& answer) {
                               const uint32_t request = answer.request;
                               questions_.answer(request, std::move(answer));
                           }},
                           message);
            },
            [this](const std::string& reason) {
                ipc::log_closed_channel(ipc::role_name(peer_), reason);
                channel_.reset();
                questions_.abandon();
            });
    }

    // Nothing: there is no channel, or it closed, or there was no answer within the limit.
    template <class Query> Task<std::optional<Answer>> ask(Query query, Duration limit) {
        if (!channel_)
            co_return std::nullopt;
        auto send = [this](Query asked) { channel_->send(std::move(asked)); };
        co_return co_await questions_.ask(std::move(query), send, limit);
    }

    // The same, but a peer that has died, and is being started again, is waited for.
    template <class Query> Task<std::optional<Answer>> ask_patiently(Query query, Duration limit) {
        const TimePoint started = loop_.now();
        do {
            Query copy = query;
            std::optional<Answer> answer = co_await ask(std::move(copy), limit);
            if (answer)
                co_return answer;
            co_await loop_.sleep(restart_pause);
        } while (loop_.now() - started < restart_limit);
        co_return std::nullopt;
    }

    // What has no answer. Lost where there is no channel, or the peer does not read.
    template <class Message> void tell(Message message) {
        if (channel_ && channel_->unsent() < untold_limit)
            channel_->send(std::move(message));
    }

  private:
    static constexpr size_t untold_limit = 1024 * 1024; // bytes
    static constexpr std::chrono::seconds restart_limit{10};
    static constexpr std::chrono::seconds restart_pause{1};

    EventLoop& loop_;
    ipc::Role peer_;
    ipc::Requests<Answer> questions_;
    std::unique_ptr<ipc::Channel<FromPeer, ToPeer>> channel_;
};

} // namespace postern
