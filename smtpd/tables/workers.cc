#include "smtpd/tables/workers.h"

#include <algorithm>
#include <condition_variable>
#include <csignal>
#include <deque>
#include <mutex>
#include <optional>
#include <pthread.h>
#include <sys/eventfd.h>
#include <system_error>
#include <thread>
#include <unistd.h>
#include <vector>

#include "common/base/file_descriptor.h"
#include "common/base/log.h"

namespace postern::tables {

using ipc::TableVerdict;
using SteadyClock = std::chrono::steady_clock;

struct Workers::Shared {
    struct Job {
        ipc::TableQuery query;
        SteadyClock::time_point since;
    };
    // For the log, which the loop's thread writes.
    struct Notice {
        log::Level level;
        const char* event;
        std::string reason;
    };
    static constexpr size_t most_notices = 100; // more are lost

    std::string name;
    Make make;
    WorkerLimits limits;
    FileDescriptor finished_event; // an eventfd

    mutable std::mutex mutex; // of what follows
    std::condition_variable work_there;
    std::deque<Job> waiting;
    std::vector<ipc::TableAnswer> finished;
    std::vector<Notice> notices;
    std::vector<std::optional<SteadyClock::time_point>> running; // since when; for each thread
    bool stopping = false;
    bool away = false;
    SteadyClock::time_point away_until;
    std::chrono::milliseconds pause{0};

    bool may_connect() const;
    void notice(log::Level level, const char* event, std::string reason);
    void failed(const std::string& reason);
    void connected();
    void finish(ipc::TableAnswer answer);
    ipc::TableAnswer answer(Backend& backend, const Job& job);
    Result<std::vector<Row>> find(Backend& backend, const ipc::TableQuery& query);
};

bool Workers::Shared::may_connect() const {
    const std::lock_guard lock(mutex);
    return !away || SteadyClock::now() >= away_until;
}

// With the mutex held. It is written when the answer to the question at hand is taken.
void Workers::Shared::notice(log::Level level, const char* event, std::string reason) {
    if (notices.size() < most_notices)
        notices.push_back({level, event, std::move(reason)});
}

// Said once, until it is back.
void Workers::Shared::failed(const std::string& reason) {
    const std::lock_guard lock(mutex);
    if (!std::exchange(away, true))
        notice(log::Level::error, "a table is away", reason);
    pause = std::clamp(pause * 2, limits.first_pause, limits.longest_pause);
    away_until = SteadyClock::now() + pause;
}

void Workers::Shared::connected() {
    const std::lock_guard lock(mutex);
    if (std::exchange(away, false))
        notice(log::Level::info, "a table is back", {});
    pause = std::chrono::milliseconds(0);
}

// A connection that was lost while nobody used it is no reason to have no answer: one more try.
Result<std::vector<Row>> Workers::Shared::find(Backend& backend, const ipc::TableQuery& query) {
    for (const bool again : {false, true}) {
        if (!backend.connected()) {
            if (!may_connect())
                return Error{};
            if (Result<void> done = backend.connect(); !done) {
                failed(done.error().message);
                return Error{};
            }
        }
        Result<std::vector<Row>> rows = backend.find(query.service, query.key);
        if (rows) {
            connected();
            return rows;
        }
        if (backend.connected())
            return rows;
        if (again)
            failed(rows.error().message);
    }
    return Error{};
}

ipc::TableAnswer Workers::Shared::answer(Backend& backend, const Job& job) {
    ipc::TableAnswer answer;
    answer.request = job.query.request;
    if (SteadyClock::now() - job.since > limits.waiting)
        return answer;
    Result<std::vector<Row>> rows = find(backend, job.query);
    Result<std::string> value = std::string();
    if (rows && !rows->empty())
        value = value_of(job.query.service, job.query.key, *rows);
    const std::string& reason = !rows ? rows.error().message : !value ? value.error().message : "";
    if (rows && value) {
        answer.verdict = rows->empty() ? TableVerdict::not_found : TableVerdict::found;
        answer.value = *std::move(value);
    } else if (!reason.empty()) {
        const std::lock_guard lock(mutex);
        notice(log::Level::error, "a table cannot answer",
               std::string(service_name(job.query.service)) + ": " + reason);
    }
    return answer;
}

void Workers::Shared::finish(ipc::TableAnswer answer) {
    {
        const std::lock_guard lock(mutex);
        finished.push_back(std::move(answer));
    }
    const uint64_t one = 1;
    [[maybe_unused]] ssize_t written = ::write(finished_event.get(), &one, sizeof one);
}

void Workers::work(std::shared_ptr<Shared> shared, size_t place) {
    const std::unique_ptr<Backend> backend = shared->make();
    std::unique_lock lock(shared->mutex);
    for (;;) {
        shared->running[place].reset();
        shared->work_there.wait(lock, [&] { return shared->stopping || !shared->waiting.empty(); });
        if (shared->stopping)
            return;
        const Shared::Job job = std::move(shared->waiting.front());
        shared->waiting.pop_front();
        shared->running[place] = SteadyClock::now();
        lock.unlock();
        shared->finish(shared->answer(*backend, job));
        lock.lock();
    }
}

Workers::Workers(EventLoop& loop, std::string name, Make make, Answer answer, WorkerLimits limits)
    : shared_(std::make_shared<Shared>()), answer_(std::move(answer)), loop_(loop) {
    shared_->name = std::move(name);
    shared_->make = std::move(make);
    shared_->limits = limits;
}

Workers::~Workers() {
    {
        const std::lock_guard lock(shared_->mutex);
        shared_->stopping = true;
        shared_->waiting.clear();
    }
    shared_->work_there.notify_all();
}

// With the first question: a table that nobody asks has no connection.
bool Workers::start_threads() {
    if (!shared_->running.empty())
        return true;
    if (!watch_) {
        shared_->finished_event = FileDescriptor(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
        if (!shared_->finished_event) {
            log::error("cannot ask a table", {{"reason", system_error("eventfd").message}});
            return false;
        }
        watch_ = std::make_unique<Watch>(loop_, shared_->finished_event.get(),
                                         [this](short) { collect(); });
        watch_->want(Watch::readable);
    }
    sigset_t all, before; // signals are for the loop's thread
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    const std::lock_guard lock(shared_->mutex);
    try {
        while (shared_->running.size() < shared_->limits.threads) {
            shared_->running.emplace_back();
            std::thread(work, shared_, shared_->running.size() - 1).detach();
        }
    } catch (const std::system_error& error) {
        shared_->running.pop_back();
        log::error("cannot start a thread to ask a table", {{"reason", error.what()}});
    }
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    return !shared_->running.empty();
}

void Workers::ask(ipc::TableQuery query) {
    ipc::TableAnswer away;
    away.request = query.request;
    if (!start_threads())
        return answer_(std::move(away));
    {
        const std::lock_guard lock(shared_->mutex);
        if (shared_->waiting.size() < shared_->limits.questions) {
            shared_->waiting.push_back({std::move(query), SteadyClock::now()});
            shared_->work_there.notify_one();
            return;
        }
    }
    answer_(std::move(away));
}

void Workers::forget() {
    const std::lock_guard lock(shared_->mutex);
    shared_->waiting.clear();
}

SteadyClock::duration Workers::longest_running() const {
    const std::lock_guard lock(shared_->mutex);
    SteadyClock::duration longest{0};
    for (const auto& since : shared_->running)
        if (since)
            longest = std::max(longest, SteadyClock::now() - *since);
    return longest;
}

void Workers::collect() {
    uint64_t count = 0;
    [[maybe_unused]] ssize_t got = ::read(shared_->finished_event.get(), &count, sizeof count);
    std::vector<ipc::TableAnswer> finished;
    std::vector<Shared::Notice> notices;
    {
        const std::lock_guard lock(shared_->mutex);
        finished.swap(shared_->finished);
        notices.swap(shared_->notices);
    }
    for (const Shared::Notice& notice : notices) {
        if (notice.reason.empty())
            log::write(notice.level, notice.event, {{"table", shared_->name}});
        else
            log::write(notice.level, notice.event,
                       {{"table", shared_->name}, {"reason", notice.reason}});
    }
    for (ipc::TableAnswer& answer : finished)
        answer_(std::move(answer));
}

} // namespace postern::tables
