// Questions that are waited for: each gets a number, and the answer of that number ends the wait.
#pragma once

#include <cstdint>
#include <optional>
#include <unordered_map>

#include "common/loop/completion.h"
#include "common/loop/task.h"

namespace postern::ipc {

// The open questions to one peer. They survive the channel: when the peer dies, abandon() answers
// them all with nothing, and questions without a channel get nothing at once.
template <class Answer> class Requests {
  public:
    Requests(Executor& executor, uint32_t credit) : executor_(executor), credit_(credit) {}

    // Sends `query`, whose `request` it sets, through `send`, and waits. Nothing: no answer within
    // the limit, the peer died, or the credit is used up.
    template <class Query, class Send>
    Task<std::optional<Answer>> ask(Query query, Send send, Duration limit) {
        return ask_as(next_++, std::move(query), std::move(send), limit);
    }

    // The same under the number of an earlier question, which must have been answered.
    template <class Query, class Send>
    Task<std::optional<Answer>> ask_as(uint32_t request, Query query, Send send, Duration limit) {
        if (waiting_.size() >= credit_)
            co_return std::nullopt;
        query.request = request;
        Completion<std::optional<Answer>> completion(executor_);
        Entry entry(*this, request, completion);
        send(std::move(query));
        std::optional<std::optional<Answer>> answer = co_await completion.wait(limit);
        if (!answer)
            co_return std::nullopt;
        co_return std::move(*answer);
    }

    // An answer that nobody waits for any more is dropped: then it returns false.
    bool answer(uint32_t request, Answer answer) {
        auto found = waiting_.find(request);
        if (found == waiting_.end())
            return false;
        found->second->complete(std::move(answer));
        return true;
    }
    void abandon() {
        for (auto& [request, completion] : waiting_)
            completion->complete(std::nullopt);
    }
    size_t open() const { return waiting_.size(); }

  private:
    // Takes the question off the list when its asker is done or destroyed.
    struct Entry {
        Entry(Requests& requests, uint32_t request, Completion<std::optional<Answer>>& completion)
            : requests_(requests), request_(request) {
            requests_.waiting_.emplace(request, &completion);
        }
        ~Entry() { requests_.waiting_.erase(request_); }
        Entry(const Entry&) = delete;
        Requests& requests_;
        uint32_t request_;
    };

    Executor& executor_;
    uint32_t credit_;
    uint32_t next_ = 1;
    std::unordered_map<uint32_t, Completion<std::optional<Answer>>*> waiting_;
};

} // namespace postern::ipc
