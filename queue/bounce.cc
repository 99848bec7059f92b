#include "queue/bounce.h"

#include <algorithm>
#include <cerrno>

#include "common/base/crc32c.h"
#include "common/base/log.h"
#include "common/base/utf8.h"
#include "common/ipc/submission.h"
#include "common/mail/message_id.h"
#include "common/smtp/text.h"

namespace postern {

namespace {

constexpr auto retry_interval = std::chrono::seconds(60);
constexpr auto full_interval = std::chrono::seconds(1); // when the spool takes no more for now
constexpr size_t bounces_per_turn = 64;                 // then others have their turn
constexpr size_t recipients_per_turn = 2000; // the same, of all of them, but for the last

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

// ORCPT (RFC 3461 4.2): the type as it is, the address out of xtext; that of RFC 6533 as it is.
std::string decode_original_recipient(const std::string& sent) {
    const size_t address = std::min(sent.find(';'), sent.size() - 1) + 1;
    if (equal_ignoring_case(sent.substr(0, address), "utf-8;"))
        return sent;
    const auto decoded = decode_xtext(std::string_view(sent).substr(address));
    return decoded ? sent.substr(0, address) + *decoded : sent;
}

DeliveryStatusRecipient status_of(const ipc::Envelope& envelope, const RecipientReport& report) {
    DeliveryStatusRecipient recipient;
    recipient.final_recipient = envelope.recipients[report.index];
    if (const auto& sent = envelope.parameters_of(report.index).original_recipient; !sent.empty())
        recipient.original_recipient = decode_original_recipient(sent);
    recipient.action = report.action;
    recipient.status = parse_enhanced_status(report.error.enhanced).value_or(status::undefined);
    recipient.is_smtp_reply = report.error.from_remote;
    recipient.remote_mta = report.error.from_remote ? host_of(report.error.remote) : "";
    recipient.diagnostic = report.error.diagnostic;
    if (report.when)
        recipient.last_attempt = to_time(report.when);
    if (report.retry_until)
        recipient.will_retry_until = to_time(report.retry_until);
    return recipient;
}

ipc::Envelope envelope_to(const ipc::Envelope& original, const std::string& hostname) {
    ipc::Envelope envelope;
    envelope.origin.internal = true;
    envelope.origin.local_hostname = hostname;
    envelope.recipients.push_back(original.reverse_path);
    envelope.parameters.smtp_utf8 = !is_ascii(original.reverse_path);
    envelope.parameters.priority = original.parameters.priority;
    envelope.parameters.require_tls = original.parameters.require_tls; // RFC 8689 5
    return envelope;
}

bool is_failure(const RecipientReport& report) { return report.action == DeliveryAction::failed; }

bool any_failed(const std::vector<RecipientReport>& reports) {
    return std::any_of(reports.begin(), reports.end(), is_failure);
}

// Whether the recipient has gone on since the report was made.
bool is_outdated(const QueuedMessage& message, const RecipientReport& report) {
    const Stage stage = message.recipients[report.index].stage;
    return report.action == DeliveryAction::delayed
               ? stage == Stage::reporting || stage == Stage::finished
               : stage != Stage::reporting;
}

} // namespace

bool returns_whole(const StoredMessage& original, uint64_t size,
                   const std::vector<RecipientReport>& reports) {
    const MailParameters& parameters = original.envelope.parameters;
    return parameters.returned == Returned::all && any_failed(reports) &&
           size <= returned_content_limit && parameters.body != Body::binary_mime &&
           !parameters.require_tls;
}

Bounce write_bounce(uint64_t id, const Reported& original,
                    const std::vector<RecipientReport>& reports, const std::string& hostname,
                    WallTime now) {
    const ipc::Envelope& envelope = original.message.envelope;
    DeliveryStatusReport report;
    report.reporting_mta = hostname;
    report.to = envelope.reverse_path;
    report.unique = to_string(MessageId{id});
    report.original_id = to_string(MessageId{original.id});
    report.original_envelope_id =
        decode_xtext(envelope.parameters.envelope_id).value_or(envelope.parameters.envelope_id);
    report.now = to_time(now);
    report.arrival = to_time(envelope.accepted_at);
    report.original_content = original.content;
    report.original_smtp_utf8 = envelope.parameters.smtp_utf8;
    report.return_content = original.whole;

    Bounce bounce;
    BounceCause& cause = bounce.message.cause.emplace();
    cause.message = original.id;
    for (const RecipientReport& one : reports) {
        report.recipients.push_back(status_of(envelope, one));
        if (one.action == DeliveryAction::delayed)
            cause.delayed.push_back({one.index, one.told});
        else
            cause.recipients.push_back(one.index);
    }
    bounce.content = write_delivery_status(report);
    bounce.message.traits = traits_of(bounce.content);
    bounce.message.envelope = envelope_to(envelope, hostname);
    bounce.message.envelope.accepted_at = now;
    if (bounce.message.traits.eight_bit)
        bounce.message.envelope.parameters.body = Body::eight_bit_mime;
    return bounce;
}

Bouncer::Bouncer(Executor& executor, Spool& spool, MailTable& table, Recorder& recorder,
                 Accept accept)
    : executor_(executor), spool_(spool), table_(table), recorder_(recorder),
      accept_(std::move(accept)) {}

void Bouncer::report(QueuedMessage& message, const StoredMessage& original,
                     RecipientReport report) {
    QueuedRecipient& recipient = message.recipients[report.index];
    const ipc::Envelope& envelope = original.envelope;
    const bool from_nobody = envelope.reverse_path.empty();
    if (from_nobody && is_failure(report))
        log::warning("a notification cannot be delivered and is dropped",
                     {{"message", to_string(MessageId{message.id})},
                      {"to", envelope.recipients[report.index]},
                      {"reason", report.error.diagnostic}});
    const bool wanted = !is_failure(report) || envelope.parameters_of(report.index).wants_failure();
    if (from_nobody || !wanted) {
        if (report.action != DeliveryAction::delayed)
            table_.finish(message, report.index);
        recorder_.changed(message);
        return;
    }
    message.report_pending |= report.action == DeliveryAction::delayed;
    if (report.action != DeliveryAction::delayed) {
        table_.set_stage(recipient, Stage::reporting);
        table_.set_error(recipient, report.error);
        recipient.delivered = !is_failure(report);
        recipient.relayed = report.action == DeliveryAction::relayed;
        recipient.expanded = report.action == DeliveryAction::expanded;
        if (recipient.delivered)
            recorder_.changed(message);
    }
    pending_[message.id].push_back(std::move(report));
    recorder_.commit_soon();
}

void Bouncer::resume(QueuedMessage& message) {
    for (uint32_t index = 0; index < message.count; ++index) {
        const QueuedRecipient& recipient = message.recipients[index];
        if (recipient.stage != Stage::reporting || !recipient.delivered)
            continue;
        RecipientReport report;
        report.index = index;
        report.action = recipient.relayed ? DeliveryAction::relayed : DeliveryAction::delivered;
        if (recipient.expanded)
            report.action = DeliveryAction::expanded;
        report.error = table_.errors.get(recipient.error);
        pending_[message.id].push_back(std::move(report));
        recorder_.commit_soon();
    }
}

void Bouncer::write_pending() {
    if (!refused_.empty() && !retry_.armed())
        for (auto& [cause, reports] : std::exchange(refused_, {}))
            pending_[cause].insert(pending_[cause].end(), reports.begin(), reports.end());
    size_t recipients = 0;
    for (size_t i = 0; i < bounces_per_turn && recipients < recipients_per_turn &&
                       !pending_.empty() && !go_on_.armed();
         ++i) {
        auto [cause, reports] = std::move(*pending_.begin());
        pending_.erase(pending_.begin());
        recipients += reports.size();
        QueuedMessage* message = table_.find(cause);
        if (!message) { // delivered meanwhile, or removed by an operator
            tell_waiting(cause, {});
            continue;
        }
        std::erase_if(reports, [message](const RecipientReport& report) {
            return is_outdated(*message, report);
        });
        if (reports.empty()) {
            message->report_pending = is_reporting(cause);
            tell_waiting(cause, {});
        } else if (!write(*message, reports)) {
            pending_.emplace(cause, std::move(reports));
            go_on_.arm(executor_, executor_.now() + full_interval);
        }
    }
    if (!pending_.empty() && !go_on_.armed())
        go_on_.arm(executor_, executor_.now() + Duration(1)); // when others had their turn
}

std::string Bouncer::content_for(const QueuedMessage& message, uint64_t wanted) {
    Result<std::string> read = spool_.read_content(message.id, 0, wanted);
    if (read)
        return std::move(*read);
    log::error("a report goes without the header of its cause",
               {{"message", to_string(MessageId{message.id})}, {"reason", read.error().message}});
    return {};
}

bool Bouncer::write(QueuedMessage& message, const Reports& reports) {
    const StoredMessage original = message.read();
    // Once: recipients of one message can fail apart from each other, a thousand times.
    const bool wanted = returns_whole(original, message.size, reports) && !message.content_returned;
    // One octet more than the limit shows that the last line is not all there.
    const std::string content =
        content_for(message, wanted ? message.size
                                    : std::min<uint64_t>(message.size, returned_header_limit + 1));
    const bool whole = wanted && content.size() == message.size;
    const Reported reported{message.id, original, content, whole};
    const uint64_t id = spool_.next_id();
    Bounce bounce = write_bounce(id, reported, reports, hostname_, executor_.wall_seconds());
    std::string payload = encode(bounce.message);
    const uint64_t cause = message.id;
    const uint64_t size = bounce.content.size();
    Result<Ticket> ticket = append(id, payload, bounce.content);
    if (!ticket && ticket.error().code == ENOBUFS)
        return false;
    if (!ticket) {
        again_later(cause, reports, ticket.error());
        return true;
    }
    ++in_flight_[cause];
    message.content_returned |= whole;
    recorder_.await(*ticket, [this, cause, id, size, whole, reports, payload = std::move(payload),
                              stored = std::move(bounce.message)](const Result<void>& result) {
        if (auto flight = in_flight_.find(cause); --flight->second == 0)
            in_flight_.erase(flight);
        if (result)
            return written(cause, reports, id, payload, stored, size);
        if (QueuedMessage* message = table_.find(cause); message && whole)
            message->content_returned = false;
        again_later(cause, reports, result.error());
    });
    return true;
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

bool Bouncer::is_reporting(uint64_t message) const {
    return pending_.contains(message) || refused_.contains(message) || in_flight_.contains(message);
}

bool Bouncer::is_writing(uint64_t message) const {
    return pending_.contains(message) || in_flight_.contains(message);
}

void Bouncer::await(uint64_t message, Recorder::Done done) {
    waiting_[message].push_back(std::move(done));
}

void Bouncer::tell_waiting(uint64_t cause, const Result<void>& result) {
    // Who waits for those that the disk refused was told so.
    if (result && is_writing(cause))
        return;
    if (const auto waiting = waiting_.extract(cause))
        for (const Recorder::Done& done : waiting.mapped())
            done(result);
}

// The report is safe: only now is its cause done with.
void Bouncer::written(uint64_t cause, const Reports& reports, uint64_t id, std::string payload,
                      StoredMessage bounce, uint64_t size) {
    const bool failed = any_failed(reports);
    ++(failed ? bounces_ : notices_);
    log::info(failed ? "bounce" : "notice",
              {{"message", to_string(MessageId{cause})},
               {failed ? "bounce" : "notice", to_string(MessageId{id})},
               {"to", bounce.envelope.recipients.front()},
               {"recipients", reports.size()}});
    accept_(id, std::move(payload), std::move(bounce), size);
    if (QueuedMessage* message = table_.find(cause)) {
        for (const RecipientReport& report : reports)
            if (report.action != DeliveryAction::delayed)
                table_.finish(*message, report.index);
        message->report_pending = is_reporting(cause);
        recorder_.changed(*message);
    }
    tell_waiting(cause, {});
}

void Bouncer::again_later(uint64_t cause, Reports reports, const Error& error) {
    log::error("a report cannot be stored, trying again",
               {{"message", to_string(MessageId{cause})}, {"reason", error.message}});
    Reports& waiting = refused_[cause];
    waiting.insert(waiting.end(), reports.begin(), reports.end());
    if (!retry_.armed())
        retry_.arm(executor_, executor_.now() + retry_interval);
    tell_waiting(cause, error);
}

} // namespace postern
