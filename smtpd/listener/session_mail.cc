// The content of a mail transaction: DATA (RFC 5321 3.3), up to the queue's answer. Its envelope is
// in session_envelope.cc.
#include <algorithm>
#include <chrono>

#include "common/base/log.h"
#include "common/mail/date.h"
#include "common/mail/message_id.h"
#include "common/smtp/received.h"
#include "smtpd/listener/replies.h"
#include "smtpd/listener/session.h"

namespace postern::listener {

namespace {

constexpr size_t decode_step = 64 * 1024;      // bytes, between two looks at the sink
constexpr uint64_t least_progress = 16 * 1024; // octets, for which a client may take its time anew

// Of what goes to the sink.
const ContentFacts& facts_of(const DataDecoder& decoder, const NormalisedContent* normalised) {
    return normalised ? normalised->facts() : decoder;
}

} // namespace

std::string Session::transaction_id() const {
    // An Atom: it stands in Received: (RFC 5321 4.4).
    return to_string(MessageId{id()}) + "-" + std::to_string(transaction_->number());
}

Task<void> Session::receive_message() {
    if (!transaction_) {
        complain(helo_.empty() ? no_hello() : replies::mail_first());
        co_return;
    }
    if (!transaction_->has_recipients()) {
        // RFC 5321 3.3; RFC 2920 3.1: a client that sent DATA ahead learns it this way.
        complain(transaction_->rcpt_seen() ? replies::no_valid_recipients(address().lmtp)
                                           : replies::rcpt_first());
        co_return;
    }
    if (transaction_->chunks) {
        complain(replies::data_after_chunk());
        co_return;
    }
    if (binary()) { // RFC 3030 3
        complain(replies::data_for_binary());
        co_return;
    }
    if (out_of_memory()) {
        budget_.idle_command();
        say(replies::memory_full());
        co_return;
    }
    say(replies::start_data());
    stream_->limit_input(Stream::input_limit);
    std::optional<NormalisedContent> normalised;
    if (trusted_line_ends())
        normalised.emplace(content_options());
    DataDecoder decoder(normalised ? ContentFacts::Options() : content_options());
    ContentSink sink(services_.submission);
    begin_content(sink);
    const bool whole = co_await read_content(decoder, normalised ? &*normalised : nullptr, sink);
    if (!whole)
        co_return;
    const ContentFacts& facts = facts_of(decoder, normalised ? &*normalised : nullptr);
    if (std::optional<Reply> refusal = judge(facts, sink)) {
        sink.discard();
        refuse_message(*refusal, facts.size());
    } else {
        co_await submit(facts, sink);
    }
    transaction_.reset();
}

// Nobody else is: what one server takes for the end of a line, and another does not, hides a
// message in a message (RFC 5321 2.3.8).
bool Session::trusted_line_ends() const {
    const std::vector<Network>& trusted = address().normalise_from;
    return !binary() && std::any_of(trusted.begin(), trusted.end(), [this](const Network& network) {
        return network.contains(connection_.client);
    });
}

ContentFacts::Options Session::content_options() const {
    ContentFacts::Options options;
    if (settings().max_message_size != 0)
        options.max_size = settings().max_message_size;
    return options;
}

// RFC 5321 4.4.
std::string Session::trace_field() const {
    const std::string client = connection_.client.to_string();
    const std::string id = transaction_id();
    const std::string date =
        format_date(std::chrono::system_clock::from_time_t(executor().wall_seconds()));
    std::optional<Mailbox> recipient;
    if (const std::string* only = transaction_->only_recipient())
        recipient = parse_mailbox(*only, nullptr, Internationalized::accepted);
    ReceivedField field;
    field.helo = helo_;
    field.reverse_name = reverse_name_.empty() ? "unknown" : std::string_view(reverse_name_);
    field.address = client;
    field.by = hostname();
    field.protocol = protocol_keyword(protocol());
    field.smtp_utf8 = transaction_->parameters().smtp_utf8;
    if (auth().in_received)
        field.authenticated = user_;
    if (tls_) {
        field.tls_cipher = tls_->cipher;
        field.tls_protocol = tls_->protocol;
    }
    field.id = id;
    field.recipient = recipient ? &*recipient : nullptr;
    field.date = date;
    std::string trace;
    append_received(trace, field);
    return trace;
}

ProtocolFacts Session::protocol() const {
    ProtocolFacts facts;
    facts.lmtp = address().lmtp;
    facts.extended = given_.extended.value_or(extended_);
    facts.tls = tls_ != nullptr;
    facts.authenticated = !user_.empty();
    facts.smtp_utf8 = transaction_->parameters().smtp_utf8;
    return facts;
}

void Session::begin_content(ContentSink& sink) const {
    if (!services_.clients.is_exempt(connection_.client))
        sink.on_behalf_of(connection_.client);
    sink.prepend(trace_field());
    if (!user_.empty())
        sink.complete_header(date_field(), message_id_field());
}

// What a submitted message is given if it has none (RFC 6409 8.2, 8.3).
std::string Session::date_field() const {
    return "Date: " +
           format_date(std::chrono::system_clock::from_time_t(executor().wall_seconds())) + "\r\n";
}

std::string Session::message_id_field() const {
    return "Message-ID: <" + std::to_string(executor().wall_seconds()) + "." + transaction_id() +
           "@" + hostname() + ">\r\n";
}

// Up to CRLF.CRLF (RFC 5321 4.5.2). False: the session is over.
Task<bool> Session::read_content(DataDecoder& decoder, NormalisedContent* normalised,
                                 ContentSink& sink) {
    const TimePoint start = executor().now();
    const auto append = [&sink](std::string_view piece) { sink.append(piece); };
    for (;;) {
        const size_t used =
            decoder.decode(stream_->input().substr(0, decode_step), [&](std::string_view piece) {
                normalised ? normalised->pass(piece, append) : append(piece);
            });
        stream_->consume(used);
        if (facts_of(decoder, normalised).too_big())
            sink.discard();
        note_memory(sink.memory());
        if (services_.pressure.memory_full())
            sink.economize();
        if (sink.needs_settling())
            co_await settle(sink);
        if (decoder.complete())
            co_return true;
        if (!stream_->input().empty())
            continue;
        const bool more = co_await more_content(start, decoder.size());
        if (!more)
            co_return false;
    }
}

// What the client sends on meanwhile is not taken in.
Task<void> Session::settle(ContentSink& sink) {
    stream_->limit_input(command_input);
    co_await sink.settle();
    stream_->limit_input(Stream::input_limit);
    progress_at_ = executor().now(); // it was not the client who took this time
}

// Waits for more of a content that began at `start`, and of which `size` octets have come. False:
// that is enough, or there will be none; the session is over.
Task<bool> Session::more_content(TimePoint start, uint64_t size) {
    const uint64_t max_size = settings().max_message_size;
    if (max_size != 0 && size > 2 * max_size + excess_content) {
        ++services_.counters.refused_size;
        close_with(replies::message_too_big(max_size));
        co_return false;
    }
    StreamStatus status = StreamStatus::timed_out;
    if (!too_slow(start, size)) {
        // An octet now and then is no progress.
        if (progress_at_ < start || size >= progress_ + least_progress) {
            progress_ = size;
            progress_at_ = executor().now();
        }
        wait_since(progress_at_, patience::pressed_content);
        status =
            co_await stream_->read_more(pressed() ? patience::pressed_content : patience::content);
        wait_no_more();
    }
    if (status == StreamStatus::ok)
        co_return true;
    log::info("content broken off",
              {{"session", to_string(MessageId{id()})},
               {"from", transaction_ ? transaction_->reverse_path() : std::string()},
               {"size", size},
               {"client", connection_.client.to_string()},
               {"helo", helo_},
               {"reason", to_string(status)}});
    input_ended(status);
    co_return false;
}

bool Session::too_slow(TimePoint start, uint64_t size) const {
    const Duration elapsed = executor().now() - start;
    if (elapsed <= patience::free_content)
        return false;
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(elapsed).count();
    return size < static_cast<uint64_t>(seconds) * patience::least_rate;
}

// Text is made of lines (RFC 5321 2.3.8).
std::optional<Reply> Session::judge_lines(const ContentFacts& content) {
    if (content.has_bare_cr() || content.has_bare_lf()) {
        // Whoever reads these as line ends would find another message in it: SMTP smuggling.
        ++services_.counters.refused_content;
        return replies::bare_line_ends();
    }
    if (content.has_nul()) {
        // Not a character of mail (RFC 5322 2.1). Who drops it on the way sees other lines than we
        // do.
        ++services_.counters.refused_content;
        return replies::content_has_nul();
    }
    if (content.line_too_long()) {
        ++services_.counters.refused_content;
        return replies::content_line_too_long();
    }
    return std::nullopt;
}

// Nothing, or why this content is not accepted.
std::optional<Reply> Session::judge(const ContentFacts& content, const ContentSink& sink) {
    SessionCounters& counters = services_.counters;
    if (content.too_big()) {
        ++counters.refused_size;
        return replies::message_too_big(settings().max_message_size);
    }
    if (!binary()) {
        if (std::optional<Reply> refusal = judge_lines(content))
            return refusal;
    }
    if (settings().max_received_hops != 0 &&
        sink.received_fields() > settings().max_received_hops) {
        ++counters.refused_loop;
        return replies::routing_loop();
    }
    if (sink.failure())
        ++counters.refused_queue;
    return sink.failure();
}

Task<void> Session::submit(const ContentFacts& content, ContentSink& sink) {
    ipc::Submit message;
    const uint64_t size = sink.size();
    message.traits.eight_bit = content.has_eight_bit() || sink.eight_bit_trace();
    message.traits.leading_dot = content.has_leading_dot();
    std::unique_ptr<ContentFile> file = sink.finish(message);
    if (sink.failure()) { // the last bytes did not fit
        ++services_.counters.refused_queue;
        refuse_message(*sink.failure(), size);
        co_return;
    }
    message.envelope = transaction_->take_envelope(origin(), executor().wall_seconds());
    const size_t recipients = message.envelope.recipients.size();
    stream_->limit_input(command_input);
    std::optional<Submission::Answer> answer = co_await services_.submission.submit(
        std::move(message), std::move(file), patience::submission);
    if (answer) {
        if (auto* durable = std::get_if<ipc::Durable>(&*answer)) {
            accepted(durable->message, recipients, size);
            co_return;
        }
    }
    ++services_.counters.refused_queue;
    refuse_message(answer ? replies::refused_by_queue(std::get<ipc::Refused>(*answer))
                          : replies::no_queue(),
                   size);
}

void Session::accepted(uint64_t message, size_t recipients, uint64_t size) {
    const std::string name = to_string(MessageId{message});
    ++services_.counters.messages;
    services_.counters.recipients += recipients;
    services_.counters.bytes += size;
    budget_.message_accepted();
    skipped_octets_ = 0;
    log::info("accepted", {{"message", name},
                           {"session", to_string(MessageId{id()})},
                           {"transaction", transaction_id()},
                           {"from", transaction_->reverse_path()},
                           {"size", size},
                           {"recipients", recipients},
                           {"client", connection_.client.to_string()},
                           {"helo", helo_},
                           {"tls", tls_ ? tls_->protocol : "no"},
                           {"user", user_}});
    conclude_message(replies::queued(name));
}

// The reply to a whole message. RFC 2033 4.2: in LMTP there is one for each recipient that was
// taken, in their order. The queue takes a message for all of them or for none.
void Session::conclude_message(const Reply& reply) {
    const size_t replies = address().lmtp ? transaction_->accepted() : 1;
    for (size_t i = 0; i < replies && talking(); ++i)
        say(reply);
}

void Session::refuse_message(const Reply& reply, uint64_t size) {
    log_refusal(reply, size);
    conclude_message(reply);
}

void Session::log_refusal(const Reply& reply, uint64_t size) {
    log::info("message refused", {{"session", to_string(MessageId{id()})},
                                  {"transaction", transaction_id()},
                                  {"from", transaction_->reverse_path()},
                                  {"size", size},
                                  {"client", connection_.client.to_string()},
                                  {"helo", helo_},
                                  {"stat", to_line(reply)}});
}

} // namespace postern::listener
