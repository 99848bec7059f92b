// Reports to senders (RFC 5321 6.1, RFC 3461, RFC 3464): of recipients that were not reached, that
// are not reached yet, and, when asked for, of those that were.
//
// Owner: the queue. Promises: a recipient that failed is marked as finished only after the bounce
// is on disk; until then it is `reporting`, and after a crash it is tried again or found to be
// reported (BounceCause). One that was delivered and is to be reported is recorded as such, and not
// delivered again while its report is written; if the machine stops before that record is synced it
// is delivered again, like any other mail that was delivered just before a crash, and so
// reported again. While the disk refuses a report, it is written again every minute. A message from
// the null reverse-path is never answered: its failure is logged, that is all.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "common/loop/executor.h"
#include "common/mail/delivery_status.h"
#include "queue/mail_table.h"
#include "queue/recorder.h"
#include "queue/spool/spool.h"

namespace postern {

// What the sender is told of one recipient.
struct RecipientReport {
    uint32_t index = 0;
    DeliveryAction action = DeliveryAction::failed;
    AttemptError error; // of a failure `enhanced` is of class 5; of a success it is what was said
    WallTime when = 0;  // of the attempt; 0: not known
    WallTime retry_until = 0; // delayed
    Told told = 0;            // delayed: what the sender was told with this
};

struct Bounce {
    StoredMessage message;
    std::string content;
};

// The message that a report is about.
struct Reported {
    uint64_t id = 0;
    const StoredMessage& message;
    std::string_view content; // all of it, or its beginning
    bool whole = false;       // and all of it is to be returned; see returns_whole()
};
// The report to its sender. Pure. `id`: of the report.
Bounce write_bounce(uint64_t id, const Reported& original,
                    const std::vector<RecipientReport>& reports, const std::string& hostname,
                    WallTime now);
// Whether a report returns the whole original, of `size` octets (RFC 3461 4.3, RFC 8689 5).
bool returns_whole(const StoredMessage& original, uint64_t size,
                   const std::vector<RecipientReport>& reports);

class Bouncer {
  public:
    // A message of ours that is durable now, to be queued.
    using Accept =
        std::function<void(uint64_t id, std::string payload, StoredMessage message, uint64_t size)>;

    Bouncer(Executor& executor, Spool& spool, MailTable& table, Recorder& recorder, Accept accept);

    void set_hostname(std::string hostname) { hostname_ = std::move(hostname); }

    // Those of one message in one turn of the loop share a report. `original` is `message` decoded.
    // Failures are reported only if NOTIFY lets (RFC 3461 4.1), and delays and successes are to be
    // brought here only then. Where nobody is to be told, what failed or was delivered is finished.
    void report(QueuedMessage& message, const StoredMessage& original, RecipientReport report);
    // Successes that were recorded, and perhaps not reported, before the process started.
    void resume(QueuedMessage& message);
    // At the end of the turn.
    void write_pending();

    // Reports of the message that are not on disk yet.
    bool is_reporting(uint64_t message) const;
    // Of these, those that the disk has not refused before: they are under way.
    bool is_writing(uint64_t message) const;
    // Calls `done` when there are none under way any more, or
    // the disk has refused one. There are some now.
    void await(uint64_t message, Recorder::Done done);

    bool has_pending() const { return !pending_.empty(); }
    uint64_t bounces() const { return bounces_; } // reports of failure
    uint64_t notices() const { return notices_; } // others

  private:
    struct Retry final : Timer {
        explicit Retry(Bouncer& bouncer) : bouncer_(bouncer) {}
        void expired() override { bouncer_.recorder_.commit_soon(); }
        Bouncer& bouncer_;
    };
    using Reports = std::vector<RecipientReport>;

    // False: the spool takes no more for now.
    bool write(QueuedMessage& message, const Reports& reports);
    std::string content_for(const QueuedMessage& message, uint64_t wanted);
    Result<Ticket> append(uint64_t id, std::string_view payload, const std::string& content);
    void written(uint64_t cause, const Reports& reports, uint64_t id, std::string payload,
                 StoredMessage bounce, uint64_t size);
    void tell_waiting(uint64_t cause, const Result<void>& result);
    void again_later(uint64_t cause, Reports reports, const Error& error);

    Executor& executor_;
    Spool& spool_;
    MailTable& table_;
    Recorder& recorder_;
    Accept accept_;
    std::string hostname_;
    std::map<uint64_t, Reports> pending_; // by the message that is reported
    std::map<uint64_t, Reports> refused_; // by the disk; to be written when the timer expires
    std::map<uint64_t, size_t>
        in_flight_; // reports of a message that the spool has, not on disk yet
    std::map<uint64_t, std::vector<Recorder::Done>> waiting_;
    uint64_t bounces_ = 0;
    uint64_t notices_ = 0;
    Retry retry_{*this};
    Retry go_on_{*this};
};

} // namespace postern
