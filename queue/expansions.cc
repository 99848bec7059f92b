#include "queue/expansions.h"

#include <algorithm>
#include <cerrno>

#include "common/base/crc32c.h"
#include "common/base/log.h"
#include "common/ipc/submission.h"
#include "common/mail/message_id.h"
#include "common/smtp/enhanced_status.h"

namespace postern {

namespace {

constexpr auto retry_interval = std::chrono::seconds(60);
constexpr auto full_interval = std::chrono::seconds(1); // when the spool takes no more for now
constexpr size_t steps_per_turn = 16;                   // then others have their turn
constexpr uint64_t piece = 1024 * 1024;                 // of large content, octets
constexpr size_t ids_shown = 10;

std::string list_of(const std::vector<uint64_t>& ids) {
    std::string text;
    for (size_t i = 0; i < ids.size() && i < ids_shown; ++i)
        text += (i ? " " : "") + to_string(MessageId{ids[i]});
    return ids.size() > ids_shown ? text + " ..." : text;
}

} // namespace

Expansions::Expansions(Executor& executor, Spool& spool, MailTable& table, Recorder& recorder,
                       Bouncer& bouncer, Counters& counters, Accept accept, Unreadable unreadable)
    : executor_(executor), spool_(spool), table_(table), recorder_(recorder), bouncer_(bouncer),
      accept_(std::move(accept)), unreadable_(std::move(unreadable)),
      expanded_(counters["queue.expanded"]), children_(counters["queue.expanded.messages"]) {}

void Expansions::expand(QueuedMessage& message, ExpandedFrom expanded) {
    table_.set_stage(message.recipients[expanded.index], Stage::reporting);
    pending_[message.id].push_back(std::move(expanded));
    recorder_.commit_soon();
}

void Expansions::forward(QueuedMessage& message, ExpandedFrom expanded, const std::string& user) {
    table_.set_stage(message.recipients[expanded.index], Stage::reporting);
    std::vector<ExpandedFrom> all;
    all.push_back(std::move(expanded));
    begin(message, std::move(all), user);
    recorder_.commit_soon();
}

void Expansions::begin(QueuedMessage& message, std::vector<ExpandedFrom> expanded,
                       const std::string& forwarded_for) {
    Work work;
    work.cause = message.id;
    work.children = make_children(message.id, message.read(), expanded, forwarded_for);
    for (ExpandedFrom& one : expanded) {
        work.counts.push_back(one.recipients.size());
        work.kinds.push_back(kind_of(one));
        one.recipients = {};
    }
    work.expanded = std::move(expanded);
    ready_.push_back(next_);
    works_.emplace(next_++, std::move(work));
}

void Expansions::write_pending() {
    for (auto& [id, expanded] : std::exchange(pending_, {}))
        if (QueuedMessage* message = table_.find(id))
            begin(*message, std::move(expanded), {});
    for (size_t i = 0; i < steps_per_turn && !ready_.empty() && !go_on_.armed(); ++i) {
        const uint64_t number = ready_.front();
        ready_.pop_front();
        Work& work = works_.at(number);
        switch (step(number, work)) {
        case Step::more:
            ready_.push_back(number);
            break;
        case Step::full:
            ready_.push_front(number);
            go_on_.arm(executor_, executor_.now() + full_interval);
            break;
        case Step::refused:
            later(number, refusal_);
            break;
        case Step::waits:
            break;
        case Step::unreadable:
        case Step::gone:
            works_.erase(number);
            break;
        }
    }
    if (!ready_.empty() && !go_on_.armed())
        go_on_.arm(executor_, executor_.now() + Duration(1)); // when others had their turn
}

// Whether one of the recipients is still to be expanded: an operator may have removed them.
bool Expansions::goes_on(const Work& work) {
    QueuedMessage* message = table_.find(work.cause);
    return message &&
           std::any_of(work.expanded.begin(), work.expanded.end(), [&](const ExpandedFrom& one) {
               return message->recipients[one.index].stage == Stage::reporting;
           });
}

Expansions::Step Expansions::step(uint64_t number, Work& work) {
    if (!goes_on(work))
        return Step::gone;
    QueuedMessage& message = *table_.find(work.cause);
    Step done = message.size > ipc::inline_content_limit ? copy(work, message) : Step::waits;
    if (done == Step::waits)
        done = write(number, work, message);
    if (done == Step::unreadable) {
        std::vector<uint32_t> indexes;
        for (const ExpandedFrom& one : work.expanded)
            if (message.recipients[one.index].stage == Stage::reporting)
                indexes.push_back(one.index);
        unreadable_(message, indexes);
    }
    return done;
}

// A piece of large content. `waits`: all of it is copied.
Expansions::Step Expansions::copy(Work& work, const QueuedMessage& message) {
    if (!work.file) {
        Result<ContentFile> file = spool_.create_content_file();
        if (!file) {
            refusal_ = file.error();
            return Step::refused;
        }
        work.file = std::move(*file);
        work.copied = 0;
        work.checksum = 0;
    }
    if (work.copied < message.size) {
        const Result<std::string> text = spool_.read_content(
            message.id, work.copied, std::min(piece, message.size - work.copied));
        if (!text || text->empty())
            return Step::unreadable;
        const std::string_view bytes = *text;
        if (Result<void> done = work.file.file().write_at(work.copied, {&bytes, 1}, false); !done) {
            refusal_ = done.error();
            return Step::refused;
        }
        work.checksum = crc32c(bytes, work.checksum);
        work.copied += bytes.size();
    }
    return work.copied < message.size ? Step::more : Step::waits;
}

Expansions::Step Expansions::write(uint64_t number, Work& work, const QueuedMessage& message) {
    StoredMessage child = work.children[work.written.size()];
    if (work.written.size() + 1 == work.children.size())
        name_cause(work, message.read(), child);
    const uint64_t id = spool_.next_id();
    std::string payload = encode(child);
    const auto append = [&]() -> Result<Ticket> {
        if (!work.file) {
            Result<std::string> content = spool_.read_content(message.id, 0, message.size);
            if (!content || content->size() != message.size)
                return Error{"the content cannot be read", EBADMSG};
            return spool_.append_message(id, payload, *content);
        }
        const Result<Content> original = spool_.open_content(message.id);
        if (!original || original->crc32c != work.checksum)
            return Error{"the content is damaged", EBADMSG};
        return spool_.append_message(id, payload, std::exchange(work.file, ContentFile()),
                                     message.size, work.checksum);
    };
    const Result<Ticket> ticket = append();
    if (!ticket && ticket.error().code == EBADMSG)
        return Step::unreadable;
    if (!ticket && ticket.error().code == ENOBUFS)
        return Step::full;
    if (!ticket) {
        refusal_ = ticket.error();
        return Step::refused;
    }
    recorder_.await(*ticket, [this, number, id, size = message.size, payload = std::move(payload),
                              child = std::move(child)](const Result<void>& result) {
        if (result)
            written(number, id, payload, child, size);
        else
            later(number, result.error());
    });
    return Step::waits;
}

// Whether the sender is to hear that the recipient was expanded.
bool Expansions::reports(const Work& work, const ipc::Envelope& original, size_t position) {
    return work.kinds[position] != Expanded::passed_on && !original.reverse_path.empty() &&
           original.parameters_of(work.expanded[position].index).wants_success();
}

// With the last of the new messages the recipients are done with, but for those of which there is a
// report to be written: that one names them then.
void Expansions::name_cause(const Work& work, const StoredMessage& original, StoredMessage& child) {
    BounceCause cause;
    cause.message = work.cause;
    for (size_t i = 0; i < work.expanded.size(); ++i)
        if (!reports(work, original.envelope, i))
            cause.recipients.push_back(work.expanded[i].index);
    if (!cause.recipients.empty())
        child.cause = std::move(cause);
}

void Expansions::written(uint64_t number, uint64_t id, std::string payload, StoredMessage child,
                         uint64_t size) {
    Work& work = works_.at(number);
    ++children_;
    work.written.push_back(id);
    accept_(id, std::move(payload), std::move(child), size);
    if (work.written.size() < work.children.size()) {
        ready_.push_back(number);
        return recorder_.commit_soon();
    }
    finish(work);
    works_.erase(number);
}

void Expansions::finish(Work& work) {
    QueuedMessage* message = table_.find(work.cause);
    if (!message)
        return;
    const StoredMessage stored = message->read();
    for (size_t i = 0; i < work.expanded.size(); ++i) {
        const uint32_t index = work.expanded[i].index;
        if (message->recipients[index].stage != Stage::reporting)
            continue; // removed meanwhile
        ++expanded_;
        log::info("expanded", {{"message", to_string(MessageId{message->id})},
                               {"from", stored.envelope.reverse_path},
                               {"to", stored.envelope.recipients[index]},
                               {"recipients", work.counts[i]},
                               {"as", list_of(work.written)}});
        if (!reports(work, stored.envelope, i)) {
            table_.finish(*message, index);
            continue;
        }
        RecipientReport report;
        report.index = index;
        report.action = work.kinds[i] == Expanded::delivered ? DeliveryAction::delivered
                                                             : DeliveryAction::expanded;
        report.error.enhanced = "2.1.5";
        report.error.diagnostic = work.kinds[i] == Expanded::delivered
                                      ? "it was given to a mailing list"
                                      : "this address stands for several others";
        report.when = executor_.wall_seconds();
        bouncer_.report(*message, stored, std::move(report));
    }
    recorder_.changed(*message);
}

void Expansions::later(uint64_t number, const Error& error) {
    Work& work = works_.at(number);
    log::error("messages for an alias cannot be stored, trying again",
               {{"message", to_string(MessageId{work.cause})}, {"reason", error.message}});
    work.file = ContentFile();
    refused_.push_back(number);
    if (!retry_.armed())
        retry_.arm(executor_, executor_.now() + retry_interval);
}

void Expansions::try_refused() {
    for (uint64_t number : std::exchange(refused_, {}))
        ready_.push_back(number);
    recorder_.commit_soon();
}

} // namespace postern
