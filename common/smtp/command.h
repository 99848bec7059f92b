// The SMTP command line (RFC 5321 4.1.1): one line in, a typed command out, or an error with the
// reply that it gets. Pure; what a command means in the present state is for the session to decide.
// Commands own their text: they stay valid when the line's buffer does not.
#pragma once

#include "common/base/ip_address.h"
#include "common/base/secret.h"
#include "common/smtp/address.h"
#include "common/smtp/parameters.h"
#include "common/smtp/reply.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

namespace postern {

struct HeloCommand {
    std::string identity; // domain or address literal, as sent
};
struct EhloCommand { // in LMTP: LHLO (RFC 2033 4.1)
    std::string identity;
};
struct MailCommand {
    Mailbox reverse_path; // is_null() for <>
    MailParameters parameters;
    std::optional<std::uint64_t> size; // SIZE= (RFC 1870); saturated at 2^64-1
    // FUTURERELEASE (RFC 4865), one of them: seconds from now, or since the epoch.
    std::optional<std::int64_t> hold_for;
    std::optional<std::int64_t> hold_until;
};
struct RcptCommand {
    Mailbox forward_path; // without a domain for <postmaster>
    RecipientParameters parameters;
};
struct DataCommand {};
struct BdatCommand {    // RFC 3030 2
    std::uint64_t size; // octets of the chunk that follows the line; saturated at 2^64-1
    bool last;
};
struct RsetCommand {};
struct NoopCommand {};
struct QuitCommand {};
struct VrfyCommand {
    std::string argument;   // not empty, printable ASCII or UTF-8 where SMTPUTF8 is offered
    bool smtp_utf8 = false; // RFC 6531 3.7.4.2: the reply may have UTF-8 in it
};
struct ExpnCommand {
    std::string argument; // likewise
    bool smtp_utf8 = false;
};
struct HelpCommand {
    std::string argument; // may be empty
};
struct StarttlsCommand {}; // recognised; whether it is offered is the session's affair
struct AuthCommand {       // RFC 4954 4; likewise
    std::string mechanism; // upper case
    // As sent, not decoded: base64, or "=" for one of no length. Nothing: there was none.
    std::optional<Secret> initial_response;
};

// Postfix's XCLIENT (https://www.postfix.org/XCLIENT_README.html): who the client is, said by
// somebody in front of us. What was not said is absent; what is said not to be known is empty.
struct XclientCommand {
    std::optional<std::string> name; // of its address, in the DNS
    std::optional<IpAddress> address;
    std::optional<std::string> helo;
    std::optional<bool> extended;     // PROTO: ESMTP
    std::optional<std::string> login; // who it is authenticated as
};
struct EtrnCommand {    // RFC 1985
    std::string domain; // lower case
    bool subdomains;    // "@domain": of those below it, too
    bool is_queue;      // "#name": a queue of that name; `domain` is empty
};

// Not a command; the session sends `reply` and goes on.
struct CommandError {
    Reply reply;
    AddressError address_error = AddressError::none; // what is wrong with the path of MAIL or RCPT
    // A BDAT whose chunk has no known end (RFC 3030 2: its line has the size of what follows): what
    // comes next cannot be told from commands, and must not be read as such. The session says
    // `reply` and ends: RFC 3030 has no way to get into step again.
    bool out_of_step = false;
};

using Command =
    std::variant<CommandError, HeloCommand, EhloCommand, MailCommand, RcptCommand, DataCommand,
                 BdatCommand, RsetCommand, NoopCommand, QuitCommand, VrfyCommand, ExpnCommand,
                 HelpCommand, StarttlsCommand, AuthCommand, XclientCommand, EtrnCommand>;

// What the session offers now, and so takes in MAIL and RCPT. Parameters of what is not offered are
// refused with 555 5.5.4 (RFC 5321 4.1.1.11).
struct Extensions {
    bool any = true;               // false after HELO: no parameters at all
    bool auth = false;             // AUTH= of MAIL (RFC 4954 5): checked, and not kept
    bool binary_mime = false;      // RFC 3030
    bool dsn = false;              // RFC 3461
    bool smtp_utf8 = false;        // RFC 6531
    bool require_tls = false;      // RFC 8689
    bool priority = false;         // RFC 6710
    bool deliver_by = false;       // RFC 2852
    bool future_release = false;   // RFC 4865
    bool utf8_transaction = false; // MAIL had SMTPUTF8: RCPT may have UTF-8 in it
    bool lmtp = false;             // RFC 2033: LHLO, and neither EHLO nor HELO
    bool vrfy = false;             // RFC 5321 3.5
    bool xclient = false;          // to this client
    bool etrn = false;             // RFC 1985
};

// `line` without its CRLF. The replies of errors:
//   500 5.5.1  no such command          502 5.5.1  one that is not implemented, or not offered
//   500 5.5.2  longer than limits.h has it
//   501 5.5.2  control or non-ASCII octets, or "FROM:"/"TO:" missing
//   501 5.5.4  arguments missing, bad or too many, a parameter twice
//   501 5.1.7  bad reverse-path         501 5.1.3  bad forward-path
//   550 5.6.7  non-ASCII reverse-path   553 5.6.7  non-ASCII forward-path (RFC 6531 3.5), or
//                                                  argument of VRFY or EXPN
//   555 5.5.4  a parameter that is not allowed
// A bad BDAT gets 501 5.5.4, and the session ends (CommandError::out_of_step).
// AUTH may be as long as MAIL, although RFC 4954 4 gives it 512 octets: some clients do not count.
// Tolerated: white space at the end (4.1.1), several spaces for one, a space behind "FROM:" and
// "TO:", underscores and a trailing dot in a HELO name, text behind a HELO literal (4.1.1.1).
Command parse_command(std::string_view line, const Extensions& offered = {});

// What is said of a line that is longer than any command, of which this is the beginning: four
// octets of it are enough.
CommandError too_long_command(std::string_view beginning);

} // namespace postern
