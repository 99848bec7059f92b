// What the queue holds, as operators see it: recipients, page by page, and one message.
#include "queue/admin.h"

#include <algorithm>
#include <utility>

#include "queue/admin_parts.h"
#include "queue/lifetime.h"
#include "queue/queue_filter.h"

namespace postern {

namespace {

constexpr size_t path_room = 128 * 1024;    // bytes: an envelope, with the entries beside it
constexpr uint32_t piece_limit = 64 * 1024; // bytes of content

size_t room_of(const ipc::EnvelopeEntry& entry) {
    return 128 + entry.reverse_path.size() + entry.recipient.size() + entry.last_error.size();
}

// What is said of the first recipients of an envelope, as far as a packet has room; the others can
// be had by QueueQuery.
void cut(ipc::Envelope& envelope) {
    size_t room = path_room;
    uint32_t shown = 0;
    for (; shown < envelope.recipients.size(); ++shown) {
        size_t size = 64 + envelope.recipients[shown].size() +
                      envelope.parameters_of(shown).original_recipient.size();
        if (const ipc::Target* target = envelope.target_of(shown))
            size += 64 + target->text.size() + target->user.size();
        if (size > room)
            break;
        room -= size;
    }
    envelope.recipients.resize(shown);
    const auto is_cut = [&](const auto& one) { return one.index >= shown; };
    std::erase_if(envelope.options, is_cut);
    std::erase_if(envelope.targets, is_cut);
}

} // namespace

Admin::View Admin::look(uint64_t id, MailTable& table) const {
    if (const QueuedMessage* message = queue_.table().find(id))
        return {message, &queue_.table()};
    const ParkedMessage* parked = queue_.parked().find(id);
    if (!parked)
        return {};
    return {queue_.loader().view(id, table), &table, parked->destination};
}

ipc::EnvelopeEntry Admin::entry(const View& view, const StoredMessage& stored, uint32_t index,
                                const Job* job) const {
    const QueuedMessage& message = *view.message;
    const QueuedRecipient& recipient = message.recipients[index];
    ipc::EnvelopeEntry entry;
    entry.message = message.id;
    entry.index = index;
    entry.reverse_path = stored.envelope.reverse_path;
    entry.recipient = stored.envelope.recipients[index];
    entry.accepted_at = stored.envelope.accepted_at;
    entry.expires_at =
        job && job->expires_at ? job->expires_at : expires_at(stored.envelope, queue_.ttl());
    entry.attempts = recipient.attempts;
    entry.size = message.size;
    entry.last_error = describe(view.table->errors.get(recipient.error));
    switch (recipient.stage) {
    case Stage::in_flight:
        entry.state = ipc::RecipientState::in_flight;
        break;
    case Stage::waiting:
        if (recipient.held) {
            entry.state = ipc::RecipientState::held;
            entry.next_attempt = recipient.next_attempt == QueuedRecipient::held_for_good
                                     ? 0
                                     : recipient.next_attempt;
        } else if (recipient.next_attempt > queue_.executor().wall_seconds()) {
            entry.state = ipc::RecipientState::deferred;
            entry.next_attempt = recipient.next_attempt;
        } else {
            note_hold(entry, view.destination);
        }
        break;
    case Stage::reporting:
        entry.state = ipc::RecipientState::deferred;
        break;
    case Stage::ready:
        if (job && queue_.scheduler().paused(*job))
            entry.state = ipc::RecipientState::paused;
        if (job)
            note_hold(entry, job->destination);
        break;
    case Stage::routing:
    case Stage::finished:
        break;
    }
    return entry;
}

void Admin::note_hold(ipc::EnvelopeEntry& entry, uint32_t destination) const {
    const Scheduler::Hold* hold = queue_.scheduler().hold(destination);
    if (!hold)
        return;
    entry.state = ipc::RecipientState::deferred;
    entry.next_attempt = hold->until;
    if (entry.last_error.empty())
        entry.last_error = hold->reason;
}

ipc::EnvelopeEntry Admin::unread_entry(uint64_t id, const Loader::Unread& unread) const {
    ipc::EnvelopeEntry entry;
    entry.message = id;
    entry.state = ipc::RecipientState::unreadable;
    entry.accepted_at = static_cast<int64_t>(id / 1'000'000); // ids begin as microseconds
    entry.next_attempt = unread.lasting ? 0 : queue_.loader().next_attempt();
    entry.last_error = describe(queue_.table().errors.get(unread.error));
    return entry;
}

// It is found out what is wrong with it when it comes back.
ipc::EnvelopeEntry Admin::parked_unread_entry(uint64_t id) const {
    ipc::EnvelopeEntry entry = unread_entry(id, {});
    entry.next_attempt = queue_.parked().find(id)->due;
    entry.last_error = "4.3.0 the message cannot be read at present";
    return entry;
}

bool Admin::Page::add(ipc::EnvelopeEntry entry) {
    if (!matches(filter, entry))
        return true;
    const size_t size = room_of(entry);
    if (entries.size() >= limit || room < size)
        return false;
    room -= size;
    entries.push_back(std::move(entry));
    return true;
}

bool Admin::add_entries(const View& view, int64_t after, Page& page) const {
    const QueuedMessage& message = *view.message;
    const StoredMessage stored = message.read();
    std::vector<const Job*> jobs(message.count);
    for (const Job* job = message.jobs; job; job = job->sibling)
        for_each_recipient(*job, [&](uint32_t index) { jobs[index] = job; });
    for (auto index = static_cast<uint32_t>(after + 1); index < message.count; ++index) {
        if (message.recipients[index].stage != Stage::finished &&
            !page.add(entry(view, stored, index, jobs[index])))
            return false;
        page.message = message.id;
        page.index = index;
    }
    return true;
}

uint64_t Admin::next_message(uint64_t id) const {
    const QueuedMessage* message = queue_.table().after(id);
    const ParkedMessage* parked = queue_.parked().after(id);
    return std::min(message ? message->id : UINT64_MAX, parked ? parked->id : UINT64_MAX);
}

ipc::Answer Admin::list(const ipc::QueueQuery& query) {
    Page page{query.filter,        std::clamp<size_t>(query.limit, 1, page_limit),
              page_room,           {},
              query.after_message, query.after_index};
    const auto& unread = queue_.loader().unread();
    bool room = true;
    const auto add = [&](uint64_t id, int64_t after) {
        MailTable table;
        const View view = look(id, table);
        if (view.message)
            room = add_entries(view, after, page);
        else if (queue_.parked().find(id))
            room = page.add(parked_unread_entry(id));
        if (room && !view.message)
            page.message = id;
        return view.table == &table ? cost_of_parked : 1;
    };
    // The rest of the one that the page before ended in.
    size_t cost = add(query.after_message, query.after_index);
    uint64_t id = query.after_message;
    while (room && cost < cost_limit) {
        const auto unreadable = unread.upper_bound(id);
        const uint64_t other = unreadable == unread.end() ? UINT64_MAX : unreadable->first;
        id = std::min(next_message(id), other);
        if (id == UINT64_MAX)
            break;
        if (id != other) {
            cost += add(id, -1);
            continue;
        }
        room = page.add(unread_entry(id, unreadable->second));
        if (room)
            page.message = id;
    }
    ipc::QueuePage answer;
    answer.request = query.request;
    answer.last = id == UINT64_MAX;
    answer.after_message = page.message;
    answer.after_index = page.index;
    answer.loading = !queue_.loaded();
    answer.entries = std::move(page.entries);
    return answer;
}

ipc::Answer Admin::show(const ipc::MessageQuery& query) {
    ipc::MessagePart part;
    part.request = query.request;
    if (auto unread = queue_.loader().unread().find(query.message);
        unread != queue_.loader().unread().end()) {
        part.found = true;
        part.entries.push_back(unread_entry(unread->first, unread->second));
        return part;
    }
    MailTable table;
    const View view = look(query.message, table);
    const QueuedMessage* message = view.message;
    if (!message || !message->unfinished)
        return part;
    part.found = true;
    part.envelope = message->read().envelope;
    cut(part.envelope);
    Page page{{}, page_limit, page_room - piece_limit, {}};
    add_entries(view, -1, page);
    part.entries = std::move(page.entries);
    part.size = message->size;
    const uint32_t wanted = std::min(query.limit, piece_limit);
    if (wanted == 0 || query.offset >= message->size)
        return part;
    Result<std::string> content = queue_.spool().read_content(message->id, query.offset, wanted);
    if (!content)
        return failed(query.request, "the content cannot be read: " + content.error().message);
    part.content.bytes = std::move(*content);
    return part;
}

} // namespace postern
