#include "queue/changes.h"

#include <algorithm>
#include <utility>

#include "queue/lifetime.h"

namespace postern {

namespace {

bool by_an_order(const AttemptError& error) {
    return error.diagnostic.starts_with("suspended by the postmaster (order ");
}

bool any_of(const Job& job, const std::vector<uint32_t>& recipients) {
    bool found = false;
    for_each_recipient(job, [&](uint32_t index) {
        found |= std::binary_search(recipients.begin(), recipients.end(), index);
    });
    return found;
}

} // namespace

uint32_t Changes::apply(const ipc::Change& change, QueuedMessage& message,
                        const std::vector<uint32_t>& recipients) {
    switch (change.kind) {
    case ipc::ChangeKind::schedule:
        return schedule(message, recipients, change.message.has_value());
    case ipc::ChangeKind::remove:
        return remove(message, recipients);
    case ipc::ChangeKind::bounce:
        return bounce(message, recipients, change.reason);
    case ipc::ChangeKind::hold:
        return hold(message, recipients, change.reason, change.until);
    case ipc::ChangeKind::release:
        return release(message, recipients, change.message.has_value());
    }
    return 0;
}

uint32_t Changes::schedule(QueuedMessage& message, const Recipients& recipients, bool named) {
    const WallTime now = queue_.executor().wall_seconds();
    uint32_t affected = 0;
    for (uint32_t index : recipients) {
        QueuedRecipient& recipient = message.recipients[index];
        const bool later = !recipient.attempts && recipient.next_attempt > now;
        if (recipient.stage != Stage::waiting || recipient.held || (later && !named))
            continue;
        recipient.next_attempt = 0;
        recipient.urgent = named;
        ++affected;
    }
    if (affected)
        queue_.reschedule(message);
    for (Job* job = message.jobs; job; job = job->sibling) {
        if (!job->listed || !queue_.scheduler().hold(job->destination) || !any_of(*job, recipients))
            continue;
        for_each_recipient(*job, [&](uint32_t index) {
            affected += message.recipients[index].stage == Stage::ready &&
                        std::binary_search(recipients.begin(), recipients.end(), index);
        });
        wanted_.insert(job->destination);
    }
    return affected;
}

void Changes::schedule_parked(const ParkedMessage& message) {
    if (message.destination)
        wanted_.insert(message.destination);
    else
        queue_.parked().hasten(message.id);
}

void Changes::finish() {
    for (uint32_t destination : std::exchange(wanted_, {}))
        queue_.scheduler().lift(destination);
    queue_.wake();
}

uint32_t Changes::remove(QueuedMessage& message, const Recipients& recipients) {
    for (uint32_t index : recipients)
        queue_.remove(message, index);
    return static_cast<uint32_t>(recipients.size());
}

void Changes::take_back(QueuedMessage& message, const Recipients& recipients) {
    for (Job *job = message.jobs, *next; job; job = next) {
        next = job->sibling;
        if (!job->listed || !any_of(*job, recipients))
            continue;
        queue_.scheduler().withdraw(*job);
        for_each_recipient(*job, [&](uint32_t index) {
            if (message.recipients[index].stage == Stage::ready)
                queue_.table().set_stage(message.recipients[index], Stage::waiting);
        });
        queue_.table().drop(*job);
    }
}

uint32_t Changes::bounce(QueuedMessage& message, const Recipients& recipients,
                         const std::string& reason) {
    take_back(message, recipients);
    const StoredMessage stored = message.read();
    const Settlement::Attempted attempted{message, stored};
    uint32_t affected = 0;
    for (uint32_t index : recipients) {
        if (message.recipients[index].stage != Stage::waiting)
            continue;
        // A hold stays until the report is on disk.
        queue_.settlement().failed(attempted, index,
                                   own_words("5.0.0", "given up by the postmaster", reason));
        ++affected;
    }
    queue_.reschedule(message);
    return affected;
}

uint32_t Changes::hold(QueuedMessage& message, const Recipients& recipients,
                       const std::string& reason, WallTime until) {
    take_back(message, recipients);
    const StoredMessage stored = message.read();
    const Settlement::Attempted attempted{message, stored};
    // Its sender's wish to have it later (RFC 4865) holds as well.
    if (until)
        until = std::max(until, stored.envelope.release_at);
    uint32_t affected = 0;
    for (uint32_t index : recipients) {
        if (message.recipients[index].stage != Stage::waiting)
            continue;
        queue_.settlement().held(attempted, index,
                                 own_words("4.3.0", "held by the postmaster", reason), until);
        ++affected;
    }
    queue_.reschedule(message);
    return affected;
}

uint32_t Changes::release(QueuedMessage& message, const Recipients& recipients, bool named) {
    const WallTime release_at = message.read().envelope.release_at;
    const WallTime now = queue_.executor().wall_seconds();
    uint32_t affected = 0;
    for (uint32_t index : recipients) {
        QueuedRecipient& recipient = message.recipients[index];
        if (!recipient.held || recipient.stage != Stage::waiting)
            continue;
        recipient.held = false;
        recipient.next_attempt = recipient.attempts ? 0 : to_seconds(release_at);
        // Only where it matters: such a message is not parked.
        recipient.released = named && by_an_order(queue_.table().errors.get(recipient.error));
        recipient.urgent = named && recipient.next_attempt <= now;
        queue_.table().clear_error(recipient);
        ++affected;
    }
    if (affected) {
        // Nothing was said while it was held.
        message.notice_at = std::min(message.notice_at, Notices::soon(now));
        queue_.recorder().changed(message);
        queue_.recorder().hurry(); // an operator is told that it is so
    }
    queue_.reschedule(message);
    return affected;
}

} // namespace postern
