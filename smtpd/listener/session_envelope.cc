// The envelope of a mail transaction: MAIL and RCPT (RFC 5321 3.3), and what they ask for.
#include <algorithm>

#include "common/base/log.h"
#include "common/mail/message_id.h"
#include "smtpd/listener/replies.h"
#include "smtpd/listener/session.h"

namespace postern::listener {

namespace {

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
    case ipc::RouteVerdict::expanded:
        return "expanded";
    }
    return "unknown";
}

} // namespace

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
        complain(no_hello());
        co_return;
    }
    if (transaction_) {
        complain(replies::nested_mail());
        co_return;
    }
    if (std::optional<Reply> refusal = refuse_hold(mail)) {
        budget_.idle_command();
        say(*refusal);
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
    co_await await_reverse_name();
    transaction_ = std::make_unique<Transaction>(mail, ++transactions_, executor().wall_seconds());
    if (mail.parameters.priority > 0 && !may_raise_priority()) {
        transaction_->parameters().priority = 0;
        say(replies::priority_changed(0));
        co_return;
    }
    say(replies::sender_ok());
}

// RFC 6710 4.1: a stranger's mail is not ahead of that of others because he says so.
bool Session::may_raise_priority() const {
    return !user_.empty() || connection_.client.is_loopback();
}

// RFC 4865 4: for those who submit, and not for ever.
std::optional<Reply> Session::refuse_hold(const MailCommand& mail) const {
    if (!mail.hold_for && !mail.hold_until)
        return std::nullopt;
    if (user_.empty())
        return replies::authentication_required();
    const int64_t until = mail.hold_until.value_or(0) - executor().wall_seconds();
    if (std::max(mail.hold_for.value_or(0), until) > settings().max_hold)
        return replies::hold_too_long(settings().max_hold);
    return std::nullopt;
}

// RFC 5321 4.5.1: <postmaster> is the postmaster of this host.
std::string Session::recipient_address(const RcptCommand& rcpt) const {
    const Mailbox& path = rcpt.forward_path;
    return path.domain().empty() ? Mailbox(path.local_part(), hostname()).to_string()
                                 : path.to_string();
}

bool Session::has_room(const std::string& address, const RecipientParameters& parameters) const {
    return transaction_->has_room(address, parameters, pending_.size(), settings().max_recipients);
}

// Whether lookup can be asked about it while recipients before it are not answered for yet.
bool Session::may_join(const RcptCommand& rcpt) const {
    return transaction_ && pending_.size() < (pressed() ? max_lookups_pressed : max_lookups) &&
           has_room(recipient_address(rcpt), rcpt.parameters);
}

// Lookup is asked at once, and answered for when it is this command's turn (settle_recipients).
void Session::begin_recipient(const RcptCommand& rcpt) {
    if (!transaction_)
        return complain(helo_.empty() ? no_hello() : replies::mail_first());
    if (transaction_->chunks)
        return complain(replies::recipient_after_chunk());
    transaction_->note_rcpt();
    std::string address = recipient_address(rcpt);
    if (!has_room(address, rcpt.parameters)) {
        budget_.surplus_recipient();
        return say(replies::too_many_recipients());
    }
    pending_.push_back(
        std::make_shared<PendingRecipient>(executor(), std::move(address), rcpt.parameters));
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
    ipc::RouteAnswer answer = co_await services_.routing.route(std::move(query), patience::routing);
    recipient->words = std::move(answer.words);
    recipient->verdict.complete(answer.verdict);
}

// Once for a client: not every MAIL waits for a name that does not come.
Task<void> Session::await_reverse_name() {
    if (!std::exchange(name_awaited_, true))
        co_await name_known_->wait(patience::reverse_name);
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
        settle_recipient(next, verdict.value_or(ipc::RouteVerdict::temporary));
        pending_.pop_front();
    }
}

void Session::settle_recipient(PendingRecipient& recipient, ipc::RouteVerdict verdict) {
    if (verdict == ipc::RouteVerdict::accepted || verdict == ipc::RouteVerdict::expanded) {
        const size_t before = transaction_->recipients().size();
        transaction_->add_recipient(std::move(recipient.address), std::move(recipient.parameters));
        if (transaction_->recipients().size() == before)
            budget_.surplus_recipient();
        say(replies::recipient_ok());
        return;
    }
    const Reply reply = replies::recipient_refused(verdict, recipient.words);
    services_.counters.count_refusal(verdict);
    log::info("recipient refused", {{"session", to_string(MessageId{id()})},
                                    {"from", transaction_->reverse_path()},
                                    {"to", recipient.address},
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

} // namespace postern::listener
