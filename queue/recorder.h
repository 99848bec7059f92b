// Between the queue and its spool: what has changed is recorded, once per turn of the loop and
// message, and whoever waits for the disk is told.
//
// Owner: the queue. Promises: a change that was not recorded (the spool is over its bounds) stays
// on the list and is tried again; nobody is told "ok" before the spool said so.
#pragma once

#include <functional>
#include <unordered_map>
#include <vector>

#include "common/loop/executor.h"
#include "queue/mail_table.h"
#include "queue/spool/spool.h"

namespace postern {

class Recorder {
  public:
    using Done = std::function<void(const Result<void>&)>;

    struct Handlers {
        // At the end of each turn in which something was changed, before it is written: the last
        // moment to change more.
        std::function<void()> refresh;
        // The spool has what is known of the message, of which something remains to be done.
        std::function<void(QueuedMessage&)> recorded;
    };
    Recorder(Executor& executor, Spool& spool, MailTable& table, Handlers handlers);

    // Calls `done` when this append is on disk, or has failed.
    void await(Ticket ticket, Done done);
    // There is something to append: it is looked for at the end of the turn.
    void commit_soon();
    // Recipients of the message have changed. Recorded at the end of the turn, or `linger` later:
    // with what somebody waits for, if such comes meanwhile. Synced lazily.
    void changed(QueuedMessage& message);
    static constexpr auto linger = std::chrono::milliseconds(10);
    // The same; `done` is called when it is on disk.
    void changed_durably(QueuedMessage& message, Done done);
    // What has changed does not wait for `linger`.
    void hurry();

    // Writes what is not written yet; nothing is appended after it.
    void finish();

    // To be called when the spool's completion_fd() is readable.
    void collect();

    size_t waiting() const { return waiting_.size() + durable_.size(); }
    uint64_t commits() const { return commits_; }

  private:
    struct Flush final : Callback {
        explicit Flush(Recorder& recorder) : recorder_(recorder) {}
        void call() override { recorder_.flush(); }
        Recorder& recorder_;
    };
    struct Retry final : Timer {
        explicit Retry(Recorder& recorder) : recorder_(recorder) {}
        void expired() override { recorder_.commit_soon(); }
        Recorder& recorder_;
    };

    struct Linger final : Timer {
        explicit Linger(Recorder& recorder) : recorder_(recorder) {}
        void expired() override { recorder_.commit(); }
        Recorder& recorder_;
    };

    void flush();
    void commit();
    enum class Recorded : uint8_t {
        yes,
        no,    // it cannot be
        again, // to be tried again
    };
    Recorded record(QueuedMessage& message);
    std::string progress_of(const QueuedMessage& message) const;

    Executor& executor_;
    Spool& spool_;
    MailTable& table_;
    Handlers handlers_;
    std::unordered_map<Ticket, Done> waiting_;
    std::vector<uint64_t> changed_;
    std::unordered_map<uint64_t, std::vector<Done>> durable_; // by message
    uint64_t commits_ = 0;
    bool appended_ = false; // since the last commit
    bool urgent_ = false;   // and somebody waits for it
    bool finished_ = false;
    Flush flush_{*this};
    Retry retry_{*this};
    Linger linger_{*this};
};

} // namespace postern
