#include "queue/admin.h"

#include <algorithm>

#include "common/ipc/channel.h"
#include "queue/lifetime.h"

namespace postern {

namespace {

constexpr size_t page_limit = 1000;         // entries
constexpr size_t page_room = 128 * 1024;    // bytes, of the packet's 384 KiB
constexpr size_t path_room = 128 * 1024;    // the same, for an envelope's recipients
constexpr uint32_t piece_limit = 64 * 1024; // bytes of content

ipc::Done done(uint32_t request, uint32_t affected) {
    ipc::Done answer;
    answer.request = request;
    answer.affected = affected;
    return answer;
}

ipc::Done failed(uint32_t request, std::string error) {
    ipc::Done answer;
    answer.request = request;
    answer.ok = false;
    answer.error = std::move(error);
    return answer;
}

size_t room_of(const ipc::EnvelopeEntry& entry) {
    return 128 + entry.reverse_path.size() + entry.recipient.size() + entry.last_error.size();
}

} // namespace

Admin::Admin(Queue& queue, Answer answer) : queue_(queue), answer_(std::move(answer)) {}

std::optional<ipc::Answer> Admin::ask(ipc::Question& question) {
    using Reply = std::optional<ipc::Answer>;
    return std::visit(ipc::Overloaded{
                          [&](ipc::QueueQuery& query) -> Reply { return list(query); },
                          [&](ipc::MessageQuery& query) -> Reply { return show(query); },
                          [&](ipc::Schedule& query) -> Reply { return schedule(query); },
                          [&](ipc::Remove& query) -> Reply { return remove(query); },
                          [&](ipc::Pause& query) -> Reply { return pause(query); },
                          // The operator port answers these itself.
                          [&](ipc::StatsQuery& query) -> Reply {
                              return failed(query.request, "not a question for the queue");
                          },
                          [&](ipc::LogLevel& query) -> Reply {
                              return failed(query.request, "not a question for the queue");
                          },
                      },
                      question);
}

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
        if (recipient.next_attempt > queue_.executor().wall_seconds()) {
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

ipc::EnvelopeEntry Admin::unread_entry(uint64_t id, const Loader::Unread& unread) {
    ipc::EnvelopeEntry entry;
    entry.message = id;
    entry.state = ipc::RecipientState::unreadable;
    entry.accepted_at = static_cast<int64_t>(id / 1'000'000); // ids begin as microseconds
    entry.next_attempt = unread.lasting ? 0 : queue_.loader().next_attempt();
    entry.last_error = describe(queue_.table().errors.get(unread.error));
    return entry;
}

bool Admin::add_entries(const View& view, int64_t after, size_t limit, size_t& room,
                        std::vector<ipc::EnvelopeEntry>& entries) const {
    const QueuedMessage& message = *view.message;
    const StoredMessage stored = message.read();
    std::vector<const Job*> jobs(message.count);
    for (const Job* job = message.jobs; job; job = job->sibling)
        for_each_recipient(*job, [&](uint32_t index) { jobs[index] = job; });
    for (auto index = static_cast<uint32_t>(after + 1); index < message.count; ++index) {
        if (message.recipients[index].stage == Stage::finished)
            continue;
        ipc::EnvelopeEntry next = entry(view, stored, index, jobs[index]);
        if (entries.size() >= limit || room < room_of(next))
            return false;
        room -= room_of(next);
        entries.push_back(std::move(next));
    }
    return true;
}

// What is in the table, what is parked, and what cannot be read are three lists in the same order.
ipc::Answer Admin::list(const ipc::QueueQuery& query) {
    ipc::QueuePage page;
    page.request = query.request;
    const size_t limit = std::clamp<size_t>(query.limit, 1, page_limit);
    size_t room = page_room;
    const auto& unread = queue_.loader().unread();
    const auto add = [&](uint64_t id, int64_t after) {
        MailTable table;
        const View view = look(id, table);
        return !view.message || add_entries(view, after, limit, room, page.entries);
    };
    // The rest of the one that the page before ended in.
    page.last = add(query.after_message, query.after_index);
    for (uint64_t id = query.after_message; page.last;) {
        const QueuedMessage* message = queue_.table().after(id);
        const ParkedMessage* parked = queue_.parked().after(id);
        const auto unreadable = unread.upper_bound(id);
        const bool none = unreadable == unread.end();
        id = std::min({message ? message->id : UINT64_MAX, parked ? parked->id : UINT64_MAX,
                       none ? UINT64_MAX : unreadable->first});
        if (id == UINT64_MAX)
            break;
        if (none || unreadable->first != id) {
            page.last = add(id, -1);
            continue;
        }
        ipc::EnvelopeEntry next = unread_entry(id, unreadable->second);
        page.last = page.entries.size() < limit && room >= room_of(next);
        if (!page.last)
            break;
        room -= room_of(next);
        page.entries.push_back(std::move(next));
    }
    return page;
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
    size_t room = path_room;
    size_t shown = 0;
    for (const std::string& recipient : part.envelope.recipients) {
        if (room < recipient.size() + 4)
            break; // the others can be had by QueueQuery
        room -= recipient.size() + 4;
        ++shown;
    }
    part.envelope.recipients.resize(shown);
    room = page_room - piece_limit;
    add_entries(view, -1, page_limit, room, part.entries);
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

ipc::Answer Admin::schedule(const ipc::Schedule& query) {
    uint32_t affected = 0;
    MailTable& table = queue_.table();
    const auto& unread = queue_.loader().unread();
    auto tried_again = [](const auto& one) { return !one.second.lasting; };
    if (auto one = unread.find(query.message.value_or(0)); query.message && one != unread.end()) {
        affected = tried_again(*one);
        queue_.loader().try_again_now();
    } else if (query.message) {
        QueuedMessage* message = queue_.loader().find(*query.message);
        if (!message || !message->unfinished)
            return failed(query.request, "no such message in the queue");
        affected = schedule_message(*message, query.index, true);
    } else {
        // Not urgent: with a dead destination, each would end the hold that the one before caused.
        for (QueuedMessage* one = table.after(0); one; one = table.after(one->id))
            affected += schedule_message(*one, std::nullopt, false);
        affected += static_cast<uint32_t>(queue_.parked().recipients());
        queue_.parked().hasten_all();
        affected += static_cast<uint32_t>(std::count_if(unread.begin(), unread.end(), tried_again));
        queue_.loader().try_again_now();
        queue_.scheduler().lift_all();
    }
    queue_.wake();
    return done(query.request, affected);
}

uint32_t Admin::schedule_message(QueuedMessage& message, std::optional<uint32_t> index,
                                 bool urgent) {
    const WallTime now = queue_.executor().wall_seconds();
    uint32_t affected = 0;
    for (uint32_t i = index.value_or(0); i < message.count && i <= index.value_or(i); ++i) {
        QueuedRecipient& recipient = message.recipients[i];
        // One that was not tried and is not due is held by its sender's wish (RFC 4865).
        const bool held = !recipient.attempts && recipient.next_attempt > now;
        if (recipient.stage != Stage::waiting || (held && !urgent))
            continue;
        recipient.next_attempt = 0;
        recipient.urgent = urgent;
        ++affected;
    }
    if (affected)
        queue_.reschedule(message);
    for (Job* job = message.jobs; job; job = job->sibling) {
        if (!job->listed || !queue_.scheduler().hold(job->destination))
            continue;
        bool wanted = false;
        for_each_recipient(*job, [&](uint32_t i) {
            const bool one =
                (!index || *index == i) && message.recipients[i].stage != Stage::finished;
            affected += one;
            wanted |= one;
        });
        if (wanted && urgent)
            queue_.scheduler().lift(job->destination);
    }
    return affected;
}

std::optional<ipc::Answer> Admin::remove_unread(const ipc::Remove& query) {
    Result<Ticket> ticket = queue_.spool().append_removed(query.message, Durability::Durable);
    if (!ticket)
        return failed(query.request, "not removed: " + ticket.error().message);
    queue_.loader().forget(query.message);
    queue_.recorder().await(*ticket, [this, request = query.request](const Result<void>& result) {
        if (result)
            answer_(done(request, 1));
        else
            answer_(failed(request, "removed, but not recorded: " + result.error().message));
    });
    return std::nullopt;
}

std::optional<ipc::Answer> Admin::remove(const ipc::Remove& query) {
    if (queue_.loader().unread().contains(query.message))
        return remove_unread(query);
    QueuedMessage* message = queue_.loader().find(query.message);
    if (!message || !message->unfinished)
        return failed(query.request, "no such message in the queue");
    if (query.index && *query.index >= message->count)
        return failed(query.request, "no such recipient of this message");
    const uint32_t before = message->unfinished;
    for (uint32_t i = query.index.value_or(0); i < message->count && i <= query.index.value_or(i);
         ++i)
        if (message->recipients[i].stage != Stage::finished)
            queue_.remove(*message, i);
    const uint32_t affected = before - message->unfinished;
    if (!affected)
        return done(query.request, 0);
    queue_.recorder().changed_durably(
        *message, [this, request = query.request, affected](const Result<void>& result) {
            if (result)
                answer_(done(request, affected));
            else
                answer_(failed(request, "removed, but not recorded: " + result.error().message));
        });
    return std::nullopt;
}

ipc::Answer Admin::pause(const ipc::Pause& query) {
    switch (query.subsystem) {
    case ipc::Subsystem::mta:
        queue_.scheduler().pause_relays(query.paused);
        break;
    case ipc::Subsystem::mda:
        queue_.scheduler().pause_local(query.paused);
        break;
    case ipc::Subsystem::smtp:
        return failed(query.request, "the queue accepts no connections");
    }
    queue_.wake();
    return done(query.request, 0);
}

} // namespace postern
