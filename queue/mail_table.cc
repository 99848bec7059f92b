#include "queue/mail_table.h"

#include <algorithm>
#include <cassert>
#include <cstring>

namespace postern {

uint32_t to_seconds(WallTime when) {
    return static_cast<uint32_t>(std::clamp<WallTime>(when, 0, UINT32_MAX));
}

StoredMessage QueuedMessage::read() const {
    Result<StoredMessage> message = decode_message(payload());
    assert(message); // it was decoded when it came in
    return std::move(*message);
}

MailTable::~MailTable() {
    for (auto& [id, message] : messages_)
        while (Job* job = message.jobs) {
            message.jobs = job->sibling;
            delete job;
        }
}

QueuedMessage& MailTable::add(uint64_t id, std::string_view payload, const StoredMessage& message,
                              uint64_t content_size) {
    QueuedMessage& queued = messages_[id];
    assert(!queued.recipients);
    queued.id = id;
    queued.size = content_size;
    queued.stored = std::make_unique_for_overwrite<char[]>(payload.size());
    std::memcpy(queued.stored.get(), payload.data(), payload.size());
    queued.stored_size = static_cast<uint32_t>(payload.size());
    queued.count = static_cast<uint32_t>(message.envelope.recipients.size());
    queued.unfinished = queued.count;
    queued.recipients = std::make_unique<QueuedRecipient[]>(queued.count);
    queued.accepted_at = to_seconds(message.envelope.accepted_at);
    // RFC 4865: it is not to be delivered before.
    for (uint32_t index = 0; message.envelope.release_at > 0 && index < queued.count; ++index)
        queued.recipients[index].next_attempt = to_seconds(message.envelope.release_at);
    unfinished_ += queued.count;
    by_stage_[static_cast<size_t>(Stage::waiting)] += queued.count;
    return queued;
}

QueuedMessage* MailTable::find(uint64_t id) {
    auto found = messages_.find(id);
    return found == messages_.end() ? nullptr : &found->second;
}

QueuedMessage* MailTable::after(uint64_t id) {
    auto found = messages_.upper_bound(id);
    return found == messages_.end() ? nullptr : &found->second;
}

bool MailTable::release(QueuedMessage& message) {
    if (message.unfinished || message.jobs || message.changed)
        return false;
    assert(message.heap_position == UINT32_MAX);
    messages_.erase(message.id);
    return true;
}

void MailTable::set_aside(QueuedMessage& message) {
    assert(!message.jobs && !message.changed && message.heap_position == UINT32_MAX);
    for (uint32_t index = 0; index < message.count; ++index) {
        QueuedRecipient& recipient = message.recipients[index];
        if (recipient.stage == Stage::finished)
            continue;
        assert(recipient.stage == Stage::waiting);
        --by_stage_[static_cast<size_t>(Stage::waiting)];
        errors.release(recipient.error);
    }
    unfinished_ -= message.unfinished;
    messages_.erase(message.id);
}

void MailTable::set_stage(QueuedRecipient& recipient, Stage stage) {
    --by_stage_[static_cast<size_t>(recipient.stage)];
    ++by_stage_[static_cast<size_t>(stage)];
    recipient.stage = stage;
}

void MailTable::set_error(QueuedRecipient& recipient, const AttemptError& error) {
    uint32_t number = errors.intern(error); // before the release: it may be the same
    errors.release(recipient.error);
    recipient.error = number;
}

void MailTable::clear_error(QueuedRecipient& recipient) {
    errors.release(recipient.error);
    recipient.error = 0;
}

void MailTable::finish(QueuedMessage& message, uint32_t index) {
    QueuedRecipient& recipient = message.recipients[index];
    if (recipient.stage == Stage::finished)
        return;
    --by_stage_[static_cast<size_t>(recipient.stage)];
    recipient.stage = Stage::finished;
    clear_error(recipient);
    --message.unfinished;
    --unfinished_;
}

Job& MailTable::make_job(QueuedMessage& message) {
    Job* job = new Job; // owned by the message's list, until drop()
    job->message = &message;
    job->sibling = message.jobs;
    message.jobs = job;
    return *job;
}

void MailTable::add_to(Job& job, uint32_t index) {
    QueuedRecipient& recipient = job.message->recipients[index];
    recipient.next = job.first;
    job.first = index;
    job.urgent = job.urgent || recipient.urgent;
}

uint32_t MailTable::prune(Job& job) {
    uint32_t count = 0;
    uint32_t* place = &job.first;
    while (*place != QueuedRecipient::none) {
        QueuedRecipient& recipient = job.message->recipients[*place];
        if (recipient.stage == Stage::finished) {
            *place = recipient.next;
        } else {
            place = &recipient.next;
            ++count;
        }
    }
    return count;
}

void MailTable::drop(Job& job) {
    assert(!job.listed && !job.has_slot && !job.has_credit);
    QueuedMessage& message = *job.message;
    Job** place = &message.jobs;
    while (*place != &job)
        place = &(*place)->sibling;
    *place = job.sibling;
    routes.release(job.route);
    delete &job;
    release(message);
}

} // namespace postern
