// What is to be done for mail that waits when a time has come, whether it is tried then or not: its
// sender is told of the delay (RFC 3461, `queue warn-delay`), or that the time it was wanted within
// is over (RFC 2852, mode N); or it is given up at that time (mode R).
//
// Owner: the queue. A message's next such time is its `notice_at`, by which the scheduler finds it.
// While an attempt is under way nothing is said: it may be the last. Promises: each is told once,
// over restarts too; a warning is lost only if the disk refuses its report and the process dies
// before it is written after all.
#pragma once

#include "queue/bounce.h"
#include "queue/lifetime.h"
#include "queue/mail_table.h"
#include "queue/scheduler.h"
#include "queue/settlement.h"

namespace postern {

class Notices {
  public:
    // For what was found at the start, or is released: it may be gone by then.
    static uint32_t soon(WallTime now);

    Notices(Executor& executor, MailTable& table, Scheduler& scheduler, Settlement& settlement,
            Bouncer& bouncer);

    // True: what waits is to be looked at again, by reconsider() and the scheduler's update().
    bool configure(const WarnDelays& delays, std::chrono::seconds ttl);
    void reconsider(QueuedMessage& message) const;

    // Sets the first time for a message. `found`: it was in the spool at the start, and perhaps for
    // as long as this program did not run: let it be tried first.
    void begin(QueuedMessage& message, const StoredMessage& stored, bool found) const;
    // Its time has come.
    void look(QueuedMessage& message);

  private:
    WallTime next_time(const QueuedMessage& message, const ipc::Envelope& envelope) const;
    void give_up(QueuedMessage& message, const StoredMessage& stored);
    // `job`: the recipient's, if it is in one.
    void tell(QueuedMessage& message, const StoredMessage& stored, uint32_t index, const Job* job,
              Told news);
    AttemptError reason(const QueuedRecipient& recipient, const Job* job);

    Executor& executor_;
    MailTable& table_;
    Scheduler& scheduler_;
    Settlement& settlement_;
    Bouncer& bouncer_;
    WarnDelays delays_;
    std::chrono::seconds ttl_{0};
};

} // namespace postern
