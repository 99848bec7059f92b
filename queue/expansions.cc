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
constexpr uint64_t enough_pending = 32 * 1024 * 1024;   // octets: half of what the spool holds
constexpr size_t ids_shown = 10;
constexpr size_t full_at = 500'000;     // recipients that wait to be written
constexpr size_t loops_limit = 100'000; // remembered, the latest ones

std::string list_of(const std::vector<uint64_t>& ids) {
    std::string text;
    for (size_t i = 0; i < ids.size() && i < ids_shown; ++i)
        text += (i ? " " : "") + to_string(MessageId{ids[i]});
    return ids.size() > ids_shown ? text + " ..." : text;
}

} // namespace

Expansions::Expansions(Executor& executor, Spool& spool, MailTable& table, Recorder& recorder,
                       Bouncer& bouncer, Counters& counters, Handlers handlers)
    : executor_(executor), spool_(spool), table_(table), recorder_(recorder), bouncer_(bouncer),
      handlers_(std::move(handlers)), expanded_(counters["queue.expanded"]),
      children_(counters["queue.expanded.messages"]) {}

bool Expansions::full() const { return waiting_ >= full_at; }

void Expansions::expand(QueuedMessage& message, ExpandedFrom expanded) {
    table_.set_stage(message.recipients[expanded.index], Stage::reporting);
    waiting_ += expanded.recipients.size();
    pending_[message.id].push_back(std::move(expanded));
    recorder_.commit_soon();
}

void Expansions::forward(QueuedMessage& message, ExpandedFrom expanded, const std::string& user) {
    table_.set_stage(message.recipients[expanded.index], Stage::reporting);
    waiting_ += expanded.recipients.size();
    std::vector<ExpandedFrom> all;
    all.push_back(std::move(expanded));
    begin(message, std::move(all), user);
    recorder_.commit_soon();
}

bool Expansions::reports_loop(QueuedMessage& message, const StoredMessage& stored, uint32_t index,
                              const std::string& why) {
    const std::string& original = stored.envelope.parameters_of(index).original_recipient;
    if (loops_
            .insert({stored.descent ? stored.descent->root : message.id,
                     stored.envelope.reverse_path,
                     stored.descent ? original : stored.envelope.recipients[index]})
            .second) {
        if (loops_.size() > loops_limit)
            loops_.erase(loops_.begin());
        return true;
    }
    log::warning("a recipient that leads back, its sender was told of another",
                 {{"message", to_string(MessageId{message.id})},
                  {"from", stored.envelope.reverse_path},
                  {"to", stored.envelope.recipients[index]},
                  {"reason", why}});
    table_.finish(message, index);
    recorder_.changed(message);
    return false;
}

namespace {

size_t count_of(const std::vector<ExpandedFrom>& expanded) {
    size_t count = 0;
    for (const ExpandedFrom& one : expanded)
        count += one.recipients.size();
    return count;
}

} // namespace

void Expansions::begin(QueuedMessage& message, std::vector<ExpandedFrom> expanded,
                       const std::string& forwarded_for) {
    Work work;
    work.cause = message.id;
    for (std::vector<ExpandedMember>& child :
         plan_children(message.read(), expanded, forwarded_for))
        work.children.push_back(std::move(child));
    work.expanded = std::move(expanded);
    work.count = count_of(work.expanded);
    work.forwarded_for = forwarded_for;
    ready_.push_back(next_);
    works_.emplace(next_++, std::move(work));
}

void Expansions::end(uint64_t number) {
    const auto work = works_.find(number);
    waiting_ -= work->second.count;
    works_.erase(work);
    handlers_.wake();
}

void Expansions::write_pending() {
    for (auto& [id, expanded] : std::exchange(pending_, {}))
        if (QueuedMessage* message = table_.find(id))
            begin(*message, std::move(expanded), {});
        else
            waiting_ -= count_of(expanded);
    for (size_t i = 0; i < steps_per_turn && !ready_.empty() && !go_on_.armed(); ++i) {
        const uint64_t number = ready_.front();
        ready_.pop_front();
        Work& work = works_.at(number);
        switch (step(number, work)) {
        case Step::more: // one copy at a time: each is a file without a name
            ready_.push_front(number);
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
            end(number);
            break;
        }
    }
    if (!ready_.empty() && !go_on_.armed())
        go_on_.arm(executor_, executor_.now() + Duration(1)); // when others had their turn
}

std::vector<bool> Expansions::wanted(const Work& work, const QueuedMessage& message) {
    std::vector<bool> wanted;
    for (const ExpandedFrom& one : work.expanded)
        wanted.push_back(message.recipients[one.index].stage == Stage::reporting);
    return wanted;
}

// What an operator has removed goes to nobody else.
void Expansions::drop_removed(Work& work, const QueuedMessage& message) {
    const std::vector<bool> wanted = Expansions::wanted(work, message);
    if (std::find(wanted.begin(), wanted.end(), false) == wanted.end())
        return;
    for (std::vector<ExpandedMember>& child : work.children)
        std::erase_if(child, [&](const ExpandedMember& one) { return !wanted[one.from]; });
    std::erase_if(work.children, [](const auto& child) { return child.empty(); });
}

Expansions::Step Expansions::step(uint64_t number, Work& work) {
    QueuedMessage* message = table_.find(work.cause);
    if (!message)
        return Step::gone;
    drop_removed(work, *message);
    if (work.children.empty()) {
        finish(work); // what is left has been written
        return Step::gone;
    }
    const std::string trace =
        trace_of(message->read(), work.expanded, work.children.front(), work.forwarded_for);
    const bool is_large = message->size + trace.size() > ipc::inline_content_limit;
    Step done = is_large ? copy(work, *message, trace) : Step::waits;
    if (done == Step::waits)
        done = write(number, work, *message, trace);
    if (done == Step::unreadable) {
        std::vector<uint32_t> indexes;
        for (const ExpandedFrom& one : work.expanded)
            if (message->recipients[one.index].stage == Stage::reporting)
                indexes.push_back(one.index);
        handlers_.unreadable(*message, indexes, refusal_);
    }
    return done;
}

// A piece of large content, behind the trace. `waits`: all of it is copied.
Expansions::Step Expansions::copy(Work& work, const QueuedMessage& message,
                                  std::string_view trace) {
    if (!work.file) {
        if (spool_.statistics().pending_bytes > enough_pending)
            return Step::full; // its record would be refused when all is copied
        Result<ContentFile> file = spool_.create_content_file();
        if (!file) {
            refusal_ = file.error();
            return Step::refused;
        }
        work.file = std::move(*file);
        work.copied = 0;
        work.original_checksum = 0;
        work.checksum = crc32c(trace);
        if (!trace.empty())
            if (Result<void> done = work.file.file().write_at(0, {&trace, 1}, false); !done) {
                refusal_ = done.error();
                return Step::refused;
            }
    }
    if (work.copied < message.size) {
        const Result<std::string> text = spool_.read_content(
            message.id, work.copied, std::min(piece, message.size - work.copied));
        if (!text || text->empty()) {
            refusal_ = text ? Error{"the content is cut short"} : text.error();
            return Step::unreadable;
        }
        const std::string_view bytes = *text;
        if (Result<void> done =
                work.file.file().write_at(trace.size() + work.copied, {&bytes, 1}, false);
            !done) {
            refusal_ = done.error();
            return Step::refused;
        }
        work.original_checksum = crc32c(bytes, work.original_checksum);
        work.checksum = crc32c(bytes, work.checksum);
        work.copied += bytes.size();
    }
    return work.copied < message.size ? Step::more : Step::waits;
}

Expansions::Step Expansions::write(uint64_t number, Work& work, const QueuedMessage& message,
                                   std::string_view trace) {
    const StoredMessage original = message.read();
    StoredMessage child =
        make_child(work.cause, original, work.expanded, work.children.front(), work.forwarded_for);
    if (work.children.size() == 1)
        name_cause(work, original, child);
    const uint64_t id = spool_.next_id();
    std::string payload = encode(child);
    std::optional<Error> unreadable;
    const Result<Ticket> ticket = append(id, payload, work, message, trace, unreadable);
    if (!ticket) {
        refusal_ = unreadable.value_or(ticket.error());
        if (unreadable)
            return Step::unreadable;
        return refusal_.code == ENOBUFS ? Step::full : Step::refused;
    }
    recorder_.await(*ticket, [this, number, id, size = trace.size() + message.size,
                              payload = std::move(payload),
                              child = std::move(child)](const Result<void>& result) {
        if (result)
            written(number, id, payload, child, size);
        else
            later(number, result.error());
    });
    return Step::waits;
}

// `unreadable`: why the content of the message is not what it should be.
Result<Ticket> Expansions::append(uint64_t id, std::string_view payload, Work& work,
                                  const QueuedMessage& message, std::string_view trace,
                                  std::optional<Error>& unreadable) {
    if (!work.file) {
        Result<std::string> content = spool_.read_content(message.id, 0, message.size);
        if (content && content->size() != message.size)
            content = Error{"the content is cut short"};
        if (!content)
            return *(unreadable = content.error());
        return spool_.append_message(id, payload, content->insert(0, trace));
    }
    const Result<Content> original = spool_.open_content(message.id);
    if (!original)
        return *(unreadable = original.error());
    if (original->crc32c != work.original_checksum)
        return *(unreadable = Error{"the content is damaged", EBADMSG});
    return spool_.append_message(id, payload, std::exchange(work.file, ContentFile()),
                                 trace.size() + message.size, work.checksum);
}

// Whether the sender is to hear that the recipient was expanded.
bool Expansions::reports(const Work& work, const ipc::Envelope& original, size_t position) {
    return kind_of(work.expanded[position]) != Expanded::passed_on &&
           !original.reverse_path.empty() &&
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
    work.children.pop_front();
    handlers_.accept(id, std::move(payload), std::move(child), size);
    if (!work.children.empty()) {
        ready_.push_back(number);
        return recorder_.commit_soon();
    }
    finish(work);
    end(number);
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
                               {"recipients", work.expanded[i].recipients.size()},
                               {"as", list_of(work.written)}});
        if (!reports(work, stored.envelope, i)) {
            table_.finish(*message, index);
            continue;
        }
        RecipientReport report;
        report.index = index;
        const bool is_list = kind_of(work.expanded[i]) == Expanded::delivered;
        report.action = is_list ? DeliveryAction::delivered : DeliveryAction::expanded;
        report.error.enhanced = "2.1.5";
        report.error.diagnostic =
            is_list ? "it was given to a mailing list" : "this address stands for several others";
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
    handlers_.wake(); // other mail goes on
}

void Expansions::try_refused() {
    for (uint64_t number : std::exchange(refused_, {}))
        ready_.push_back(number);
    recorder_.commit_soon();
    handlers_.wake();
}

} // namespace postern
