// A value that somebody will provide later, and one coroutine that waits for it. Once taken,
// another one may be provided and waited for.
#pragma once

#include <coroutine>
#include <optional>
#include <utility>

#include "common/loop/executor.h"

namespace postern {

// complete() may come before, while or after it is waited for. The waiter is resumed from the loop,
// never from inside complete(). Destroying it while it is waited for is a bug.
template <class T> class Completion : Callback, Timer {
  public:
    explicit Completion(Executor& executor) : executor_(executor) {}

    bool completed() const { return value_.has_value(); }
    void complete(T value) {
        if (value_)
            return; // the first one counts
        value_.emplace(std::move(value));
        if (waiter_)
            executor_.schedule(*this);
    }
    // The value, or nothing when `limit` has passed without one.
    auto wait(Duration limit) { return Awaiter(*this, limit); }

  private:
    class Awaiter {
      public:
        Awaiter(Completion& completion, Duration limit) : completion_(completion), limit_(limit) {}
        Awaiter(const Awaiter&) = delete;
        ~Awaiter() {
            if (waiting_)
                completion_.abandon();
        }
        bool await_ready() const { return completion_.value_.has_value(); }
        void await_suspend(std::coroutine_handle<> handle) {
            waiting_ = true;
            completion_.waiter_ = handle;
            completion_.arm(completion_.executor_, completion_.executor_.now() + limit_);
        }
        std::optional<T> await_resume() {
            waiting_ = false;
            return std::exchange(completion_.value_, std::nullopt);
        }

      private:
        Completion& completion_;
        Duration limit_;
        bool waiting_ = false;
    };

    void abandon() {
        waiter_ = {};
        disarm();
        cancel();
    }
    void call() override { wake(); }
    void expired() override { wake(); }
    void wake() {
        disarm();
        cancel();
        std::exchange(waiter_, {}).resume();
    }

    Executor& executor_;
    std::optional<T> value_;
    std::coroutine_handle<> waiter_;
};

} // namespace postern
