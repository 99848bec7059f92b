#include "queue/settlement.h"

#include <algorithm>

#include "common/base/log.h"
#include "common/mail/message_id.h"
#include "queue/announced_wait.h"
#include "queue/failure.h"
#include "queue/place.h"

namespace postern {

Settlement::Settlement(Executor& executor, MailTable& table, Recorder& recorder, Bouncer& bouncer,
                       Counters& counters)
    : executor_(executor), table_(table), recorder_(recorder), bouncer_(bouncer),
      delivered_(counters["queue.delivered"]),
      attempts_deferred_(counters["queue.attempts.deferred"]), failed_(counters["queue.failed"]),
      expired_(counters["queue.expired"]) {}

void Settlement::log(const Attempted& attempted, uint32_t index, const char* status,
                     const AttemptError& reason) const {
    log::info(
        "delivery",
        {{"message", to_string(MessageId{attempted.message.id})},
         {"from", attempted.stored.envelope.reverse_path},
         {"to", attempted.stored.envelope.recipients[index]},
         {"relay", reason.remote.empty() ? std::string("none") : reason.remote},
         {"tls", reason.tls},
         {"delay", std::max<WallTime>(executor_.wall_seconds() - attempted.message.accepted_at, 0)},
         {"dsn", reason.enhanced},
         {"status", status},
         {"stat", reason.diagnostic}});
}

void Settlement::delivered(const Attempted& attempted, uint32_t index,
                           const ipc::RecipientOutcome& outcome) {
    log(attempted, index, "sent", error_of(outcome));
    ++delivered_;
    const auto action = success_to_report(attempted.stored.envelope, index, outcome);
    if (action) {
        RecipientReport report;
        report.index = index;
        report.action = *action;
        report.error = error_of(outcome);
        report.when = executor_.wall_seconds();
        return bouncer_.report(attempted.message, attempted.stored, std::move(report));
    }
    table_.finish(attempted.message, index);
    recorder_.changed(attempted.message);
}

void Settlement::deferred(const Attempted& attempted, uint32_t index, AttemptError error) {
    const WallTime now = executor_.wall_seconds();
    if (attempted.expires_at <= now)
        return expired(attempted, index, std::move(error));
    log(attempted, index, "deferred", error);
    ++attempts_deferred_;
    QueuedRecipient& recipient = attempted.message.recipients[index];
    if (recipient.attempts < UINT16_MAX)
        ++recipient.attempts;
    const WallTime next = now + wait_after(attempted, index, error).count();
    // The last attempt is made when the time is over, not up to retry-max later.
    recipient.next_attempt = to_seconds(std::min(next, attempted.expires_at));
    table_.set_stage(recipient, Stage::waiting);
    recipient.urgent = false;
    table_.set_error(recipient, error);
    recorder_.changed(attempted.message);
}

void Settlement::held(const Attempted& attempted, uint32_t index, AttemptError why,
                      WallTime until) {
    log(attempted, index, "held", why);
    QueuedRecipient& recipient = attempted.message.recipients[index];
    recipient.held = true;
    recipient.released = recipient.urgent = false;
    recipient.next_attempt = until ? std::min(to_seconds(until), QueuedRecipient::held_for_good)
                                   : QueuedRecipient::held_for_good;
    table_.set_stage(recipient, Stage::waiting);
    table_.set_error(recipient, why);
    recorder_.changed(attempted.message);
}

std::chrono::seconds Settlement::wait_after(const Attempted& attempted, uint32_t index,
                                            const AttemptError& error) const {
    const Backoff backoff = schedule_.backoff(
        domain_of_path(attempted.stored.envelope.recipients[index]), class_of(error));
    const auto announced = error.from_remote ? announced_wait(error.diagnostic) : std::nullopt;
    return retry_after(backoff, attempted.message.recipients[index].attempts, announced,
                       attempted.random);
}

void Settlement::expired(const Attempted& attempted, uint32_t index, AttemptError last) {
    ++expired_;
    AttemptError error;
    error.enhanced = "5.4.7";
    error.diagnostic = "delivery time expired";
    if (!last.enhanced.empty())
        error.diagnostic += "; the last attempt: " + last.enhanced + " " + last.diagnostic;
    if (last.from_remote)
        error.diagnostic += " (" + last.remote + ")";
    error.remote = std::move(last.remote);
    error.tls = std::move(last.tls);
    failed(attempted, index, std::move(error));
}

void Settlement::failed(const Attempted& attempted, uint32_t index, AttemptError error) {
    log(attempted, index, "bounced", error);
    ++failed_;
    RecipientReport report;
    report.index = index;
    report.error = std::move(error);
    report.when = executor_.wall_seconds();
    bouncer_.report(attempted.message, attempted.stored, std::move(report));
}

std::optional<DeliveryAction> success_to_report(const ipc::Envelope& envelope, uint32_t index,
                                                const ipc::RecipientOutcome& outcome) {
    const RecipientParameters& wanted = envelope.parameters_of(index);
    const std::optional<DeliverBy>& by = envelope.parameters.deliver_by;
    if (envelope.reverse_path.empty() || wanted.notify == notify::never)
        return std::nullopt;
    if (outcome.handover == ipc::Handover::delivered)
        return wanted.wants_success() ? std::optional(DeliveryAction::delivered) : std::nullopt;
    const bool aware = outcome.handover == ipc::Handover::relayed_aware; // the report is theirs
    const bool timed = by && (by->trace || !outcome.deliver_by);
    return (wanted.wants_success() && !aware) || timed ? std::optional(DeliveryAction::relayed)
                                                       : std::nullopt;
}

AttemptError error_of(ipc::RecipientOutcome outcome) {
    AttemptError error;
    error.enhanced = std::move(outcome.enhanced);
    error.diagnostic = std::move(outcome.diagnostic);
    error.from_remote = outcome.from_remote;
    error.remote = std::move(outcome.remote);
    error.tls = std::move(outcome.tls);
    return error;
}

AttemptError error_of(const Scheduler::Hold& hold) {
    const std::string_view reason = hold.reason; // "4.4.1 connection refused"
    const size_t space = reason.find(' ');
    AttemptError error;
    error.enhanced = reason.substr(0, space);
    error.diagnostic = reason.substr(std::min(reason.size(), space + 1));
    return error;
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
