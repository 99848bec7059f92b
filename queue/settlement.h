// What the result of an attempt means for a recipient: it is finished, tried again, or reported to
// the sender. One log line for each.
#pragma once

#include <optional>
#include <string>

#include "common/ipc/delivery.h"
#include "common/ipc/queue_settings.h"
#include "common/loop/executor.h"
#include "common/process/operator_port.h"
#include "queue/bounce.h"
#include "queue/mail_table.h"
#include "queue/recorder.h"
#include "queue/retry_schedule.h"
#include "queue/scheduler.h"

namespace postern {

class Settlement {
  public:
    Settlement(Executor& executor, MailTable& table, Recorder& recorder, Bouncer& bouncer,
               Counters& counters);

    void configure(RetrySchedule schedule) { schedule_ = std::move(schedule); }

    // One attempt of one message, whatever the number of recipients.
    struct Attempted {
        QueuedMessage& message;
        const StoredMessage& stored; // `message`, decoded
        WallTime expires_at = 0;
        uint64_t random = 0; // those that failed together come back together
    };
    void delivered(const Attempted& attempted, uint32_t index,
                   const ipc::RecipientOutcome& outcome);
    // For now; or for good, once it has expired.
    void deferred(const Attempted& attempted, uint32_t index, AttemptError error);
    void failed(const Attempted& attempted, uint32_t index, AttemptError error);
    // An operator wants it to wait, until a time or (0) for good.
    void held(const Attempted& attempted, uint32_t index, AttemptError why, WallTime until);
    // Its time is over. `last`: what the last attempt came to; `enhanced` empty: there was none.
    void expired(const Attempted& attempted, uint32_t index, AttemptError last);

  private:
    std::chrono::seconds wait_after(const Attempted& attempted, uint32_t index,
                                    const AttemptError& error) const;
    void log(const Attempted& attempted, uint32_t index, const char* status,
             const AttemptError& reason) const;

    Executor& executor_;
    MailTable& table_;
    Recorder& recorder_;
    Bouncer& bouncer_;
    RetrySchedule schedule_;
    uint64_t& delivered_;
    uint64_t& attempts_deferred_;
    uint64_t& failed_;
    uint64_t& expired_;
};

// What the sender is to be told of a recipient that was delivered, if anything. A success is told
// unless the next hop will do so (RFC 3461 5.2). With BY, relaying is told to all but NOTIFY=NEVER
// if the sender traces the message, or if nobody watches the time from then on (RFC 2852 4.1.4).
std::optional<DeliveryAction> success_to_report(const ipc::Envelope& envelope, uint32_t index,
                                                const ipc::RecipientOutcome& outcome);

AttemptError error_of(ipc::RecipientOutcome outcome);
// Of mail that waits for a destination that is held.
AttemptError error_of(const Scheduler::Hold& hold);

// "4.4.1 connection refused (mx.example[192.0.2.1]:25)", as operators see it; empty for no error.
std::string describe(const AttemptError& error);

} // namespace postern
