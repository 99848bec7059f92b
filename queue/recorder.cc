#include "queue/recorder.h"

#include "common/base/log.h"
#include "common/mail/message_id.h"

namespace postern {

namespace {

constexpr auto retry_interval = std::chrono::seconds(1);

} // namespace

Recorder::Recorder(Executor& executor, Spool& spool, MailTable& table, Handlers handlers)
    : executor_(executor), spool_(spool), table_(table), handlers_(std::move(handlers)) {}

void Recorder::await(Ticket ticket, Done done) {
    waiting_.emplace(ticket, std::move(done));
    urgent_ = true;
    commit_soon();
}

void Recorder::commit_soon() { executor_.flush_soon(flush_); }

void Recorder::hurry() {
    urgent_ = true;
    commit_soon();
}

void Recorder::changed(QueuedMessage& message) {
    if (!message.changed)
        changed_.push_back(message.id);
    message.changed = true;
    commit_soon();
}

void Recorder::changed_durably(QueuedMessage& message, Done done) {
    durable_[message.id].push_back(std::move(done));
    changed(message);
}

void Recorder::finish() {
    urgent_ = true;
    flush();
    finished_ = true;
    flush_.cancel();
    retry_.disarm();
}

void Recorder::flush() {
    if (finished_)
        return;
    handlers_.refresh();
    std::vector<uint64_t> again;
    std::vector<uint64_t> now = std::exchange(changed_, {});
    for (uint64_t id : now) {
        QueuedMessage& message = *table_.find(id); // it cannot go while it is marked as changed
        const Recorded recorded = record(message);
        if (recorded == Recorded::again) {
            again.push_back(id);
            continue;
        }
        message.changed = false;
        if (!table_.release(message) && recorded == Recorded::yes)
            handlers_.recorded(message);
    }
    if (urgent_)
        commit();
    else if (appended_ && !linger_.armed())
        linger_.arm(executor_, executor_.now() + linger);
    if (!again.empty()) {
        changed_.insert(changed_.end(), again.begin(), again.end());
        retry_.arm(executor_, executor_.now() + retry_interval);
    }
}

void Recorder::commit() {
    urgent_ = appended_ = false;
    linger_.disarm();
    spool_.commit();
    ++commits_;
}

Recorder::Recorded Recorder::record(QueuedMessage& message) {
    auto waiter = durable_.find(message.id);
    const Durability durability = waiter == durable_.end() ? Durability::Lazy : Durability::Durable;
    Result<Ticket> ticket =
        message.unfinished ? spool_.append_progress(message.id, progress_of(message), durability)
                           : spool_.append_removed(message.id, durability);
    if (!ticket && ticket.error().code == ENOBUFS)
        return Recorded::again;
    const Recorded recorded = ticket ? Recorded::yes : Recorded::no;
    appended_ = appended_ || ticket;
    if (!ticket)
        log::error(
            "cannot record what happened to a message",
            {{"message", to_string(MessageId{message.id})}, {"reason", ticket.error().message}});
    if (waiter == durable_.end())
        return recorded;
    std::vector<Done> done = std::move(waiter->second);
    durable_.erase(waiter);
    if (ticket) {
        urgent_ = true;
        waiting_.emplace(*ticket, [done = std::move(done)](const Result<void>& result) {
            for (const Done& one : done)
                one(result);
        });
    } else {
        for (const Done& one : done)
            one(ticket.error());
    }
    return recorded;
}

std::string Recorder::progress_of(const QueuedMessage& message) const {
    StoredProgress progress;
    std::unordered_map<uint32_t, uint32_t> errors; // pooled → 1 + index in the record
    for (uint32_t i = 0; i < message.count; ++i) {
        const QueuedRecipient& recipient = message.recipients[i];
        if (recipient.stage == Stage::finished) {
            progress.set_finished(i);
            continue;
        }
        const bool reported = recipient.stage == Stage::reporting && recipient.delivered;
        if (!recipient.attempts && !recipient.told && !reported && !recipient.held)
            continue;
        RecipientProgress one;
        one.index = i;
        one.attempts = recipient.attempts;
        one.next_attempt = recipient.next_attempt;
        one.told = recipient.told;
        one.held = recipient.held;
        if (reported)
            one.handover = recipient.relayed ? ipc::Handover::relayed : ipc::Handover::delivered;
        one.expanded = reported && recipient.expanded;
        if (recipient.error) {
            auto [place, added] = errors.try_emplace(recipient.error, 0);
            if (added) {
                progress.errors.push_back(table_.errors.get(recipient.error));
                place->second = static_cast<uint32_t>(progress.errors.size());
            }
            one.error = place->second;
        }
        progress.recipients.push_back(one);
    }
    return encode(progress);
}

void Recorder::collect() {
    for (AppendResult& completion : spool_.collect()) {
        auto found = waiting_.find(completion.ticket);
        if (found == waiting_.end())
            continue;
        Done done = std::move(found->second);
        waiting_.erase(found);
        done(completion.result);
    }
}

} // namespace postern
