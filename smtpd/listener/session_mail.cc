// The mail transaction of a session: MAIL, RCPT, DATA (RFC 5321 3.3), up to the queue's answer.
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

std::string verdict_name(ipc::RouteVerdict verdict) {
    switch (verdict) {
    case ipc::RouteVerdict::accepted:
        return "accepted";
    case ipc::RouteVerdict::refused:
        return "refused by a rule";
    case ipc::RouteVerdict::no_rule:
        return "no rule matches";
    case ipc::RouteVerdict::no_mailbox:
        return "no such mailbox";
    case ipc::RouteVerdict::temporary:
        return "lookup has no answer";
    }
    return "unknown";
}

} // namespace

std::string Session::transaction_id() const {
    // An Atom: it stands in Received: (RFC 5321 4.4).
    return to_string(MessageId{id()}) + "-" + std::to_string(transaction_->number());
}

ipc::Origin Session::origin() const {
    ipc::Origin origin;
    origin.client = connection_.client;
    origin.tls = tls_ != nullptr;
    origin.reverse_name = reverse_name_;
    origin.helo = helo_;
    origin.tag = address().tag;
    origin.authenticated = user_;
    origin.local_hostname = hostname();
    return origin;
}

Task<void> Session::begin_transaction(const MailCommand& mail) {
    if (helo_.empty()) {
        complain(replies::hello_first());
        co_return;
    }
    if (transaction_) {
        complain(replies::nested_mail());
        co_return;
    }
    const uint64_t max_size = settings().max_message_size;
    if (max_size != 0 && mail.size.value_or(0) > max_size) {
        // RFC 1870 6.1: nothing of it need be sent.
        ++services_.counters.refused_size;
        budget_.idle_command();
        log::info("message refused", {{"session", to_string(MessageId{id()})},
                                      {"from", mail.reverse_path.to_string()},
                                      {"size", *mail.size},
                                      {"client", connection_.client.to_string()},
                                      {"helo", helo_},
                                      {"reason", "declared size over the limit"}});
        say(replies::message_too_big(max_size));
        co_return;
    }
    std::optional<Reply> refusal = too_early(Measure::mails);
    if (!refusal && out_of_memory())
        refusal = replies::memory_full();
    if (refusal) {
        budget_.idle_command();
        say(*refusal);
        co_return;
    }
    const bool may_send = co_await may_send_as(mail.reverse_path);
    if (!may_send)
        co_return;
    if (!budget_.take_transaction()) {
        ++services_.counters.limited_mails;
        close_with(replies::too_many_messages(hostname()));
        co_return;
    }
    if (!std::exchange(name_awaited_, true))
        co_await name_known_.wait(patience::reverse_name);
    transaction_ = std::make_unique<Transaction>(mail, ++transactions_);
    say(replies::sender_ok());
}

// RFC 5321 4.5.1: <postmaster> is the postmaster of this host.
std::string Session::recipient_address(const RcptCommand& rcpt) const {
    const Mailbox& path = rcpt.forward_path;
    return path.domain().empty() ? Mailbox(path.local_part(), hostname()).to_string()
                                 : path.to_string();
}

bool Session::has_room(const std::string& address) const {
    return transaction_->has_room(address, pending_.size(), settings().max_recipients);
}

// Whether lookup can be asked about it while recipients before it are not answered for yet.
bool Session::may_join(const RcptCommand& rcpt) const {
    return transaction_ && pending_.size() < (pressed() ? max_lookups_pressed : max_lookups) &&
           has_room(recipient_address(rcpt));
}

// Lookup is asked at once, and answered for when it is this command's turn (settle_recipients).
void Session::begin_recipient(const RcptCommand& rcpt) {
    if (!transaction_)
        return complain(helo_.empty() ? replies::hello_first() : replies::mail_first());
    if (transaction_->chunks)
        return complain(replies::recipient_after_chunk());
    transaction_->note_rcpt();
    std::string address = recipient_address(rcpt);
    if (!has_room(address)) {
        budget_.surplus_recipient();
        return say(replies::too_many_recipients());
    }
    pending_.push_back(std::make_shared<PendingRecipient>(executor(), std::move(address)));
    note_memory();
    pending_.back()->refusal = too_early(Measure::recipients);
    if (!pending_.back()->refusal && out_of_memory())
        pending_.back()->refusal = replies::memory_full();
    if (!pending_.back()->refusal)
        tasks_.spawn(look_up(pending_.back()));
}

Task<void> Session::look_up(std::shared_ptr<PendingRecipient> recipient) {
    ipc::RouteQuery query;
    query.origin = origin();
    query.reverse_path = transaction_->reverse_path();
    query.recipient = recipient->address;
    recipient->verdict.complete(
        co_await services_.routing.route(std::move(query), patience::routing));
}

Task<void> Session::settle_recipients() {
    while (!pending_.empty() && talking()) {
        PendingRecipient& next = *pending_.front();
        if (next.refusal) {
            budget_.surplus_recipient();
            say(*next.refusal);
            pending_.pop_front();
            continue;
        }
        // Routing has a limit of its own; ours is for the case that it does not keep it.
        std::optional<ipc::RouteVerdict> verdict =
            co_await next.verdict.wait(patience::routing + std::chrono::seconds(5));
        settle_recipient(std::move(next.address), verdict.value_or(ipc::RouteVerdict::temporary));
        pending_.pop_front();
    }
}

void Session::settle_recipient(std::string address, ipc::RouteVerdict verdict) {
    if (verdict == ipc::RouteVerdict::accepted) {
        const size_t before = transaction_->recipients().size();
        transaction_->add_recipient(std::move(address));
        if (transaction_->recipients().size() == before)
            budget_.surplus_recipient();
        say(replies::recipient_ok());
        return;
    }
    const Reply reply = replies::recipient_refused(verdict);
    services_.counters.count_refusal(verdict);
    log::info("recipient refused", {{"session", to_string(MessageId{id()})},
                                    {"from", transaction_->reverse_path()},
                                    {"to", address},
                                    {"client", connection_.client.to_string()},
                                    {"helo", helo_},
                                    {"reason", verdict_name(verdict)},
                                    {"stat", to_line(reply)}});
    if (!reply.is_permanent_failure()) {
        budget_.surplus_recipient();
        return say(reply);
    }
    budget_.refused_recipient();
    say(reply);
    count_error();
}

Task<void> Session::receive_message() {
    if (!transaction_) {
        complain(helo_.empty() ? replies::hello_first() : replies::mail_first());
        co_return;
    }
    if (!transaction_->has_recipients()) {
        // RFC 5321 3.3; RFC 2920 3.1: a client that sent DATA ahead learns it this way.
        complain(transaction_->rcpt_seen() ? replies::no_valid_recipients()
                                           : replies::rcpt_first());
        co_return;
    }
    if (transaction_->chunks) {
        complain(replies::data_after_chunk());
        co_return;
    }
    if (out_of_memory()) {
        budget_.idle_command();
        say(replies::memory_full());
        co_return;
    }
    say(replies::start_data());
    stream_->limit_input(Stream::input_limit);
    DataDecoder decoder(content_options());
    ContentSink sink(services_.submission);
    begin_content(sink);
    const bool whole = co_await read_content(decoder, sink);
    if (!whole)
        co_return;
    if (std::optional<Reply> refusal = judge(decoder, sink)) {
        sink.discard();
        refuse_message(*refusal, decoder.size());
    } else {
        co_await submit(decoder, sink);
    }
    transaction_.reset();
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
        recipient = parse_mailbox(*only);
    ReceivedField field;
    field.helo = helo_;
    field.reverse_name = reverse_name_.empty() ? "unknown" : std::string_view(reverse_name_);
    field.address = client;
    field.by = hostname();
    // RFC 3848; who is authenticated is so under TLS
    field.protocol = !user_.empty() ? "ESMTPSA" : tls_ ? "ESMTPS" : extended_ ? "ESMTP" : "SMTP";
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

void Session::begin_content(ContentSink& sink) const {
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
Task<bool> Session::read_content(DataDecoder& decoder, ContentSink& sink) {
    const TimePoint start = executor().now();
    for (;;) {
        const size_t used = decoder.decode(stream_->input().substr(0, decode_step),
                                           [&sink](std::string_view piece) { sink.append(piece); });
        stream_->consume(used);
        if (decoder.too_big())
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

// Nothing, or why this content is not accepted.
std::optional<Reply> Session::judge(const ContentFacts& content, const ContentSink& sink) {
    SessionCounters& counters = services_.counters;
    if (content.too_big()) {
        ++counters.refused_size;
        return replies::message_too_big(settings().max_message_size);
    }
    if (content.has_bare_cr() || content.has_bare_lf()) {
        // Whoever reads these as line ends would find another message in it: SMTP smuggling.
        ++counters.refused_content;
        return replies::bare_line_ends();
    }
    if (content.has_nul()) {
        // Not a character of mail (RFC 5322 2.1). Who drops it on the way sees other lines than we
        // do.
        ++counters.refused_content;
        return replies::content_has_nul();
    }
    if (content.line_too_long()) {
        ++counters.refused_content;
        return replies::content_line_too_long();
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
    message.traits.eight_bit = content.has_eight_bit();
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
    say(replies::queued(name));
}

void Session::refuse_message(const Reply& reply, uint64_t size) {
    log::info("message refused", {{"session", to_string(MessageId{id()})},
                                  {"transaction", transaction_id()},
                                  {"from", transaction_->reverse_path()},
                                  {"size", size},
                                  {"client", connection_.client.to_string()},
                                  {"helo", helo_},
                                  {"stat", to_line(reply)}});
    say(reply);
}

} // namespace postern::listener
