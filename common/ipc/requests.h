// Questions that are waited for: each gets a number, and the answer of that number ends the wait.
#pragma once

#include <cstdint>
#include <list>
#include <optional>
#include <unordered_map>

#include "common/loop/completion.h"
#include "common/loop/task.h"

namespace postern::ipc {

// The open questions to one peer. They survive the channel: when the peer dies, abandon() answers
// them all with nothing. At most `credit` are open at once; more wait for their turn.
template <class Answer> class Requests {
  public:
    Requests(Executor& executor, uint32_t credit) : executor_(executor), credit_(credit) {}

    // Sends `query`, whose `request` it sets, through `send`, and waits. Nothing: no answer within
    // the limit, that for a turn included, or the peer died. After abandon() nothing is sent for
    // those who waited for a turn.
    template <class Query, class Send>
    Task<std::optional<Answer>> ask(Query query, Send send, Duration limit) {
        return ask_as(next_++, std::move(query), std::move(send), limit);
    }

    // The same under the number of an earlier question, which must have been answered.
    template <class Query, class Send>
    Task<std::optional<Answer>> ask_as(uint32_t request, Query query, Send send, Duration limit) {
        const TimePoint end = executor_.now() + limit;
        const uint64_t life = life_;
        Place place(*this);
        if (!place.taken)
            co_await place.free.wait(limit);
        if (!place.taken || life != life_)
            co_return std::nullopt;
        query.request = request;
        Completion<std::optional<Answer>> completion(executor_);
        Entry entry(*this, request, completion);
        send(std::move(query));
        std::optional<std::optional<Answer>> answer =
            co_await completion.wait(end - executor_.now());
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
        ++life_;
        for (Place* place : line_)
            place->free.complete(false);
        for (auto& [request, completion] : waiting_)
            completion->complete(std::nullopt);
    }
    size_t open() const { return waiting_.size(); }

  private:
    // One of `credit` places for a question, or a place in the line for one. Who leaves hands it
    // on, also when destroyed while waiting.
    struct Place {
        explicit Place(Requests& requests) : free(requests.executor_), requests_(requests) {
            taken = requests_.line_.empty() && requests_.taken_ < requests_.credit_;
            if (taken)
                ++requests_.taken_;
            else
                position_ = requests_.line_.insert(requests_.line_.end(), this);
        }
        ~Place() {
            if (taken)
                requests_.hand_on();
            else
                requests_.line_.erase(position_);
        }
        Place(const Place&) = delete;

        bool taken = false;
        Completion<bool> free;

      private:
        Requests& requests_;
        typename std::list<Place*>::iterator position_; // in the line, until taken
    };

    void hand_on() {
        if (line_.empty()) {
            --taken_;
            return;
        }
        Place* next = line_.front();
        line_.pop_front();
        next->taken = true;
        next->free.complete(true);
    }

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
    uint32_t taken_ = 0;     // places
    uint64_t life_ = 0;      // abandon() begins another
    std::list<Place*> line_; // not empty only while all places are taken
    uint32_t next_ = 1;
    std::unordered_map<uint32_t, Completion<std::optional<Answer>>*> waiting_;
};

} // namespace postern::ipc
