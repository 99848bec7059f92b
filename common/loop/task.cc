#include "common/loop/task.h"

namespace postern {

// The coroutine around a spawned task: it sits in the group's list and destroys itself at its end.
struct TaskGroup::Member {
    struct promise_type : Link {
        promise_type(TaskGroup& group, Task<void>&) : group_(group) {}
        ~promise_type() { group_.unlink(*this); }
        Member get_return_object() {
            frame = std::coroutine_handle<promise_type>::from_promise(*this);
            return Member{this};
        }
        std::suspend_always initial_suspend() const noexcept { return {}; }
        std::suspend_never final_suspend() const noexcept { return {}; }
        void return_void() const noexcept {}
        void unhandled_exception() const noexcept { std::terminate(); }

        TaskGroup& group_;
    };
    promise_type* promise;
};

TaskGroup::Member TaskGroup::run(TaskGroup&, Task<void> task) { co_await task; }

void TaskGroup::spawn(Task<void> task) {
    Link& link = *run(*this, std::move(task)).promise;
    link.next = &members_;
    link.previous = members_.previous;
    members_.previous->next = &link;
    members_.previous = &link;
    ++size_;
    link.frame.resume();
}

void TaskGroup::unlink(Link& link) {
    link.next->previous = link.previous;
    link.previous->next = link.next;
    --size_;
}

void TaskGroup::clear() {
    while (members_.next != &members_)
        members_.next->frame.destroy();
}

} // namespace postern
