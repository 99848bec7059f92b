#include "queue/notices.h"

#include <limits>

namespace postern {

namespace {

constexpr WallTime never = std::numeric_limits<WallTime>::max();
constexpr WallTime grace = 300; // seconds

bool is_under_way(Stage stage) { return stage == Stage::routing || stage == Stage::in_flight; }

// Ids begin as microseconds.
WallTime begun_at(const QueuedMessage& message) {
    return static_cast<WallTime>(message.id / 1'000'000);
}

bool waits(Stage stage) { return stage == Stage::waiting || stage == Stage::ready; }

bool may_be_told(const ipc::Envelope& envelope, uint32_t index) {
    return !envelope.reverse_path.empty() && envelope.parameters_of(index).wants_delay();
}

// Of each recipient; null: it is in none.
std::vector<const Job*> jobs_of(const QueuedMessage& message) {
    std::vector<const Job*> jobs(message.count, nullptr);
    for (const Job* job = message.jobs; job; job = job->sibling)
        for_each_recipient(*job, [&](uint32_t index) { jobs[index] = job; });
    return jobs;
}

} // namespace

Notices::Notices(Executor& executor, MailTable& table, Scheduler& scheduler, Settlement& settlement,
                 Bouncer& bouncer)
    : executor_(executor), table_(table), scheduler_(scheduler), settlement_(settlement),
      bouncer_(bouncer) {}

uint32_t Notices::soon(WallTime now) { return to_seconds(now + grace); }

bool Notices::configure(const WarnDelays& delays, std::chrono::seconds ttl) {
    ttl_ = ttl;
    const bool changed = delays != delays_;
    delays_ = delays;
    return changed;
}

// Too early does no harm: look() finds out.
void Notices::reconsider(QueuedMessage& message) const {
    if (!delays_.empty())
        message.notice_at =
            std::min(message.notice_at, to_seconds(message.accepted_at + delays_.front().count()));
}

void Notices::begin(QueuedMessage& message, const StoredMessage& stored, bool found) const {
    // What was due before it became a message of its own was told of that which it came from.
    if (stored.descent)
        for (uint32_t index = 0; index < message.count; ++index)
            note_told(message.recipients[index],
                      told_by(stored.envelope, delays_, 0, begun_at(message)));
    WallTime next = next_time(message, stored.envelope);
    if (found && next != never)
        next = std::max<WallTime>(next, soon(executor_.wall_seconds()));
    if (gives_up(stored.envelope))
        next = std::min(next, *wanted_by(stored.envelope));
    message.notice_at = to_seconds(next);
}

// When there is something to tell of one of its recipients, that of which attempts are under way
// excepted.
WallTime Notices::next_time(const QueuedMessage& message, const ipc::Envelope& envelope) const {
    WallTime next = never;
    for (uint32_t index = 0; index < message.count; ++index) {
        const QueuedRecipient& recipient = message.recipients[index];
        if (recipient.stage == Stage::finished || recipient.stage == Stage::reporting ||
            recipient.held || !may_be_told(envelope, index))
            continue;
        Told told = recipient.told;
        if (is_under_way(recipient.stage))
            told = told_by(envelope, delays_, told, executor_.wall_seconds());
        next = std::min(next, next_told(envelope, delays_, told).value_or(never));
    }
    return next;
}

void Notices::look(QueuedMessage& message) {
    const StoredMessage stored = message.read();
    const ipc::Envelope& envelope = stored.envelope;
    const WallTime now = executor_.wall_seconds();
    message.notice_missed = false;
    WallTime next = never;
    if (gives_up(envelope) && *wanted_by(envelope) <= now)
        give_up(message, stored);
    else if (gives_up(envelope))
        next = *wanted_by(envelope);
    const std::vector<const Job*> jobs = jobs_of(message);
    for (uint32_t index = 0; index < message.count; ++index) {
        QueuedRecipient& recipient = message.recipients[index];
        const Told told = told_by(envelope, delays_, recipient.told, now);
        if (told == recipient.told || recipient.held || !may_be_told(envelope, index))
            continue;
        if (is_under_way(recipient.stage))
            message.notice_missed = true;
        else if (waits(recipient.stage))
            tell(message, stored, index, jobs[index], told);
    }
    next = std::min(next, next_time(message, envelope));
    message.notice_at = to_seconds(std::max(next, now + 1));
    scheduler_.update(message);
}

// RFC 2852 4.1: it goes back, wherever it waits. What is out is allowed to come back first.
void Notices::give_up(QueuedMessage& message, const StoredMessage& stored) {
    const Settlement::Attempted attempted{message, stored, *wanted_by(stored.envelope), 0};
    const auto expire = [&](uint32_t index) {
        settlement_.expired(attempted, index, table_.errors.get(message.recipients[index].error));
    };
    for (Job *job = message.jobs, *next; job; job = next) {
        next = job->sibling;
        if (!job->listed)
            continue;
        scheduler_.withdraw(*job);
        MailTable::prune(*job);
        for_each_recipient(*job, expire);
        table_.drop(*job); // not the message: it has changed
    }
    for (uint32_t index = 0; index < message.count; ++index) {
        if (message.recipients[index].held)
            continue; // until an operator releases it
        if (message.recipients[index].stage == Stage::waiting)
            expire(index);
        else if (is_under_way(message.recipients[index].stage))
            message.notice_missed = true;
    }
}

void Notices::tell(QueuedMessage& message, const StoredMessage& stored, uint32_t index,
                   const Job* job, Told news) {
    RecipientReport report;
    report.index = index;
    report.action = DeliveryAction::delayed;
    report.error = reason(message.recipients[index], job);
    // What its route says, if it has one now.
    report.retry_until =
        job && job->expires_at ? job->expires_at : expires_at(stored.envelope, ttl_);
    if ((news & ~message.recipients[index].told) & told::late) {
        report.error.diagnostic =
            "not delivered within the time that was asked for: " + report.error.enhanced + " " +
            report.error.diagnostic;
        report.error.enhanced = "4.4.7";
        report.error.from_remote = false;
    }
    message.recipients[index].told = news & told::all;
    report.told = news;
    bouncer_.report(message, stored, std::move(report));
}

// Why it still waits: what its last attempt came to, or that of others for its destination.
AttemptError Notices::reason(const QueuedRecipient& recipient, const Job* job) {
    if (recipient.error)
        return table_.errors.get(recipient.error);
    if (const Scheduler::Hold* hold = job ? scheduler_.hold(job->destination) : nullptr)
        return error_of(*hold);
    AttemptError error;
    error.enhanced = "4.4.7";
    error.diagnostic = "it is still in the queue";
    return error;
}

} // namespace postern
