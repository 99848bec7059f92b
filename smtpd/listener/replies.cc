#include "smtpd/listener/replies.h"

#include <optional>

#include "common/base/utf8.h"
#include "common/smtp/sasl.h"
#include "common/smtp/text.h"

namespace postern::listener::replies {

namespace {

// RFC 5321 4.2.2: the text of 421 begins with the server's name.
Reply closing(std::string_view hostname, EnhancedStatusCode status, std::string_view why) {
    return Reply(421, status, std::string(hostname) + ' ' + std::string(why));
}

// "Too many errors from your address"
std::string describe(const Excess& excess) {
    static constexpr std::string_view what[measures] = {"sessions", "commands",   "errors",
                                                        "messages", "recipients", "octets"};
    static constexpr std::string_view whose[limit_scopes] = {" from your address",
                                                             " from your network", ""};
    std::string text = "Too many ";
    text += what[static_cast<size_t>(excess.measure)];
    text += whose[static_cast<size_t>(excess.scope)];
    text += excess.at_once ? " at once" : " in a minute";
    return text;
}

} // namespace

Reply greeting(std::string_view hostname, bool lmtp) {
    return Reply(220, std::string(hostname) + (lmtp ? " LMTP Postern" : " ESMTP Postern"));
}

Reply helo(std::string_view hostname, std::string_view client) {
    return Reply(250, std::string(hostname) + " Hello " + std::string(client));
}

Reply ehlo(std::string_view hostname, std::string_view client,
           const ipc::ListenerSettings& settings, const Extensions& offered, bool starttls,
           const std::vector<SaslMechanism>& mechanisms, int64_t now) {
    std::string text = std::string(hostname) + " Hello " + std::string(client);
    text += "\nPIPELINING\nSIZE " + std::to_string(settings.max_message_size);
    if (starttls)
        text += "\nSTARTTLS";
    if (!mechanisms.empty())
        text += "\nAUTH";
    for (SaslMechanism mechanism : mechanisms)
        text += " " + std::string(to_string(mechanism));
    text += "\n8BITMIME\nCHUNKING";
    for (auto [is_offered, keyword] :
         {std::pair(offered.binary_mime, "\nBINARYMIME"),
          std::pair(offered.smtp_utf8, "\nSMTPUTF8"), std::pair(offered.dsn, "\nDSN"),
          std::pair(offered.require_tls, "\nREQUIRETLS"),
          std::pair(offered.priority, "\nMT-PRIORITY"),
          std::pair(offered.deliver_by, "\nDELIVERBY"), std::pair(offered.vrfy, "\nVRFY"),
          std::pair(offered.etrn, "\nETRN"),
          std::pair(offered.xclient, "\nXCLIENT NAME ADDR PROTO HELO LOGIN")})
        if (is_offered)
            text += keyword;
    if (offered.future_release)
        text += "\nFUTURERELEASE " + std::to_string(settings.max_hold) + ' ' +
                format_timestamp(now + settings.max_hold);
    std::string limits;
    if (settings.max_mails != 0)
        limits += " MAILMAX=" + std::to_string(settings.max_mails);
    if (settings.max_recipients != 0)
        limits += " RCPTMAX=" + std::to_string(settings.max_recipients);
    if (!limits.empty())
        text += "\nLIMITS" + limits;
    // RFC 5321 4.1.1.1: commands that need not be there are named.
    return Reply(250, text + "\nHELP\nENHANCEDSTATUSCODES");
}

Reply ok() { return Reply(250, status::success, "Ok"); }
Reply sender_ok() { return Reply(250, status::sender_valid, "Sender ok"); }
Reply priority_changed(int priority) {
    return Reply(250, status::priority_changed,
                 std::to_string(priority) + " is the new priority assigned to the message");
}
Reply recipient_ok() { return Reply(250, status::recipient_valid, "Recipient ok"); }
Reply start_data() { return Reply(354, "End data with <CR><LF>.<CR><LF>"); }

Reply chunk_taken(uint64_t octets) {
    return Reply(250, status::success, std::to_string(octets) + " octets received");
}

Reply queued(std::string_view message_id) {
    return Reply(250, status::success, std::string(message_id) + " queued");
}

Reply goodbye(std::string_view hostname) {
    return Reply(221, status::success, std::string(hostname) + " Bye");
}

Reply cannot_verify() {
    return Reply(252, status::success, "Cannot verify, but will accept mail and try to deliver it");
}

Reply cannot_expand() {
    return Reply(252, status::success, "Cannot expand, but will take mail for good addresses");
}

Reply verified(std::string_view address, bool utf8) {
    if (!utf8 && !is_ascii(address))
        return Reply(252, status::utf8_reply_refused,
                     "Will accept mail, but the address needs SMTPUTF8 to be named");
    Reply reply(250, status::recipient_valid, '<' + std::string(address) + '>');
    reply.utf8 = utf8;
    return reply;
}

Reply cannot_verify_now() { return Reply(252, status::success, "Cannot verify now"); }

Reply help(const Extensions& offered) {
    std::string text = "This is a Postern mail gateway.\nCommands: ";
    text += offered.lmtp ? "LHLO" : "HELO EHLO";
    text += " STARTTLS AUTH MAIL RCPT DATA BDAT RSET NOOP QUIT VRFY EXPN HELP";
    if (offered.etrn)
        text += " ETRN";
    text += offered.lmtp ? "\n  LHLO host.example\n" : "\n  EHLO host.example\n";
    text += "  MAIL FROM:<sender@a.example> [SIZE=octets] [BODY=7BIT|8BITMIME] ...\n"
            "  RCPT TO:<recipient@b.example>\n"
            "  DATA, the message, and a line with a single dot\n"
            "  BDAT octets [LAST], and as many octets of the message\n"
            "The protocol is RFC ";
    text += offered.lmtp ? "2033" : "5321";
    return Reply(214, status::success, text + ". Ask postmaster about this host.");
}

Reply start_tls() { return Reply(220, status::success, "Ready to start TLS"); }

Reply challenge(std::string_view base64) { return Reply(334, std::string(base64)); }
Reply authenticated() { return Reply(235, status::security_success, "Authentication succeeded"); }

Reply line_without_crlf() {
    return Reply(500, status::syntax_error, "A command line must end in CRLF, not in a bare LF");
}
Reply not_implemented() { return Reply(502, status::invalid_command, "Command not implemented"); }
Reply hello_first(bool lmtp) {
    return Reply(503, status::invalid_command, lmtp ? "Say LHLO first" : "Say EHLO or HELO first");
}
Reply nested_mail() {
    return Reply(503, status::invalid_command, "There is a transaction already: nested MAIL");
}
Reply mail_first() { return Reply(503, status::invalid_command, "MAIL first"); }
Reply rcpt_first() { return Reply(503, status::invalid_command, "RCPT first"); }
Reply ehlo_first() {
    return Reply(503, status::invalid_command, "Say EHLO first: BDAT is an extension");
}
Reply data_after_chunk() {
    return Reply(503, status::invalid_command, "BDAT has begun the message: no DATA");
}
Reply recipient_after_chunk() {
    return Reply(503, status::invalid_command, "BDAT has begun the message: no more recipients");
}
Reply data_for_binary() {
    return Reply(503, status::invalid_command, "BODY=BINARYMIME comes with BDAT, not with DATA");
}
Reply hold_too_long(int64_t longest) {
    return Reply(501, status::invalid_arguments,
                 "No message is held for longer than " + std::to_string(longest) + " seconds");
}
Reply no_valid_recipients(bool lmtp) {
    return Reply(lmtp ? 503 : 554, status::invalid_command, "No valid recipients");
}

Reply tls_first() {
    return Reply(530, status::other_security, "Must issue a STARTTLS command first");
}
Reply tls_already() { return Reply(503, status::invalid_command, "TLS is in use already"); }
Reply tls_after_client() {
    return Reply(503, status::invalid_command, "No TLS after XCLIENT: STARTTLS comes first");
}
Reply not_in_transaction(std::string_view verb) {
    return Reply(503, status::invalid_command,
                 std::string(verb) + " is not possible during a transaction");
}
Reply no_service() { return Reply(503, status::invalid_command, "No service here: QUIT is all"); }

Reply no_address() {
    return Reply(553, status::bad_recipient_syntax, "Neither an address nor a user name");
}
Reply no_list() {
    return Reply(550, status::bad_mailbox, "Not a mailing list whose members are told");
}
Reply may_not_give_client() {
    return Reply(550, status::not_authorized, "Not authorized to speak for others");
}

Reply node_started(std::string_view domain, uint32_t messages) {
    return Reply(253, status::success,
                 std::to_string(messages) + " pending messages for node " + std::string(domain) +
                     " started");
}
Reply nothing_for_node(std::string_view domain) {
    return Reply(251, status::success, "No messages waiting for node " + std::string(domain));
}
Reply node_later(std::string_view domain) {
    return Reply(458, status::not_accepting_mail.as(4),
                 "Unable to queue messages for node " + std::string(domain) +
                     " now: try again later");
}
Reply not_a_node(std::string_view domain) {
    return Reply(459, status::not_authorized.as(4),
                 "Node " + std::string(domain) + " not allowed: not a domain for ETRN here");
}
Reply no_such_queue() {
    return Reply(459, status::not_authorized.as(4), "No queues have names here: ETRN domain");
}

Reply tls_unavailable() {
    return Reply(454, status::other_security.as(4), "TLS not available due to temporary reason");
}

Reply encryption_required() {
    return Reply(538, status::encryption_needed,
                 "Encryption required for requested authentication mechanism");
}
Reply authentication_required() {
    return Reply(530, status::other_security, "Authentication required");
}
Reply authenticated_already() {
    return Reply(503, status::invalid_command, "Authenticated already");
}
Reply no_authentication_in_transaction() {
    return Reply(503, status::invalid_command, "AUTH is not possible during a transaction");
}
Reply unknown_mechanism() {
    return Reply(504, status::invalid_arguments, "Authentication mechanism not supported");
}
Reply no_base64() { return Reply(501, status::syntax_error, "Cannot decode as base64"); }
Reply bad_auth_response() {
    return Reply(501, status::syntax_error, "Not a response of this authentication mechanism");
}
Reply auth_response_too_long() {
    return Reply(500, status::auth_line_too_long, "Authentication exchange line is too long");
}
Reply authentication_cancelled() {
    return Reply(501, status::other_security, "Authentication cancelled");
}
Reply authentication_failed() {
    return Reply(535, status::bad_credentials, "Authentication credentials invalid");
}
Reply authentication_later() {
    return Reply(454, status::other_security.as(4),
                 "Temporary authentication failure: try again later");
}

Reply sender_not_owned() {
    return Reply(550, status::not_authorized, "Sender address rejected: not owned by user");
}
Reply sender_unchecked() {
    return Reply(451, status::other_system.as(4), "Sender cannot be checked now: try again later");
}

Reply message_too_big(uint64_t limit) {
    return Reply(552, status::message_too_big,
                 "Message too big: the limit is " + std::to_string(limit) + " octets");
}

Reply too_many_recipients() {
    return Reply(452, status::too_many_recipients, "Too many recipients"); // RFC 5321 4.5.3.1.10
}

namespace {

// Nothing: these are no words that the verdict can be said in.
std::optional<Reply> reply_of(ipc::RouteVerdict verdict, std::string_view words) {
    const bool good_code = words.size() > 4 && words[3] == ' ' && is_ascii_digit(words[1]) &&
                           is_ascii_digit(words[2]) &&
                           words[0] == (verdict == ipc::RouteVerdict::temporary ? '4' : '5');
    if (!good_code)
        return std::nullopt;
    const int code = (words[0] - '0') * 100 + (words[1] - '0') * 10 + (words[2] - '0');
    words.remove_prefix(4);
    const auto enhanced = take_enhanced_status(words);
    if (!enhanced || words.empty() || code == 421 || code == 521) // these end sessions
        return std::nullopt;
    return Reply(code, *enhanced, sanitize(words));
}

} // namespace

Reply recipient_refused(ipc::RouteVerdict verdict, std::string_view words) {
    if (const auto reply = reply_of(verdict, words))
        return *reply;
    switch (verdict) {
    case ipc::RouteVerdict::no_rule:
        return Reply(550, status::not_authorized, "Relaying denied");
    case ipc::RouteVerdict::refused:
        return Reply(550, status::not_authorized, "Recipient refused");
    case ipc::RouteVerdict::no_mailbox:
        return Reply(550, status::bad_mailbox, "No such mailbox here");
    case ipc::RouteVerdict::accepted:
    case ipc::RouteVerdict::expanded:
    case ipc::RouteVerdict::temporary:
        break;
    }
    return Reply(451, status::other_system.as(4),
                 "Recipient cannot be checked now: try again later");
}

Reply too_fast(const Excess& excess) {
    return Reply(451, status::not_authorized.as(4), describe(excess) + ": try again later");
}

Reply bare_line_ends() {
    return Reply(550, status::content_refused, "Content has a bare CR or LF (RFC 5321 2.3.8)");
}
Reply content_has_nul() {
    return Reply(550, status::content_refused, "Content has a NUL character");
}
Reply content_line_too_long() {
    return Reply(550, status::content_refused, "Content has a line that is too long");
}
Reply routing_loop() {
    return Reply(554, status::routing_loop, "Too many Received: fields: a routing loop");
}
Reply storage_full() {
    return Reply(452, status::system_full, "Insufficient system storage: try again later");
}
Reply memory_full() {
    return Reply(452, status::system_full, "Insufficient memory: try again later");
}
Reply no_queue() {
    return Reply(451, status::other_system.as(4), "Message cannot be queued now: try again later");
}

Reply refused_by_queue(const ipc::Refused& refused) {
    const auto status = parse_enhanced_status(refused.enhanced);
    if (refused.code < 400 || refused.code > 599 || !status)
        return no_queue();
    return Reply(refused.code, *status, refused.text);
}

Reply spoke_early(std::string_view hostname) {
    return Reply(554, status::invalid_command,
                 std::string(hostname) + " Wait for the greeting (RFC 5321 4.3.1)");
}
Reply spoke_before_tls(std::string_view hostname) {
    return Reply(554, status::invalid_command,
                 std::string(hostname) +
                     " Nothing may follow STARTTLS before its reply (RFC 3207)");
}
Reply shutting_down(std::string_view hostname) {
    return closing(hostname, status::not_accepting_mail, "Service closing: connect again later");
}
Reply too_busy(std::string_view hostname) {
    return closing(hostname, status::not_accepting_mail, "Too busy to wait: connect again");
}
Reply proxies_only(std::string_view hostname) {
    return closing(hostname, status::not_authorized.as(4),
                   "Only this server's proxies may connect here");
}
Reply too_many_sessions(std::string_view hostname) {
    return closing(hostname, status::not_accepting_mail, "Too many sessions: connect again later");
}
Reply too_many_errors(std::string_view hostname) {
    return closing(hostname, status::other_security.as(4), "Too many errors");
}
Reply too_many_messages(std::string_view hostname) {
    return closing(hostname, status::other_security.as(4),
                   "Too many messages in a session: connect again");
}
Reply too_many_commands(std::string_view hostname) {
    return closing(hostname, status::other_security.as(4),
                   "Too many commands in a session: connect again");
}
Reply too_many_bytes(std::string_view hostname) {
    return closing(hostname, status::other_security.as(4), "Too much in a session: connect again");
}
Reply over_client_limit(std::string_view hostname, const Excess& excess) {
    return closing(hostname, status::other_security.as(4),
                   describe(excess) + ": connect again later");
}
Reply too_many_auth_failures(std::string_view hostname) {
    return closing(hostname, status::other_security.as(4), "Too many failed authentications");
}
Reply not_smtp(std::string_view hostname) {
    return closing(hostname, status::other_security.as(4), "This is not the protocol of this port");
}
Reply timed_out(std::string_view hostname) {
    return closing(hostname, status::bad_connection, "Waited too long");
}

} // namespace postern::listener::replies
