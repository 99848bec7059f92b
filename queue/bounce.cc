#include "queue/bounce.h"

#include <algorithm>

#include "common/base/crc32c.h"
#include "common/base/log.h"
#include "common/ipc/submission.h"
#include "common/mail/delivery_status.h"
#include "common/mail/message_id.h"

namespace postern {

namespace {

constexpr auto retry_interval = std::chrono::seconds(60);
constexpr size_t bounces_per_turn = 64; // then others have their turn

std::chrono::system_clock::time_point to_time(WallTime when) {
    return std::chrono::system_clock::time_point(std::chrono::seconds(when));
}

// "mx1.example[192.0.2.1]:25" → "mx1.example"
std::string host_of(const std::string& remote) { return remote.substr(0, remote.find('[')); }

ipc::ContentTraits traits_of(std::string_view content) {
    ipc::ContentTraits traits;
    traits.eight_bit =
        std::any_of(content.begin(), content.end(), [](char c) { return (c & 0x80) != 0; });
    traits.leading_dot = content.find("\r\n.") != std::string_view::npos;
    const size_t end = content.find("\r\n\r\n");
    traits.header_length =
        static_cast<uint32_t>(end == std::string_view::npos ? content.size() : end + 4);
    return traits;
}

} // namespace

Bounce write_bounce(uint64_t id, uint64_t original_id, const StoredMessage& original,
                    std::string_view header, const std::vector<Failure>& failures,
                    const std::string& hostname, WallTime now) {
    DeliveryStatusReport report;
    report.reporting_mta = hostname;
    report.to = original.envelope.reverse_path;
    report.unique = to_string(MessageId{id});
    report.original_id = to_string(MessageId{original_id});
    report.now = to_time(now);
    report.arrival = to_time(original.envelope.accepted_at);
    report.original_content = header;

    Bounce bounce;
    BounceCause& cause = bounce.message.cause.emplace();
    cause.message = original_id;
    for (const Failure& failure : failures) {
        DeliveryStatusRecipient recipient;
        recipient.final_recipient = failure.recipient;
        recipient.status =
            parse_enhanced_status(failure.error.enhanced).value_or(status::undefined);
        recipient.is_smtp_reply = failure.error.from_remote;
        recipient.remote_mta = failure.error.from_remote ? host_of(failure.error.remote) : "";
        recipient.diagnostic = failure.error.diagnostic;
        recipient.last_attempt = to_time(failure.when);
        report.recipients.push_back(std::move(recipient));
        cause.recipients.push_back(failure.index);
    }
    bounce.content = write_delivery_status(report);
    bounce.message.traits = traits_of(bounce.content);
    ipc::Envelope& envelope = bounce.message.envelope;
    envelope.origin.internal = true;
    envelope.origin.local_hostname = hostname;
    envelope.recipients.push_back(original.envelope.reverse_path);
    envelope.accepted_at = now;
    return bounce;
}

Bouncer::Bouncer(Executor& executor, Spool& spool, MailTable& table, Recorder& recorder,
                 Accept accept)
    : executor_(executor), spool_(spool), table_(table), recorder_(recorder),
      accept_(std::move(accept)) {}

bool Bouncer::report(QueuedMessage& message, const StoredMessage& original, Failure failure) {
    QueuedRecipient& recipient = message.recipients[failure.index];
    if (original.envelope.reverse_path.empty()) {
        log::warning("a notification cannot be delivered and is dropped",
                     {{"message", to_string(MessageId{message.id})},
                      {"to", failure.recipient},
                      {"reason", failure.error.diagnostic}});
        table_.finish(message, failure.index);
        recorder_.changed(message);
        return false;
    }
    table_.set_stage(recipient, Stage::reporting);
    table_.set_error(recipient, failure.error);
    pending_[message.id].push_back(std::move(failure));
    recorder_.commit_soon();
    return true;
}

void Bouncer::write_pending() {
    if (!refused_.empty() && !retry_.armed())
        for (auto& [cause, failures] : std::exchange(refused_, {}))
            pending_[cause].insert(pending_[cause].end(), failures.begin(), failures.end());
    for (size_t i = 0; i < bounces_per_turn && !pending_.empty(); ++i) {
        auto [cause, failures] = std::move(*pending_.begin());
        pending_.erase(pending_.begin());
        QueuedMessage* message = table_.find(cause);
        if (!message)
            continue; // removed by an operator
        std::erase_if(failures, [message](const Failure& failure) {
            return message->recipients[failure.index].stage != Stage::reporting;
        });
        if (!failures.empty())
            write(*message, std::move(failures));
    }
    if (!pending_.empty())
        recorder_.commit_soon();
}

void Bouncer::write(QueuedMessage& message, Failures failures) {
    const StoredMessage original = message.read();
    const size_t wanted = std::min<uint64_t>(message.size, returned_header_limit);
    std::string header;
    if (Result<std::string> read = spool_.read_content(message.id, 0, wanted))
        header = std::move(*read);
    else
        log::error(
            "a bounce goes without the header of its cause",
            {{"message", to_string(MessageId{message.id})}, {"reason", read.error().message}});

    const uint64_t id = spool_.next_id();
    Bounce bounce = write_bounce(id, message.id, original, header, failures, hostname_,
                                 executor_.wall_seconds());
    std::string payload = encode(bounce.message);
    const uint64_t cause = message.id;
    const uint64_t size = bounce.content.size();
    Result<Ticket> ticket = append(id, payload, bounce.content);
    if (!ticket)
        return again_later(cause, std::move(failures), ticket.error());
    recorder_.await(*ticket, [this, cause, id, size, failures = std::move(failures),
                              payload = std::move(payload),
                              stored = std::move(bounce.message)](const Result<void>& result) {
        if (result)
            written(cause, failures, id, payload, stored, size);
        else
            again_later(cause, failures, result.error());
    });
}

Result<Ticket> Bouncer::append(uint64_t id, std::string_view payload, const std::string& content) {
    if (content.size() <= ipc::inline_content_limit)
        return spool_.append_message(id, payload, content);
    Result<ContentFile> file = spool_.create_content_file();
    if (!file)
        return file.error();
    const std::string_view piece = content;
    if (Result<void> done = file->file().write_at(0, {&piece, 1}, false); !done)
        return done.error();
    return spool_.append_message(id, payload, std::move(*file), content.size(), crc32c(content));
}

// The bounce is safe: only now is its cause done with.
void Bouncer::written(uint64_t cause, Failures failures, uint64_t id, std::string payload,
                      StoredMessage bounce, uint64_t size) {
    ++written_;
    log::info("bounce", {{"message", to_string(MessageId{cause})},
                         {"bounce", to_string(MessageId{id})},
                         {"to", bounce.envelope.recipients.front()},
                         {"recipients", failures.size()}});
    accept_(id, std::move(payload), std::move(bounce), size);
    QueuedMessage* message = table_.find(cause);
    if (!message)
        return;
    for (const Failure& failure : failures)
        table_.finish(*message, failure.index);
    recorder_.changed(*message);
}

void Bouncer::again_later(uint64_t cause, Failures failures, const Error& error) {
    log::error("a bounce cannot be stored, trying again",
               {{"message", to_string(MessageId{cause})}, {"reason", error.message}});
    Failures& waiting = refused_[cause];
    waiting.insert(waiting.end(), failures.begin(), failures.end());
    if (!retry_.armed())
        retry_.arm(executor_, executor_.now() + retry_interval);
}

} // namespace postern
