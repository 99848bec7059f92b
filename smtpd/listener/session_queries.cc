// What a client asks besides sending mail: whether an address is good (VRFY and EXPN, RFC 5321
// 3.5), and for the mail that waits for its domain (ETRN, RFC 1985).
#include <algorithm>

#include "common/base/log.h"
#include "common/mail/domain.h"
#include "common/mail/message_id.h"
#include "smtpd/listener/replies.h"
#include "smtpd/listener/session.h"

namespace postern::listener {

// It costs what RCPT costs, and refusals count as there: nobody harvests addresses.
Task<void> Session::verify(const VrfyCommand& vrfy) {
    budget_.idle_command();
    if (!address().vrfy) {
        say(replies::cannot_verify());
        co_return;
    }
    const std::optional<std::string> asked = verifiable_address(vrfy.argument);
    if (!asked) {
        complain(replies::no_address());
        co_return;
    }
    std::optional<Reply> refusal = too_early(Measure::recipients);
    if (!refusal && out_of_memory())
        refusal = replies::memory_full();
    if (refusal) {
        say(*refusal);
        co_return;
    }
    co_await await_reverse_name();
    ipc::RouteQuery query;
    query.origin = origin();
    if (transaction_)
        query.reverse_path = transaction_->reverse_path();
    query.recipient = *asked;
    const ipc::RouteAnswer answer =
        co_await services_.routing.route(std::move(query), patience::routing);
    answer_verification(*asked, vrfy.smtp_utf8, answer);
}

// RFC 5321 3.5.1: a user name, which is one of this host, or local-part@domain. Nothing: it is
// neither. UTF-8 in it has been asked about before (parse_command).
std::optional<std::string> Session::verifiable_address(std::string_view argument) const {
    std::optional<Mailbox> mailbox;
    if (argument.starts_with('<'))
        mailbox = parse_forward_path(argument, nullptr, Internationalized::accepted);
    else
        mailbox = parse_mailbox(argument, nullptr, Internationalized::accepted);
    std::string local_part(argument);
    if (mailbox && mailbox->domain().empty()) // <postmaster>
        local_part = mailbox->local_part();
    if (!mailbox || mailbox->domain().empty())
        mailbox =
            parse_mailbox(local_part + '@' + hostname(), nullptr, Internationalized::accepted);
    if (!mailbox)
        return std::nullopt;
    return mailbox->to_string();
}

// RFC 5321 3.5.3: 250 only for what was verified. What goes on to another host is for that to know.
void Session::answer_verification(const std::string& address, bool utf8,
                                  const ipc::RouteAnswer& answer) {
    if (answer.verdict == ipc::RouteVerdict::temporary)
        return say(replies::cannot_verify_now());
    const bool mailbox = answer.verdict == ipc::RouteVerdict::expanded ||
                         answer.route.kind == ActionKind::maildir ||
                         answer.route.kind == ActionKind::mbox;
    if (answer.verdict == ipc::RouteVerdict::accepted ||
        answer.verdict == ipc::RouteVerdict::expanded)
        return say(mailbox ? replies::verified(address, utf8) : replies::cannot_verify());
    const Reply reply = replies::recipient_refused(answer.verdict, answer.words);
    services_.counters.count_refusal(answer.verdict);
    log::info("address not verified", {{"session", to_string(MessageId{id()})},
                                       {"to", address},
                                       {"client", connection_.client.to_string()},
                                       {"helo", helo_},
                                       {"stat", to_line(reply)}});
    budget_.refused_recipient();
    say(reply);
    count_error();
}

// Nobody is told who is behind an alias or on a list.
void Session::expand() {
    budget_.idle_command();
    say(address().vrfy ? replies::no_list() : replies::cannot_expand());
}

// Nothing, or why no mail is asked for.
std::optional<Reply> Session::why_no_etrn(const EtrnCommand& etrn) const {
    if (helo_.empty())
        return no_hello();
    if (transaction_)
        return replies::not_in_transaction("ETRN");
    if (etrn.is_queue)
        return replies::no_such_queue();
    const std::vector<std::string>& patterns = address().etrn;
    if (std::none_of(patterns.begin(), patterns.end(), [&](const std::string& pattern) {
            return domain_matches(pattern, etrn.domain);
        }))
        return replies::not_a_node(etrn.domain);
    return std::nullopt;
}

Task<void> Session::start_queue(const EtrnCommand& etrn) {
    if (const std::optional<Reply> refusal = why_no_etrn(etrn)) {
        complain(*refusal);
        co_return;
    }
    budget_.idle_command();
    ipc::Wake question;
    question.domain = etrn.domain;
    question.subdomains = etrn.subdomains;
    const std::optional<ipc::Woken> woken =
        co_await services_.submission.wake(std::move(question), patience::routing);
    Reply reply = replies::node_later(etrn.domain);
    if (woken && woken->result == ipc::WakeResult::started)
        reply = replies::node_started(etrn.domain, woken->messages);
    else if (woken && woken->result == ipc::WakeResult::nothing)
        reply = replies::nothing_for_node(etrn.domain);
    log::info("mail asked for", {{"session", to_string(MessageId{id()})},
                                 {"domain", etrn.domain},
                                 {"client", connection_.client.to_string()},
                                 {"helo", helo_},
                                 {"stat", to_line(reply)}});
    say(reply);
}

} // namespace postern::listener
