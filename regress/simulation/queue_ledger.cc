#include "regress/simulation/queue_ledger.h"

namespace postern {

void QueueLedger::fail(const std::string& what) {
    if (violation_.empty())
        violation_ = what;
}

// -- Clients.

void QueueLedger::submitted(uint32_t request, const ipc::Envelope& envelope) {
    for (uint32_t index = 0; index < envelope.recipients.size(); ++index) {
        Entry& entry = entries_[envelope.recipients[index]];
        entry.name = entry.address = envelope.recipients[index];
        entry.index = index;
        entry.from_nobody = envelope.reverse_path.empty();
        entry.parameters = envelope.parameters_of(index);
        requests_[request].push_back(&entry);
    }
}

void QueueLedger::durable(uint32_t request, uint64_t message) {
    ++accepted_;
    for (Entry* entry : requests_[request]) {
        entry->answer = Answer::durable;
        entry->message = message;
        by_place_[{message, entry->index}] = entry;
    }
    requests_.erase(request);
}

void QueueLedger::refused(uint32_t request) {
    for (Entry* entry : requests_[request])
        entry->answer = Answer::refused;
    requests_.erase(request);
}

void QueueLedger::abandoned(uint32_t request) {
    for (Entry* entry : requests_[request])
        entry->answer = Answer::unknown;
    requests_.erase(request);
}

void QueueLedger::listener_died() {
    while (!requests_.empty())
        abandoned(requests_.begin()->first);
}

// -- What is where.

QueueLedger::Entry* QueueLedger::find(const Key& key) {
    auto found = by_place_.find(key);
    return found == by_place_.end() ? nullptr : found->second;
}

QueueLedger::Entry* QueueLedger::find(const QueuedMessage& message, const StoredMessage& stored,
                                      uint32_t index) {
    if (Entry* entry = find(Key{message.id, index}))
        return entry;
    const bool is_child = stored.descent.has_value();
    const bool is_report = stored.envelope.origin.internal && !is_child;
    std::string name = stored.envelope.recipients[index];
    if (is_report)
        name = "report " + std::to_string(message.id);
    else if (is_child)
        name += " of message " + std::to_string(message.id);
    auto found = entries_.find(name);
    if (found == entries_.end() && !is_report && !is_child) {
        fail("nobody has submitted " + name);
        return nullptr;
    }
    Entry& entry = entries_[name];
    if (is_report) {
        entry.name = name;
        entry.answer = Answer::durable;
        entry.is_report = entry.from_nobody = true;
    }
    if (is_child)
        note_child(entry, stored, index);
    entry.name = name;
    entry.message = message.id;
    entry.index = index;
    by_place_[{message.id, index}] = &entry;
    return &entry;
}

void QueueLedger::note_child(Entry& entry, const StoredMessage& stored, uint32_t index) {
    entry.address = stored.envelope.recipients[index];
    entry.answer = Answer::durable;
    entry.from_nobody = stored.envelope.reverse_path.empty();
    entry.parameters = stored.envelope.parameters_of(index);
    auto original = in_place_of_.find(entry.address);
    if (original == in_place_of_.end())
        return fail(entry.address + " is in nobody's place");
    original->second->others_seen.insert(entry.address);
}

void QueueLedger::noticed(const QueuedMessage& message) {
    const StoredMessage stored = message.read();
    for (uint32_t index = 0; index < message.count; ++index)
        if (message.recipients[index].stage != Stage::finished)
            find(message, stored, index);
}

void QueueLedger::expanded(const std::string& recipient, const std::vector<std::string>& others,
                           bool reported) {
    Entry& entry = entries_.at(recipient);
    entry.others.insert(others.begin(), others.end());
    entry.expansion_reported = reported;
    for (const std::string& other : others)
        in_place_of_[other] = &entry;
}

bool QueueLedger::is_expanded(const Entry& entry) {
    return !entry.others.empty() && entry.others == entry.others_seen;
}

void QueueLedger::end(Entry& entry, Fate fate) {
    entry.fate = fate;
    entry.ended_in = life_;
}

// -- Deliverers.

QueueLedger::Handed QueueLedger::handed(const ipc::Deliver& deliver, const QueuedMessage& message,
                                        const std::string& content) {
    Handed handed{deliver.message, {}};
    const StoredMessage stored = message.read();
    for (const ipc::DeliveryRecipient& recipient : deliver.recipients) {
        handed.recipients.push_back(recipient.index);
        Entry* entry = find(message, stored, recipient.index);
        if (!entry)
            continue;
        if (entry->out)
            fail(entry->name + " is given to two deliverers");
        if (entry->answer == Answer::none)
            fail(entry->name + " is handed out before it is answered for");
        if (entry->answer == Answer::refused && !window_)
            fail(entry->name + " is handed out and was refused");
        if (entry->recorded || entry->settled)
            fail(entry->name + " is handed out again, though its end was on disk");
        if (entry->fate != Fate::open && entry->ended_in == life_)
            fail(entry->name + " is handed out again in the same life");
        entry->answer = Answer::durable;
        entry->fate = Fate::open;
        entry->out = true;
    }
    if (stored.cause && !stored.descent)
        note_report(message.id, stored, content);
    return handed;
}

void QueueLedger::ended(uint64_t message, uint32_t index, ipc::RecipientStatus status) {
    Entry* entry = find(Key{message, index});
    entry->out = false;
    if (entry->fate != Fate::open)
        return; // removed meanwhile
    if (status == ipc::RecipientStatus::delivered)
        end(*entry, Fate::delivered);
    else if (status == ipc::RecipientStatus::permanent)
        end(*entry, Fate::failed);
}

void QueueLedger::returned(const Handed& handed) {
    for (uint32_t index : handed.recipients)
        if (Entry* entry = find(Key{handed.message, index}))
            entry->out = false;
}

void QueueLedger::refused_by_rule(const std::string& recipient) {
    auto found = entries_.find(recipient);
    if (found != entries_.end())
        found->second.may_fail = true;
    else // of a report, whose recipients are not known by address
        for (auto& [name, entry] : entries_)
            entry.may_fail = entry.may_fail || entry.is_report;
}

// -- Reports.

// The action that a report names for the address.
static std::string action_of(const std::string& content, const std::string& address) {
    const size_t field = content.find("Final-Recipient: rfc822; " + address + "\r\n");
    const size_t action = field == std::string::npos ? field : content.find("Action: ", field);
    if (action == std::string::npos)
        return "";
    return content.substr(action + 8, content.find("\r\n", action) - action - 8);
}

void QueueLedger::note_once(std::set<uint64_t>& reports, uint64_t report, const Entry& entry,
                            const char* kind) {
    reports.insert(report);
    if (reports.size() > 1 && !window_ever_)
        fail(entry.name + ": its " + kind + " is reported twice");
}

void QueueLedger::note_report(uint64_t report, const StoredMessage& stored,
                              const std::string& content) {
    for (uint32_t index : stored.cause->recipients) {
        Entry* entry = find(Key{stored.cause->message, index});
        // It was not answered for, nor seen in the queue, but was there, and has failed.
        for (auto one = entries_.begin(); !entry && one != entries_.end(); ++one)
            if (one->second.message == 0 && one->second.index == index &&
                !action_of(content, one->first).empty())
                entry = &one->second;
        if (!entry) {
            fail("a report of a recipient that nobody knows");
            continue;
        }
        if (entry->message == 0) {
            entry->answer = Answer::durable;
            entry->message = stored.cause->message;
            by_place_[{entry->message, index}] = entry;
            end(*entry, Fate::failed);
        }
        const std::string action = action_of(content, entry->address);
        if (action == "failed") {
            note_once(entry->failures, report, *entry, "failure");
            if (!entry->parameters.wants_failure())
                fail(entry->name + ": a failure is reported that nobody wants to hear of");
            if (entry->fate == Fate::delivered && !window_ever_)
                fail(entry->name + " was delivered and is reported as failed");
        } else if (action == "delivered" || action == "relayed" || action == "expanded") {
            note_once(entry->successes, report, *entry, "success");
            // Those in its place are on disk by now, and will be seen.
            if (entry->expansion_reported && entry->failures.empty() &&
                (entry->fate == Fate::open || entry->fate == Fate::failed))
                end(*entry, Fate::expanded);
            if (entry->fate != Fate::expanded && entry->fate != Fate::delivered &&
                entry->fate != Fate::removed && !window_ever_)
                fail(entry->name + " is reported as delivered and is not");
        } else {
            fail(entry->name + ": a report says nothing of it");
        }
    }
    for (const RecipientTold& one : stored.cause->delayed)
        if (Entry* entry = find(Key{stored.cause->message, one.index}))
            note_once(entry->delays[one.told], report, *entry, "delay");
}

// -- Operators.

void QueueLedger::removed(uint64_t message, std::optional<uint32_t> index, bool recorded) {
    for (auto place = by_place_.lower_bound({message, 0});
         place != by_place_.end() && place->first.first == message; ++place) {
        Entry& entry = *place->second;
        if ((index && *index != entry.index) || entry.settled)
            continue;
        if (entry.fate == Fate::open || entry.fate == Fate::failed)
            end(entry, Fate::removed); // and what had failed is perhaps not reported any more
        else if (entry.fate == Fate::delivered)
            entry.report_removed = true; // if it was not written yet
        if (recorded)
            entry.recorded = entry.settled = true;
    }
}

void QueueLedger::report_removed(const BounceCause& cause) {
    for (uint32_t index : cause.recipients)
        if (Entry* entry = find(Key{cause.message, index}))
            entry->report_removed = true;
}

// -- Lives.

void QueueLedger::life_ended(bool window) {
    listener_died();
    for (auto& [name, entry] : entries_)
        entry.out = false;
    ++life_;
    undecided_ = true;
    window_ = window_ || window;
    window_ever_ = window_ever_ || window;
}

void QueueLedger::compare_present(Entry& entry, const QueuedRecipient& recipient) {
    if (entry.answer == Answer::none)
        fail(entry.name + " is in the queue before it is answered for");
    if (entry.answer == Answer::refused && !window_)
        fail(entry.name + " was refused, or had gone, and is in the queue");
    entry.answer = Answer::durable;
    if (entry.settled && !window_ever_)
        fail(entry.name + " is in the queue again, though its end was on disk");
    if (entry.fate == Fate::open || recipient.stage == Stage::reporting)
        return;
    if (entry.ended_in == life_)
        fail(entry.name + " has ended and is in the queue");
    if (entry.recorded)
        fail(entry.name + " waits again, though its end was on disk");
    entry.fate = Fate::open; // what was known of its end is lost
    entry.settled = false;
}

void QueueLedger::compare_absent(Entry& entry, WallTime expired_by) {
    const bool first = undecided_;
    switch (entry.answer) {
    case Answer::none:
    case Answer::refused:
        return;
    case Answer::unknown:
        if (first)
            entry.answer = Answer::refused; // nobody was told: it is gone, and stays so
        return;
    case Answer::durable:
        break;
    }
    if (entry.fate == Fate::open && is_expanded(entry))
        end(entry, Fate::expanded);
    if (entry.fate == Fate::open && (entry.may_fail || entry.accepted_at <= expired_by))
        end(entry, Fate::failed);
    if (entry.fate == Fate::open)
        fail(entry.name + " is lost");
    if (first)
        entry.recorded = entry.settled = true;
}

void QueueLedger::compare(MailTable& table, WallTime expired_by) {
    std::set<const Entry*> present;
    for (QueuedMessage* message = table.after(0); message; message = table.after(message->id)) {
        const StoredMessage stored = message->read();
        for (uint32_t index = 0; index < message->count; ++index) {
            const QueuedRecipient& recipient = message->recipients[index];
            if (recipient.stage == Stage::finished)
                continue;
            Entry* entry = find(*message, stored, index);
            if (!entry)
                continue;
            entry->accepted_at = std::max(stored.envelope.accepted_at, stored.envelope.release_at);
            if (!present.insert(entry).second)
                fail(entry->name + " is in the queue twice");
            compare_present(*entry, recipient);
            const bool given_up = entry->may_fail || entry->accepted_at <= expired_by;
            if (recipient.stage == Stage::reporting && entry->fate == Fate::open && given_up)
                end(*entry, Fate::failed);
        }
    }
    for (auto& [name, entry] : entries_)
        if (!present.contains(&entry))
            compare_absent(entry, expired_by);
    undecided_ = false;
}

void QueueLedger::checkpoint(MailTable& table, WallTime expired_by) {
    compare(table, expired_by);
    for (auto& [name, entry] : entries_) {
        if (entry.fate == Fate::open || entry.answer != Answer::durable)
            continue;
        const QueuedMessage* message = table.find(entry.message);
        const Stage stage = message ? message->recipients[entry.index].stage : Stage::finished;
        entry.settled = entry.settled || stage == Stage::finished;
        entry.recorded = entry.recorded || entry.settled ||
                         (stage == Stage::reporting && entry.fate == Fate::delivered);
    }
}

void QueueLedger::finish(bool reports_expire) {
    for (const auto& [name, entry] : entries_) {
        if (entry.answer == Answer::refused)
            continue;
        if (entry.fate == Fate::open)
            fail(name + " came to no end");
        if (reports_expire)
            continue;
        if (entry.fate == Fate::expanded && !is_expanded(entry))
            fail(name + " is done with, but not all have the mail who are in its place");
        if (entry.from_nobody || entry.report_removed)
            continue;
        if (entry.fate == Fate::failed && entry.parameters.wants_failure() &&
            entry.failures.empty())
            fail(name + " failed, and nobody was told");
        const bool success =
            entry.fate == Fate::delivered ||
            (entry.fate == Fate::expanded && entry.expansion_reported && !entry.may_fail);
        if (success && entry.parameters.wants_success() && entry.successes.empty())
            fail(name + " was delivered, and its report is missing");
    }
}

} // namespace postern
