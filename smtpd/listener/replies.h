// What the server says (RFC 5321 4.2, 4.3.2), in one place: code, enhanced status code, words.
#pragma once

#include <string>
#include <string_view>

#include "common/ipc/listener_settings.h"
#include "common/ipc/routing.h"
#include "common/ipc/submission.h"
#include "common/smtp/command.h"
#include "common/smtp/reply.h"
#include "smtpd/listener/client_limits.h"

namespace postern::listener::replies {

Reply greeting(std::string_view hostname, bool lmtp = false);
Reply helo(std::string_view hostname, std::string_view client);
// Of `settings`, the limits that are told (RFC 1870, RFC 9422, RFC 4865). `starttls`: it is offered
// (RFC 3207 4.2), and AUTH if there are any `mechanisms` (RFC 4954 3). `now` in seconds since the
// epoch.
Reply ehlo(std::string_view hostname, std::string_view client,
           const ipc::ListenerSettings& settings, const Extensions& offered, bool starttls,
           const std::vector<SaslMechanism>& mechanisms, int64_t now);
Reply ok();
Reply sender_ok();
Reply priority_changed(int priority); // RFC 6710 3: of a MAIL that was taken
Reply recipient_ok();
Reply start_data();
Reply chunk_taken(uint64_t octets);
Reply queued(std::string_view message_id);
Reply goodbye(std::string_view hostname);
// Where VRFY and EXPN tell nobody which mailboxes exist. RFC 5321 7.3: a server that has them
// disabled answers 252, which cannot be taken for success or failure.
Reply cannot_verify();
Reply cannot_expand();
// RFC 5321 3.5.1. `utf8`: the client takes it; an address that needs it is not named otherwise
// (RFC 6531 3.7.4.2).
Reply verified(std::string_view address, bool utf8);
Reply cannot_verify_now();
Reply help(const Extensions& offered);
Reply start_tls();
Reply challenge(std::string_view base64); // RFC 4954 4
Reply authenticated();

// Bad commands: the session goes on.
Reply line_without_crlf();
Reply not_implemented();
Reply hello_first(bool lmtp = false);
Reply nested_mail();
Reply mail_first();
Reply rcpt_first();
Reply ehlo_first();
Reply data_after_chunk();
Reply data_for_binary();
Reply hold_too_long(int64_t longest); // seconds
Reply recipient_after_chunk();
Reply no_valid_recipients(bool lmtp); // RFC 2033 4.2
Reply tls_first();                    // RFC 3207 4
Reply tls_already();
Reply tls_after_client(); // XCLIENT has named one
Reply not_in_transaction(std::string_view verb);
Reply no_service(); // RFC 5321 3.1: after a greeting that refuses

// Of AUTH (RFC 4954 4, 6).
Reply encryption_required();
Reply authentication_required();
Reply authenticated_already();
Reply no_authentication_in_transaction();
Reply unknown_mechanism();
Reply no_base64();
Reply bad_auth_response();
Reply auth_response_too_long();
Reply authentication_cancelled();
Reply authentication_failed(); // the same whatever was wrong

Reply tls_unavailable();      // RFC 3207 4: not now
Reply authentication_later(); // RFC 4954 6

// Of VRFY, EXPN and XCLIENT.
Reply no_address();
Reply no_list();
Reply may_not_give_client();

// Of ETRN (RFC 1985 5.2). `domain` is one.
Reply node_started(std::string_view domain, uint32_t messages);
Reply nothing_for_node(std::string_view domain);
Reply node_later(std::string_view domain);
Reply not_a_node(std::string_view domain);
Reply no_such_queue();

// Refusals: the client has done nothing wrong with the protocol.
Reply message_too_big(uint64_t limit);
Reply too_many_recipients();
Reply sender_not_owned();
Reply sender_unchecked();
// Any verdict but accepted and expanded. `words`: of a table, "550 5.7.1 text"; empty: the usual.
Reply recipient_refused(ipc::RouteVerdict verdict, std::string_view words = {});
Reply bare_line_ends();
Reply content_has_nul();
Reply content_line_too_long();
Reply routing_loop();
Reply storage_full();
Reply memory_full();
Reply no_queue();
Reply refused_by_queue(const ipc::Refused& refused); // codes that are none become 451 4.3.0

// A transaction or recipient for which it is too early. `excess` is about a rate.
Reply too_fast(const Excess& excess);

// The last words of a session.
Reply spoke_early(std::string_view hostname);
Reply spoke_before_tls(std::string_view hostname);
Reply shutting_down(std::string_view hostname);
Reply too_busy(std::string_view hostname);
Reply proxies_only(std::string_view hostname);
Reply too_many_sessions(std::string_view hostname);
Reply too_many_errors(std::string_view hostname);
Reply too_many_messages(std::string_view hostname);
Reply too_many_commands(std::string_view hostname);
Reply too_many_bytes(std::string_view hostname);
Reply over_client_limit(std::string_view hostname, const Excess& excess);
Reply too_many_auth_failures(std::string_view hostname);
Reply not_smtp(std::string_view hostname);
Reply timed_out(std::string_view hostname);

} // namespace postern::listener::replies
