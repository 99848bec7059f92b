// Never a fixed delay: whoever waits is written for at once, with everybody who came meanwhile.
#include "queue/spool/sync_thread.h"

#include <algorithm>
#include <cassert>
#include <utility>

#include "queue/spool/worker_thread.h"

namespace postern {

Result<void> SyncThread::start() {
    return options_.threaded ? start_thread(thread_, [this] { run(); }) : Result<void>();
}

void SyncThread::commit() {
    bool wake = false;
    {
        std::lock_guard lock(mutex_);
        committed_ = committed_ || !pending_.empty();
        wake = committed_ && sleeping_;
    }
    if (wake)
        wake_.notify_one();
}

uint64_t SyncThread::pending_bytes() {
    std::lock_guard lock(mutex_);
    return pending_.data.size();
}

// Under the mutex.
void SyncThread::take_pending() {
    std::swap(writing_, pending_);
    committed_ = false;
}

// Who waits for the batch does not wait for the housekeeping as well.
bool SyncThread::write_and_keep_house(bool sync_lazy) {
    committer_->write(writing_, sync_lazy);
    tell_();
    const bool more = committer_->keep_house();
    tell_();
    return more;
}

bool SyncThread::step(bool sync_lazy) {
    assert(!options_.threaded);
    {
        std::lock_guard lock(mutex_);
        take_pending();
    }
    return write_and_keep_house(sync_lazy);
}

// False if it is to stop.
bool SyncThread::wait_for_work(bool at_once, Clock::time_point sync_at) {
    auto until = sync_at;
    if (auto delay = committer_->retry_after())
        until = std::min(until, Clock::now() + *delay);
    std::unique_lock lock(mutex_);
    auto ready = [this] { return stopping_ || committed_; };
    sleeping_ = true;
    if (at_once)
        (void)0; // housekeeping goes on
    else if (until != Clock::time_point::max())
        wake_.wait_until(lock, until, ready);
    else
        wake_.wait(lock, ready);
    sleeping_ = false;
    if (stopping_)
        return false;
    take_pending();
    return true;
}

void SyncThread::run() {
    const auto lazy_delay = std::chrono::milliseconds(options_.lazy_sync_milliseconds);
    auto sync_at = Clock::time_point::max(); // what was written lazily
    bool more = true;                        // there are indexes to read
    while (wait_for_work(more, sync_at)) {
        const bool due = Clock::now() >= sync_at;
        more = write_and_keep_house(due);
        if (!committer_->has_unsynced())
            sync_at = Clock::time_point::max();
        else if (due || sync_at == Clock::time_point::max())
            sync_at = Clock::now() + lazy_delay;
    }
}

void SyncThread::stop() {
    if (!thread_.joinable())
        return;
    {
        std::lock_guard lock(mutex_);
        stopping_ = true;
    }
    wake_.notify_one();
    thread_.join();
}

Result<void> SyncThread::close() {
    stop();
    {
        std::lock_guard lock(mutex_);
        take_pending();
    }
    return committer_->close(writing_);
}

} // namespace postern
