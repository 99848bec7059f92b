#include "queue/admin.h"

#include <algorithm>
#include <utility>

#include "common/base/log.h"
#include "common/ipc/channel.h"
#include "queue/admin_parts.h"
#include "queue/lifetime.h"
#include "queue/queue_filter.h"

namespace postern {

namespace {

constexpr size_t page_limit = 1000;         // entries
constexpr size_t page_room = 128 * 1024;    // bytes, of the packet's 384 KiB
constexpr size_t path_room = 128 * 1024;    // the same, for an envelope's recipients and the rest
constexpr uint32_t piece_limit = 64 * 1024; // bytes of content
constexpr auto patience = std::chrono::seconds(5);

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

Admin::Admin(Queue& queue, Answer answer) : queue_(queue), answer_(std::move(answer)) {}

std::optional<ipc::Answer> Admin::ask(ipc::Question& question) {
    using Reply = std::optional<ipc::Answer>;
    return std::visit(
        ipc::Overloaded{
            [&](ipc::QueueQuery& query) -> Reply { return list(query); },
            [&](ipc::MessageQuery& query) -> Reply { return show(query); },
            [&](ipc::Change& query) -> Reply { return change(query); },
            [&](ipc::Pause& query) -> Reply { return pause(query); },
            [&](ipc::GiveOrder& query) -> Reply { return give_order(query); },
            [&](ipc::EndOrder& query) -> Reply { return end_order(query); },
            [&](ipc::OrderQuery& query) -> Reply { return list_orders(query); },
            [&](ipc::DestinationQuery& query) -> Reply { return list_destinations(query); },
            [&](ipc::SpoolCheck& query) -> Reply { return check_spool(query); },
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

// -- Standing orders.

ipc::Answer Admin::give_order(const ipc::GiveOrder& query) {
    Result<ipc::StandingOrder> given =
        queue_.orders().give(query.order, queue_.executor().wall_seconds());
    if (!given)
        return failed(query.request, given.error().message);
    queue_.orders_changed();
    log::info("an operator's order stands", {{"order", given->number},
                                             {"reroute", given->host ? given->host->host : ""},
                                             {"from", given->sender},
                                             {"to", given->recipient},
                                             {"via", given->next_hop},
                                             {"reason", given->reason}});
    ipc::OrderList list;
    list.request = query.request;
    list.orders.push_back(std::move(*given));
    return list;
}

ipc::Answer Admin::end_order(const ipc::EndOrder& query) {
    if (!queue_.loaded()) // what it holds could not be released
        return failed(query.request, "the queue is still being read: try again");
    if (Result<void> ended = queue_.orders().end(query.number, queue_.executor().wall_seconds());
        !ended)
        return failed(query.request, ended.error().message);
    queue_.orders_changed();
    log::info("an operator's order is ended", {{"order", query.number}});
    ipc::Done done;
    done.request = query.request;
    return done;
}

ipc::Answer Admin::list_orders(const ipc::OrderQuery& query) {
    ipc::OrderList list;
    list.request = query.request;
    list.orders = queue_.orders().standing(queue_.executor().wall_seconds());
    return list;
}

ipc::Answer Admin::list_destinations(const ipc::DestinationQuery& query) {
    ipc::DestinationPage page;
    page.request = query.request;
    page.after = query.after;
    size_t room = page_room;
    while (page.entries.size() < page_limit) {
        uint32_t number = page.after;
        std::optional<ipc::DestinationEntry> entry = queue_.scheduler().after(number);
        if (!entry)
            return page;
        const size_t size = 128 + entry->destination.size() + entry->reason.size();
        if (size > room)
            break;
        room -= size;
        page.after = number;
        page.entries.push_back(std::move(*entry));
    }
    page.last = false;
    return page;
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
    ipc::Done done;
    done.request = query.request;
    return done;
}

// A piece may take longer than control waits for an answer, on a disk that is failing: whoever asks
// is told in time that there is nothing new yet, and asks again.
std::optional<ipc::Answer> Admin::check_spool(const ipc::SpoolCheck& question) {
    const bool anew = question.check == 0;
    if (!anew && question.check != check_)
        return failed(question.request, "another check of the spool has been begun");
    std::optional<ipc::SpoolChecked> ready = take_checked(); // that nobody has waited for
    if (ready && !anew) {
        ready->request = question.request;
        return ready;
    }
    if (!checking_ || anew) {
        if (Result<void> begun = queue_.spool().check(anew); !begun)
            return failed(question.request, begun.error().message);
        checking_ = true;
        check_ += anew;
        damaged_ = anew ? 0 : damaged_;
    }
    check_request_ = question.request;
    impatience_.arm(queue_.executor(), queue_.executor().now() + patience);
    return std::nullopt;
}

std::optional<ipc::SpoolChecked> Admin::take_checked() {
    std::optional<SpoolCheckPiece> piece = queue_.spool().take_checked();
    if (!piece)
        return std::nullopt;
    checking_ = false;
    damaged_ = piece->totals.damaged;
    ipc::SpoolChecked answer;
    answer.check = check_;
    answer.last = piece->last;
    answer.damaged = damaged_;
    answer.lines = std::move(piece->lines);
    return answer;
}

void Admin::collect() {
    if (!check_request_)
        return;
    std::optional<ipc::SpoolChecked> answer = take_checked();
    if (!answer)
        return;
    impatience_.disarm();
    answer->request = *std::exchange(check_request_, std::nullopt);
    answer_(std::move(*answer));
}

void Admin::tell_checking() {
    ipc::SpoolChecked answer;
    answer.request = *std::exchange(check_request_, std::nullopt);
    answer.check = check_;
    answer.last = false;
    answer.damaged = damaged_;
    answer_(std::move(answer));
}

} // namespace postern
