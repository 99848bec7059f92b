// Reports of failure (RFC 5321 6.1, RFC 3464): what tells a sender that recipients were not
// reached.
//
// Owner: the queue. Promises: a recipient that failed is marked as finished only after the bounce
// is on disk; until then it is `reporting`, and after a crash it is tried again or found to be
// reported (BounceCause). While the disk refuses the bounce, it is written again every minute. A
// message from the null reverse-path is never answered: its failure is logged, that is all.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "common/loop/executor.h"
#include "queue/mail_table.h"
#include "queue/recorder.h"
#include "queue/spool/spool.h"

namespace postern {

struct Failure {
    uint32_t index = 0;
    std::string recipient;
    AttemptError error; // `enhanced` of class 5
    WallTime when = 0;
};

struct Bounce {
    StoredMessage message;
    std::string content;
};
// The bounce for `failures` of `original`. Pure. `header`: the content of the original, or its
// beginning; `id`: of the bounce.
Bounce write_bounce(uint64_t id, uint64_t original_id, const StoredMessage& original,
                    std::string_view header, const std::vector<Failure>& failures,
                    const std::string& hostname, WallTime now);

class Bouncer {
  public:
    // A message of ours that is durable now, to be queued.
    using Accept =
        std::function<void(uint64_t id, std::string payload, StoredMessage message, uint64_t size)>;

    Bouncer(Executor& executor, Spool& spool, MailTable& table, Recorder& recorder, Accept accept);

    void set_hostname(std::string hostname) { hostname_ = std::move(hostname); }

    // Those of one message that fail in one turn of the loop share a bounce. `original` is
    // `message` decoded. True: a bounce will be written; false: there is nobody to be told.
    bool report(QueuedMessage& message, const StoredMessage& original, Failure failure);
    // At the end of the turn.
    void write_pending();

    uint64_t written() const { return written_; }

  private:
    struct Retry final : Timer {
        explicit Retry(Bouncer& bouncer) : bouncer_(bouncer) {}
        void expired() override { bouncer_.recorder_.commit_soon(); }
        Bouncer& bouncer_;
    };
    using Failures = std::vector<Failure>;

    void write(QueuedMessage& message, Failures failures);
    Result<Ticket> append(uint64_t id, std::string_view payload, const std::string& content);
    void written(uint64_t cause, Failures failures, uint64_t id, std::string payload,
                 StoredMessage bounce, uint64_t size);
    void again_later(uint64_t cause, Failures failures, const Error& error);

    Executor& executor_;
    Spool& spool_;
    MailTable& table_;
    Recorder& recorder_;
    Accept accept_;
    std::string hostname_;
    std::map<uint64_t, Failures> pending_; // by the message that failed
    std::map<uint64_t, Failures> refused_; // by the disk; to be written when the timer expires
    uint64_t written_ = 0;
    Retry retry_{*this};
};

} // namespace postern
