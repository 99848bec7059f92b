#include "queue/settlement.h"

#include <algorithm>

#include "common/base/log.h"
#include "common/mail/message_id.h"

namespace postern {

Settlement::Settlement(Executor& executor, MailTable& table, Recorder& recorder, Bouncer& bouncer,
                       Counters& counters)
    : executor_(executor), table_(table), recorder_(recorder), bouncer_(bouncer),
      delivered_(counters["queue.delivered"]),
      attempts_deferred_(counters["queue.attempts.deferred"]), failed_(counters["queue.failed"]),
      expired_(counters["queue.expired"]) {}

void Settlement::log(const Attempted& attempted, uint32_t index, const char* status,
                     const std::string& code, const std::string& remote,
                     const std::string& reason) const {
    log::info(
        "delivery",
        {{"message", to_string(MessageId{attempted.message.id})},
         {"from", attempted.stored.envelope.reverse_path},
         {"to", attempted.stored.envelope.recipients[index]},
         {"relay", remote.empty() ? std::string("none") : remote},
         {"delay", std::max<WallTime>(executor_.wall_seconds() - attempted.message.accepted_at, 0)},
         {"dsn", code},
         {"status", status},
         {"stat", reason}});
}

void Settlement::delivered(const Attempted& attempted, uint32_t index,
                           const ipc::RecipientOutcome& outcome) {
    log(attempted, index, "sent", outcome.enhanced, outcome.remote, outcome.diagnostic);
    ++delivered_;
    table_.finish(attempted.message, index);
    recorder_.changed(attempted.message);
}

void Settlement::deferred(const Attempted& attempted, uint32_t index, AttemptError error) {
    const WallTime now = executor_.wall_seconds();
    if (attempted.expires_at <= now) {
        ++expired_;
        error.diagnostic =
            "delivery time expired; the last attempt: " + error.enhanced + " " + error.diagnostic;
        if (error.from_remote)
            error.diagnostic += " (" + error.remote + ")";
        error.from_remote = false;
        error.enhanced = "5.4.7";
        return failed(attempted, index, std::move(error));
    }
    log(attempted, index, "deferred", error.enhanced, error.remote, error.diagnostic);
    ++attempts_deferred_;
    QueuedRecipient& recipient = attempted.message.recipients[index];
    if (recipient.attempts < UINT16_MAX)
        ++recipient.attempts;
    // The last attempt is made when the time is over, not up to retry_max later.
    const WallTime next = now + retry_after(backoff_, recipient.attempts, attempted.random).count();
    recipient.next_attempt = to_seconds(std::min(next, attempted.expires_at));
    table_.set_stage(recipient, Stage::waiting);
    recipient.urgent = false;
    table_.set_error(recipient, error);
    recorder_.changed(attempted.message);
}

void Settlement::failed(const Attempted& attempted, uint32_t index, AttemptError error) {
    log(attempted, index, "bounced", error.enhanced, error.remote, error.diagnostic);
    ++failed_;
    Failure failure;
    failure.index = index;
    failure.recipient = attempted.stored.envelope.recipients[index];
    failure.error = std::move(error);
    failure.when = executor_.wall_seconds();
    bouncer_.report(attempted.message, attempted.stored, std::move(failure));
}

std::string describe(const AttemptError& error) {
    if (error.enhanced.empty())
        return {};
    std::string text = error.enhanced + " " + error.diagnostic;
    if (!error.remote.empty())
        text += " (" + error.remote + ")";
    return text;
}

} // namespace postern
