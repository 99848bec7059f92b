// Coroutines: Task is a function that waits, TaskGroup owns those that run on their own.
//
// A task starts when it is awaited or given to a group. Destroying a suspended task destroys
// everything that it owns: each awaiter here takes itself off whatever it waits for.
#pragma once

#include <coroutine>
#include <cstddef>
#include <exception>
#include <optional>
#include <utility>

namespace postern {

template <class T = void> class Task;

namespace detail {

// At its end a task resumes whoever awaits it.
struct FinalAwaiter {
    bool await_ready() const noexcept { return false; }
    template <class P>
    std::coroutine_handle<> await_suspend(std::coroutine_handle<P> handle) const noexcept {
        return handle.promise().continuation_;
    }
    void await_resume() const noexcept {}
};

struct PromiseBase {
    std::suspend_always initial_suspend() const noexcept { return {}; }
    FinalAwaiter final_suspend() const noexcept { return {}; }
    // Failure travels in Result; an exception is a bug of ours, and ends the process.
    void unhandled_exception() const noexcept { std::terminate(); }

    std::coroutine_handle<> continuation_ = std::noop_coroutine();
};

template <class T> struct Promise : PromiseBase {
    Task<T> get_return_object();
    template <class U> void return_value(U&& value) { value_.emplace(std::forward<U>(value)); }
    T take() { return std::move(*value_); }

    std::optional<T> value_;
};

template <> struct Promise<void> : PromiseBase {
    Task<void> get_return_object();
    void return_void() const noexcept {}
    void take() const noexcept {}
};

} // namespace detail

template <class T> class [[nodiscard]] Task {
  public:
    using promise_type = detail::Promise<T>;
    using Handle = std::coroutine_handle<promise_type>;

    explicit Task(Handle handle) : handle_(handle) {}
    Task(Task&& other) noexcept : handle_(std::exchange(other.handle_, {})) {}
    Task(const Task&) = delete;
    Task& operator=(const Task&) = delete;
    Task& operator=(Task&&) = delete;
    ~Task() {
        if (handle_)
            handle_.destroy();
    }

    bool await_ready() const noexcept { return false; }
    std::coroutine_handle<> await_suspend(std::coroutine_handle<> continuation) noexcept {
        handle_.promise().continuation_ = continuation;
        return handle_;
    }
    T await_resume() { return handle_.promise().take(); }

  private:
    Handle handle_;
};

template <class T> Task<T> detail::Promise<T>::get_return_object() {
    return Task<T>(Task<T>::Handle::from_promise(*this));
}
inline Task<void> detail::Promise<void>::get_return_object() {
    return Task<void>(Task<void>::Handle::from_promise(*this));
}

// Tasks that nobody awaits. Each is forgotten when it ends; those still suspended are destroyed
// with the group, or by clear(), which must not be called from inside one of them.
class TaskGroup {
  public:
    TaskGroup() = default;
    TaskGroup(const TaskGroup&) = delete;
    TaskGroup& operator=(const TaskGroup&) = delete;
    ~TaskGroup() { clear(); }

    // Runs the task until it first waits.
    void spawn(Task<void> task);
    void clear();
    size_t size() const { return size_; }
    bool empty() const { return size_ == 0; }

  private:
    struct Member;
    static Member run(TaskGroup& group, Task<void> task);

    struct Link {
        Link* next = this;
        Link* previous = this;
        std::coroutine_handle<> frame;
    };
    void unlink(Link& link);

    Link members_;
    size_t size_ = 0;
};

} // namespace postern
