// What operators do to mail that is queued: one envelope, one message, or all that a filter means.
#include <algorithm>
#include <memory>
#include <numeric>

#include "queue/admin.h"
#include "queue/admin_parts.h"
#include "queue/queue_filter.h"

namespace postern {

// What is removed or given up is not answered for before all of it is on disk.
struct Admin::Removal : std::enable_shared_from_this<Removal> {
    uint32_t waiting = 0; // messages
    std::optional<Error> error;
    std::function<void()> done; // when none waits any more, or one need not wait any longer
};

uint32_t Admin::apply(const ipc::Change& change, QueuedMessage& message,
                      const std::vector<uint32_t>& recipients, Removal& removal) {
    const uint32_t affected = changes_.apply(change, message, recipients);
    const bool bounced = change.kind == ipc::ChangeKind::bounce;
    if ((change.kind != ipc::ChangeKind::remove && !bounced) || !affected)
        return affected;
    const Recorder::Done done = [removal = removal.shared_from_this()](const Result<void>& result) {
        --removal->waiting;
        if (!result)
            removal->error = result.error();
        if (removal->done && (removal->waiting == 0 || removal->error))
            std::exchange(removal->done, nullptr)();
    };
    ++removal.waiting;
    queue_.recorder().changed_durably(message, done);
    if (bounced && queue_.bouncer().is_writing(message.id)) {
        ++removal.waiting;
        queue_.bouncer().await(message.id, done);
    }
    return affected;
}

std::optional<ipc::Answer> Admin::answer(ipc::Changed changed,
                                         const std::shared_ptr<Removal>& removal) {
    if (removal->waiting == 0)
        return changed;
    removal->done = [this, changed, removal = removal.get()] {
        if (removal->error)
            answer_(failed(changed.request, "done, but not recorded: " + removal->error->message));
        else
            answer_(changed);
    };
    return std::nullopt;
}

std::optional<ipc::Answer> Admin::change(const ipc::Change& change) {
    if (!queue_.loaded())
        return failed(change.request, "the queue is still being read: try again");
    if (change.message && queue_.loader().unread().contains(*change.message))
        return change_unread(change);
    if (change.message)
        return change_one(change);
    if (change.kind == ipc::ChangeKind::schedule && means_all(change.filter))
        return schedule_all(change.request);
    return change_some(change);
}

std::optional<ipc::Answer> Admin::change_one(const ipc::Change& change) {
    QueuedMessage* message = queue_.loader().find(*change.message);
    if (!message || !message->unfinished)
        return failed(change.request, "no such message in the queue");
    if (change.index && *change.index >= message->count)
        return failed(change.request, "no such recipient of this message");
    std::vector<uint32_t> recipients;
    for (uint32_t index = change.index.value_or(0);
         index < message->count && index <= change.index.value_or(index); ++index)
        if (message->recipients[index].stage != Stage::finished)
            recipients.push_back(index);
    const auto removal = std::make_shared<Removal>();
    ipc::Changed changed;
    changed.request = change.request;
    changed.affected = apply(change, *message, recipients, *removal);
    changes_.finish();
    return answer(changed, removal);
}

std::vector<uint32_t> Admin::meant(const View& view, const ipc::Change& change) const {
    using ipc::RecipientState;
    Page page{change.filter, SIZE_MAX, SIZE_MAX, {}};
    add_entries(view, -1, page);
    std::vector<uint32_t> recipients;
    for (const ipc::EnvelopeEntry& entry : page.entries) {
        const bool held = entry.state == RecipientState::held;
        const bool out = entry.state == RecipientState::in_flight;
        const bool reached = change.kind == ipc::ChangeKind::release    ? held
                             : change.kind == ipc::ChangeKind::schedule ? !held && !out
                             : change.kind == ipc::ChangeKind::remove   ? true
                                                                        : !out;
        if (reached)
            recipients.push_back(entry.index);
    }
    return recipients;
}

std::optional<ipc::Answer> Admin::change_some(const ipc::Change& change) {
    const auto removal = std::make_shared<Removal>();
    ipc::Changed changed;
    changed.request = change.request;
    uint64_t id = next_message(change.after_message);
    for (size_t cost = 0; cost < cost_limit && id != UINT64_MAX; id = next_message(id)) {
        changed.after_message = id;
        MailTable table;
        const View view = look(id, table);
        cost += view.table == &table ? cost_of_parked : 1;
        const std::vector<uint32_t> recipients =
            view.message ? meant(view, change) : std::vector<uint32_t>();
        if (!recipients.empty())
            changed.affected += change_viewed(change, view, recipients, *removal);
    }
    changed.last = id == UINT64_MAX;
    changes_.finish();
    return answer(changed, removal);
}

uint32_t Admin::change_viewed(const ipc::Change& change, const View& view,
                              const std::vector<uint32_t>& recipients, Removal& removal) {
    const uint64_t id = view.message->id;
    const ParkedMessage* parked = queue_.parked().find(id);
    if (parked && change.kind == ipc::ChangeKind::schedule &&
        recipients.size() == view.message->unfinished) {
        changes_.schedule_parked(*parked);
        return static_cast<uint32_t>(recipients.size());
    }
    QueuedMessage* message = queue_.loader().find(id); // now it has to be here
    const uint32_t affected = message ? apply(change, *message, recipients, removal) : 0;
    if (message && !affected)
        queue_.parking().consider(*message);
    return affected;
}

std::optional<ipc::Answer> Admin::change_unread(const ipc::Change& change) {
    ipc::Changed changed;
    changed.request = change.request;
    const uint64_t id = *change.message;
    if (change.kind == ipc::ChangeKind::schedule) {
        changed.affected = !queue_.loader().unread().at(id).lasting;
        queue_.loader().try_again_now();
        return changed;
    }
    if (change.kind != ipc::ChangeKind::remove)
        return failed(change.request, "the message cannot be read");
    Result<Ticket> ticket = queue_.spool().append_removed(id, Durability::Durable);
    if (!ticket)
        return failed(change.request, "not removed: " + ticket.error().message);
    queue_.loader().forget(id);
    changed.affected = 1;
    queue_.recorder().await(*ticket, [this, changed](const Result<void>& result) {
        if (result)
            answer_(changed);
        else
            answer_(
                failed(changed.request, "removed, but not recorded: " + result.error().message));
    });
    return std::nullopt;
}

ipc::Answer Admin::schedule_all(uint32_t request) {
    ipc::Change change;
    ipc::Changed changed;
    changed.request = request;
    MailTable& table = queue_.table();
    for (QueuedMessage* one = table.after(0); one; one = table.after(one->id)) {
        std::vector<uint32_t> all(one->count);
        std::iota(all.begin(), all.end(), 0);
        changed.affected += changes_.apply(change, *one, all);
    }
    changed.affected += static_cast<uint32_t>(queue_.parked().recipients());
    queue_.parked().hasten_all();
    const auto& unread = queue_.loader().unread();
    changed.affected += static_cast<uint32_t>(std::count_if(
        unread.begin(), unread.end(), [](const auto& one) { return !one.second.lasting; }));
    queue_.loader().try_again_now();
    queue_.scheduler().lift_all();
    changes_.finish();
    return changed;
}

} // namespace postern
