// What was appended, on its way to the thread that writes it: commits what arrived during the last
// write, keeps house in between, and sleeps only if there is nothing to do.
#pragma once

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>

#include "queue/spool/batch.h"
#include "queue/spool/committer.h"

namespace postern {

class SyncThread {
  public:
    // `tell`: there may be something to collect.
    SyncThread(std::unique_ptr<Committer> committer, const SpoolOptions& options,
               std::function<void()> tell)
        : committer_(std::move(committer)), options_(options), tell_(std::move(tell)) {}
    ~SyncThread() { stop(); }

    // If options.threaded; else nothing is written but in step().
    Result<void> start();
    bool step(bool sync_lazy);

    // `add` adds an operation to the batch it is given.
    template <typename Add> Ticket append(Add add) {
        std::lock_guard lock(mutex_);
        return add(pending_);
    }
    void commit();
    uint64_t pending_bytes(); // appended, not yet taken

    // What it has begun is finished; the rest is dropped, unless close() follows.
    void stop();
    // Stops, writes the rest and ends the log in order.
    Result<void> close();

  private:
    using Clock = std::chrono::steady_clock;

    void run();
    bool wait_for_work(bool at_once, Clock::time_point sync_at);
    void take_pending();
    bool write_and_keep_house(bool sync_lazy);

    std::unique_ptr<Committer> committer_; // the thread's
    const SpoolOptions& options_;
    const std::function<void()> tell_;

    std::mutex mutex_; // guards the following
    std::condition_variable wake_;
    Batch pending_;
    bool committed_ = false; // commit() was called for what is pending
    bool sleeping_ = false;  // the thread waits for it
    bool stopping_ = false;

    Batch writing_; // the thread's; the two batches change places
    std::thread thread_;
};

} // namespace postern
