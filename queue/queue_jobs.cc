// What becomes of a job that the scheduler has given out: it is handed over, and comes back.
#include <string>

#include "common/base/log.h"
#include "common/mail/message_id.h"
#include "queue/failure.h"
#include "queue/lifetime.h"
#include "queue/queue.h"

namespace postern {

namespace {

// A job whose deliverers die again and again may be what they die of: then it is put off like one
// that failed, so that the others get through, and expires.
constexpr uint8_t losses_limit = 3;

AttemptError own_error(const char* enhanced, std::string diagnostic) {
    AttemptError error;
    error.enhanced = enhanced;
    error.diagnostic = std::move(diagnostic);
    return error;
}

AttemptError damaged() {
    return own_error("5.3.0", "the message was damaged in the server's storage");
}
AttemptError unreadable() { return own_error("4.3.0", "the content cannot be read at present"); }

} // namespace

// An operator has removed all its recipients while somebody had it: then it is gone.
bool Queue::drop_if_removed(Job& job) {
    if (MailTable::prune(job))
        return false;
    scheduler_.settle(job, Attempt::none, {}, executor_.wall_seconds(), 0);
    table_.drop(job);
    return true;
}

// The job, which has a slot and credit, to its deliverer.
void Queue::hand_over(Job& job) {
    if (drop_if_removed(job))
        return;
    const WallTime now = executor_.wall_seconds();
    if (job.gives_up && job.expires_at <= now)
        return give_up(job, now);
    if (!routing_.fresh(job))
        return routing_.again(job);
    if (ContentCheck::needed(*job.message)) {
        for_each_recipient(job, [&](uint32_t index) {
            table_.set_stage(job.message->recipients[index], Stage::in_flight);
        });
        return content_check_.check(job);
    }
    if (Result<void> handed = dispatch_.deliver(job, now); !handed)
        content_unreadable(job, handed.error());
}

void Queue::content_checked(Job& job, const Result<void>& result) {
    if (drop_if_removed(job))
        return wake(); // and so its content may be missing
    if (!result)
        content_unreadable(job, result.error());
    else if (draining_ || !dispatch_.connected(job.deliverer))
        put_back(job, false);
    else
        hand_over(job);
    wake();
}

void Queue::content_unreadable(Job& job, const Error& error) {
    log::error("the content of a message cannot be read",
               {{"message", to_string(MessageId{job.message->id})}, {"reason", error.message}});
    if (set_aside_damaged(job.message->id, error))
        fail(job, damaged());
    else
        defer(job, unreadable());
}

// Whether the content is damaged, and kept where an operator finds it.
bool Queue::set_aside_damaged(uint64_t message, const Error& error) {
    if (error.code != EBADMSG)
        return false;
    const Result<std::string> aside = spool_.set_content_aside(message);
    if (aside)
        log::error("a damaged message is set aside, its sender is told",
                   {{"message", to_string(MessageId{message})}, {"file", *aside}});
    else
        log::error("a damaged message cannot be set aside",
                   {{"message", to_string(MessageId{message})}, {"reason", aside.error().message}});
    return aside.ok();
}

// The job, which nobody has, failed for now, and not for its destination's sake.
void Queue::defer(Job& job, const AttemptError& error) {
    QueuedMessage& message = *job.message;
    const StoredMessage stored = message.read();
    const Settlement::Attempted attempted{message, stored, job.expires_at, random_()};
    MailTable::prune(job);
    for_each_recipient(job, [&](uint32_t index) { settlement_.deferred(attempted, index, error); });
    message.attempt_over();
    scheduler_.update(message);
    scheduler_.settle(job, Attempt::none, {}, executor_.wall_seconds(), 0);
    table_.drop(job);
}

// The same, for good.
void Queue::fail(Job& job, const AttemptError& error) {
    const StoredMessage stored = job.message->read();
    const Settlement::Attempted attempted{*job.message, stored, job.expires_at, 0};
    MailTable::prune(job);
    for_each_recipient(job, [&](uint32_t index) { settlement_.failed(attempted, index, error); });
    scheduler_.update(*job.message);
    scheduler_.settle(job, Attempt::none, {}, executor_.wall_seconds(), 0);
    table_.drop(job);
}

// The job has expired before it could be tried.
void Queue::give_up(Job& job, WallTime now) {
    QueuedMessage& message = *job.message;
    const StoredMessage stored = message.read();
    const Settlement::Attempted attempted{message, stored, job.expires_at, 0};
    for_each_recipient(job, [&](uint32_t index) {
        settlement_.expired(attempted, index, table_.errors.get(message.recipients[index].error));
    });
    scheduler_.update(message);
    scheduler_.settle(job, Attempt::none, {}, now, 0);
    table_.drop(job);
}

// -- What deliverers say.

void Queue::job_settled(Job& job, bool down, std::vector<ipc::RecipientOutcome> outcomes) {
    QueuedMessage& message = *job.message;
    const StoredMessage stored = message.read();
    const WallTime now = executor_.wall_seconds();
    const Settlement::Attempted attempted{message, stored, job.expires_at, random_()};
    const uint32_t destination = job.destination;
    const std::string forwarder = table_.routes.get(job.route).user;
    const Attempt attempt = attempt_of(down, outcomes);
    const std::string reason = attempt == Attempt::answered
                                   ? std::string()
                                   : outcomes.front().enhanced + " " + outcomes.front().diagnostic;
    const bool held = scheduler_.settle(job, attempt, reason, now, random_());
    for (ipc::RecipientOutcome& outcome : outcomes) {
        if (message.recipients[outcome.index].stage == Stage::finished)
            continue; // removed by an operator meanwhile
        if (outcome.status == ipc::RecipientStatus::delivered)
            settlement_.delivered(attempted, outcome.index, outcome);
        else if (outcome.status == ipc::RecipientStatus::forwarded)
            forward(attempted, outcome, forwarder);
        else if (outcome.status == ipc::RecipientStatus::temporary)
            settlement_.deferred(attempted, outcome.index, error_of(std::move(outcome)));
        else
            settlement_.failed(attempted, outcome.index, error_of(std::move(outcome)));
    }
    message.attempt_over();
    scheduler_.update(message);
    table_.drop(job);
    if (held) {
        const Scheduler::Hold* hold = scheduler_.hold(destination);
        log::warning("a destination is held", {{"destination", hold->destination},
                                               {"seconds", hold->until - now},
                                               {"waiting", hold->waiting},
                                               {"reason", hold->reason}});
        expire_held(destination, now);
        parking_.destination_held(destination);
    }
    wake();
}

// A .forward of the user whose mail it is names others.
void Queue::forward(const Settlement::Attempted& attempted, const ipc::RecipientOutcome& outcome,
                    const std::string& user) {
    const std::string& address = attempted.stored.envelope.recipients[outcome.index];
    const std::string& whose = user.empty() ? address : user;
    std::vector<ipc::Target> targets = outcome.targets;
    const bool is_back = came_back_to(attempted.stored, user);
    if (is_back) // by another address of his, which stands in his .forward
        targets = {ipc::Target{ipc::TargetKind::mailbox, user, ""}};
    std::string why = leads_back(attempted.stored, targets.size(), is_back ? std::string() : whose);
    if (!why.empty() && !user.empty() && leads_back(attempted.stored, 1, whose).empty()) {
        // Too many for what the message may still come to: he has it himself.
        targets = {ipc::Target{ipc::TargetKind::mailbox, user, ""}};
        why.clear();
    }
    if (!why.empty()) {
        if (expansions_.reports_loop(attempted.message, attempted.stored, outcome.index, why))
            settlement_.failed(attempted, outcome.index, own_error("5.4.6", why));
        return;
    }
    if (expansions_.refused())
        return settlement_.deferred(attempted, outcome.index,
                                    own_error("4.3.1", "the disk takes no mail at present"));
    ExpandedFrom from;
    from.index = outcome.index;
    from.recipients = expanded_of(targets, address);
    expansions_.forward(attempted.message, std::move(from), whose);
}

// The content cannot be read for messages to those in the recipients' place.
void Queue::not_expanded(QueuedMessage& message, const std::vector<uint32_t>& indexes,
                         const Error& error) {
    log::error("the content of a message cannot be read",
               {{"message", to_string(MessageId{message.id})}, {"reason", error.message}});
    const bool is_damaged = set_aside_damaged(message.id, error);
    const StoredMessage stored = message.read();
    const Settlement::Attempted attempted{message, stored,
                                          expires_at(stored.envelope, settings_.ttl), random_()};
    for (uint32_t index : indexes)
        if (is_damaged)
            settlement_.failed(attempted, index, damaged());
        else
            settlement_.deferred(attempted, index, unreadable());
    scheduler_.update(message);
    wake();
}

// Mail that waits for a destination which cannot be reached has failed with it.
void Queue::expire_held(uint32_t destination, WallTime now) {
    for (Job* job : scheduler_.expired(destination, now)) {
        QueuedMessage& message = *job->message;
        const StoredMessage stored = message.read();
        const AttemptError error = error_of(*scheduler_.hold(destination));
        const Settlement::Attempted attempted{message, stored, job->expires_at, 0};
        MailTable::prune(*job);
        for_each_recipient(*job,
                           [&](uint32_t index) { settlement_.deferred(attempted, index, error); });
        scheduler_.update(message); // should the clock say by now that it has not expired
        table_.drop(*job);
    }
}

void Queue::job_lost(Job& job) {
    if (drop_if_removed(job))
        return;
    if (++job.losses >= losses_limit) {
        log::warning("deliveries of a message end with their process, it is put off",
                     {{"message", to_string(MessageId{job.message->id})}});
        return defer(job,
                     own_error("4.3.0", "the process that delivered it ended before it was done"));
    }
    put_back(job, true);
}

// The job is the next of its destination.
void Queue::put_back(Job& job, bool tried) {
    MailTable::prune(job);
    for_each_recipient(job, [&](uint32_t index) {
        table_.set_stage(job.message->recipients[index], Stage::ready);
    });
    job.message->attempt_over();
    scheduler_.update(*job.message);
    scheduler_.put_back(job, tried);
}

} // namespace postern
