#include "queue/restore.h"

#include <algorithm>

#include "common/base/log.h"
#include "common/mail/message_id.h"

namespace postern {

namespace {

void restore(MailTable& table, QueuedRecipient& recipient, const RecipientProgress& one,
             const std::vector<AttemptError>& errors, WallTime latest) {
    recipient.attempts = static_cast<uint16_t>(std::min<uint32_t>(one.attempts, UINT16_MAX));
    if (one.attempts) // else it waits for its release, if for anything
        recipient.next_attempt = to_seconds(std::min<WallTime>(one.next_attempt, latest));
    recipient.told = one.told & told::all;
    recipient.held = one.held;
    if (one.held)
        recipient.next_attempt = to_seconds(one.next_attempt);
    if (one.handover) {
        table.set_stage(recipient, Stage::reporting);
        recipient.delivered = true;
        recipient.relayed = *one.handover == ipc::Handover::relayed;
        recipient.expanded = one.expanded;
    }
    if (one.error)
        table.set_error(recipient, errors[one.error - 1]);
}

} // namespace

Restored restore(MailTable& table, const RecoveredMessage& found, const StoredMessage& message,
                 WallTime latest) {
    Restored result{table.add(found.id, found.envelope, message, found.content_length)};
    if (!found.has_progress)
        return result;
    QueuedMessage& queued = result.message;
    Result<StoredProgress> progress = decode_progress(found.progress, queued.count);
    if (!progress) {
        log::error(
            "what happened to a message is unreadable: it is sent to all its recipients",
            {{"message", to_string(MessageId{queued.id})}, {"reason", progress.error().message}});
        return result;
    }
    for (const RecipientProgress& one : progress->recipients) {
        restore(table, queued.recipients[one.index], one, progress->errors, latest);
        result.reported &= !one.handover;
    }
    for (uint32_t index = 0; index < queued.count; ++index)
        if (progress->is_finished(index))
            table.finish(queued, index);
    return result;
}

} // namespace postern
