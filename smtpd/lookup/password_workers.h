// A few threads that check passwords, so that the event loop never waits for one. They are started
// with the first check.
//
// Bounds: `limit` checks that wait or run. Destroying it drops those that wait and waits for those
// that run.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "common/base/file_descriptor.h"
#include "common/base/secret.h"
#include "common/loop/event_loop.h"
#include "smtpd/lookup/password.h"

namespace postern {

class PasswordWorkers {
  public:
    // Called from the loop.
    using Done = std::function<void(PasswordCheck)>;

    PasswordWorkers(EventLoop& loop, unsigned threads, size_t limit);
    ~PasswordWorkers();
    PasswordWorkers(const PasswordWorkers&) = delete;
    PasswordWorkers& operator=(const PasswordWorkers&) = delete;

    // False, and nothing is done, when there are `limit` checks already or no thread can be made.
    bool check(Secret password, std::string hash, Done done);
    size_t open() const { return open_; } // not answered yet

  private:
    struct Job {
        Secret password;
        std::string hash;
        Done done;
        PasswordCheck result = PasswordCheck::failed;
    };

    bool start_threads();
    void work();
    void collect();

    EventLoop& loop_;
    const unsigned thread_count_;
    const size_t limit_;
    size_t open_ = 0;
    FileDescriptor finished_event_; // an eventfd
    std::unique_ptr<Watch> watch_;

    std::mutex mutex_; // of what follows
    std::condition_variable work_there_;
    std::deque<Job> waiting_;
    std::vector<Job> finished_;
    bool stopping_ = false;

    std::vector<std::thread> threads_;
};

} // namespace postern
