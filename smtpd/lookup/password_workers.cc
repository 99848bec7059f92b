#include "smtpd/lookup/password_workers.h"

#include <csignal>
#include <pthread.h>
#include <sys/eventfd.h>
#include <system_error>
#include <unistd.h>

#include "common/base/log.h"
#include "common/base/result.h"

namespace postern {

PasswordWorkers::PasswordWorkers(EventLoop& loop, unsigned threads, size_t limit)
    : loop_(loop), thread_count_(threads), limit_(limit) {}

PasswordWorkers::~PasswordWorkers() {
    {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
        waiting_.clear();
    }
    work_there_.notify_all();
    for (std::thread& thread : threads_)
        thread.join();
}

bool PasswordWorkers::start_threads() {
    if (!threads_.empty())
        return true;
    watch_.reset(); // of a former try
    finished_event_ = FileDescriptor(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
    if (!finished_event_) {
        log::error("cannot check passwords", {{"reason", system_error("eventfd").message}});
        return false;
    }
    watch_ = std::make_unique<Watch>(loop_, finished_event_.get(), [this](short) { collect(); });
    watch_->want(Watch::readable);
    sigset_t all, before; // signals are for the loop's thread
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    try {
        while (threads_.size() < thread_count_)
            threads_.emplace_back([this] { work(); });
    } catch (const std::system_error& error) {
        log::error("cannot start a thread to check passwords", {{"reason", error.what()}});
    }
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    return !threads_.empty();
}

bool PasswordWorkers::check(Secret password, std::string hash, Done done) {
    if (open_ >= limit_ || !start_threads())
        return false;
    Job job;
    job.password = std::move(password);
    job.hash = std::move(hash);
    job.done = std::move(done);
    {
        const std::lock_guard lock(mutex_);
        waiting_.push_back(std::move(job));
    }
    ++open_;
    work_there_.notify_one();
    return true;
}

void PasswordWorkers::work() {
    std::unique_lock lock(mutex_);
    for (;;) {
        work_there_.wait(lock, [this] { return stopping_ || !waiting_.empty(); });
        if (stopping_)
            return;
        Job job = std::move(waiting_.front());
        waiting_.pop_front();
        lock.unlock();
        job.result = check_password(job.password, job.hash);
        job.password = Secret();
        lock.lock();
        finished_.push_back(std::move(job));
        const uint64_t one = 1;
        [[maybe_unused]] ssize_t written = ::write(finished_event_.get(), &one, sizeof one);
    }
}

void PasswordWorkers::collect() {
    uint64_t count = 0;
    [[maybe_unused]] ssize_t got = ::read(finished_event_.get(), &count, sizeof count);
    std::vector<Job> finished;
    {
        const std::lock_guard lock(mutex_);
        finished.swap(finished_);
    }
    open_ -= finished.size();
    for (Job& job : finished)
        job.done(job.result);
}

} // namespace postern
