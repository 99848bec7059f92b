// Reading the command line. One function per argument syntax; the table at the end of the file
// joins them to the verbs.
#include "common/smtp/command.h"

#include <algorithm>

#include "common/base/utf8.h"
#include "common/smtp/command_parts.h"
#include "common/smtp/limits.h"
#include "common/smtp/text.h"

namespace postern {

namespace {

using namespace command_parts;

// Takes "FROM:" or "TO:", in any case.
bool take_label(std::string_view& text, std::string_view label) {
    if (!equal_ignoring_case(text.substr(0, label.size()), label))
        return false;
    text.remove_prefix(label.size());
    skip_spaces(text);
    return true;
}

// HELO and EHLO: a domain or a literal. Some more than 4.1.1.1 has, because a client that cannot
// name itself better is common, and mail from it is wanted.
std::optional<std::string> take_identity(std::string_view argument) {
    const std::string_view word = take_word(argument);
    if (!word.empty() && word.front() == '[') {
        // Text behind a literal was the custom of RFC 2821.
        if (parse_address_literal(word))
            return std::string(word);
        return std::nullopt;
    }
    std::string_view name = word;
    if (!name.empty() && name.back() == '.')
        name.remove_suffix(1);
    if (!argument.empty() || !is_domain(name, Underscore::accepted))
        return std::nullopt;
    return std::string(name);
}

template <class Hello>
Command parse_hello(std::string_view argument, std::string_view verb, const Extensions&) {
    if (argument.empty())
        return bad_arguments("Syntax: " + std::string(verb) + " hostname");
    auto identity = take_identity(argument);
    if (!identity)
        return bad_arguments(std::string(verb) + " needs a host name or an address literal");
    return Hello{std::move(*identity)};
}

// RFC 6531 3.5: who has such an address says SMTPUTF8.
CommandError bad_path(AddressError error, int non_ascii_code, EnhancedStatusCode syntax,
                      std::string_view what) {
    const bool non_ascii = error == AddressError::non_ascii;
    CommandError result;
    result.address_error = error;
    result.reply =
        Reply(non_ascii ? non_ascii_code : 501, non_ascii ? status::non_ascii_address : syntax,
              "Bad " + std::string(what) + ": " + std::string(to_string(error)));
    return result;
}

Internationalized internationalized(bool accepted) {
    return accepted ? Internationalized::accepted : Internationalized::refused;
}

Command parse_mail(std::string_view argument, const Extensions& offered) {
    if (!take_label(argument, "FROM:"))
        return refuse(501, status::syntax_error, "Syntax: MAIL FROM:<address>");
    MailCommand mail;
    AddressError error = AddressError::none;
    const std::string_view before = argument;
    auto path =
        take_reverse_path(argument, &error, internationalized(offered.smtp_utf8 && offered.any));
    if (!path)
        return bad_path(error, 550, status::bad_sender_syntax, "sender address");
    const std::string_view path_text = before.substr(0, before.size() - argument.size());
    mail.reverse_path = std::move(*path);
    if (auto refused = take_parameters(argument, mail, offered))
        return std::move(*refused);
    if (!mail.parameters.smtp_utf8 && !is_ascii(path_text))
        return bad_path(AddressError::non_ascii, 550, status::bad_sender_syntax, "sender address");
    return mail;
}

Command parse_rcpt(std::string_view argument, const Extensions& offered) {
    if (!take_label(argument, "TO:"))
        return refuse(501, status::syntax_error, "Syntax: RCPT TO:<address>");
    RcptCommand rcpt;
    AddressError error = AddressError::none;
    auto path = take_forward_path(argument, &error, internationalized(offered.utf8_transaction));
    if (!path)
        return bad_path(error, 553, status::bad_recipient_syntax, "recipient address");
    rcpt.forward_path = std::move(*path);
    if (auto refused = take_parameters(argument, rcpt, offered))
        return std::move(*refused);
    return rcpt;
}

constexpr std::string_view bdat = "BDAT";
// Whatever is behind these letters: a chunk may follow.
bool is_bdat(std::string_view line) {
    return equal_ignoring_case(line.substr(0, bdat.size()), bdat);
}

CommandError bad_bdat() {
    CommandError error = bad_arguments("Syntax: BDAT size [LAST]");
    error.out_of_step = true;
    return error;
}

// RFC 3030 2: "BDAT" SP chunk-size [ SP "LAST" ]. `rest` is what is behind these four letters.
Command parse_bdat(std::string_view rest, std::size_t length) {
    const CommandError error = bad_bdat();
    if (length > limits::command_line || !rest.starts_with(' '))
        return error;
    skip_spaces(rest);
    const std::optional<std::uint64_t> size = parse_size(take_word(rest));
    if (!size || !(rest.empty() || equal_ignoring_case(rest, "LAST")))
        return error;
    return BdatCommand{*size, !rest.empty()};
}

template <class Bare>
Command parse_bare(std::string_view argument, std::string_view verb, const Extensions&) {
    if (!argument.empty())
        return bad_arguments(std::string(verb) + " takes no arguments");
    return Bare{};
}

CommandError not_plain() {
    return refuse(501, status::syntax_error, "Control or non-ASCII character in argument");
}

// RFC 6531 3.7.4.2: a string, and SMTPUTF8 where that is offered.
template <class Query>
Command parse_query(std::string_view argument, std::string_view verb, const Extensions& offered) {
    const bool utf8 = offered.smtp_utf8 && offered.any;
    Query query;
    constexpr std::string_view parameter = " SMTPUTF8";
    const size_t rest = argument.size() - std::min(argument.size(), parameter.size());
    if (utf8 && equal_ignoring_case(argument.substr(rest), parameter)) {
        query.smtp_utf8 = true;
        argument = argument.substr(0, argument.find_last_not_of(' ', rest) + 1);
    }
    if (argument.empty())
        return bad_arguments("Syntax: " + std::string(verb) + " string");
    for (char c : argument)
        if (is_control(static_cast<unsigned char>(c)) && (c & 0x80) == 0)
            return not_plain();
    if (!is_ascii(argument) && !utf8)
        return refuse(553, status::non_ascii_address, "Non-ASCII character in argument");
    if (!is_utf8(argument))
        return not_plain();
    query.argument = argument;
    return query;
}

// RFC 4422 3.1: 1 to 20 upper-case letters, digits, hyphens and underscores.
bool is_mechanism(std::string_view text) {
    if (text.empty() || text.size() > 20)
        return false;
    for (char c : text)
        if (!is_ascii_letter(c) && !is_ascii_digit(c) && c != '-' && c != '_')
            return false;
    return true;
}

Command parse_auth(std::string_view argument, std::string_view, const Extensions&) {
    AuthCommand auth;
    const std::string_view mechanism = take_word(argument);
    if (!is_mechanism(mechanism))
        return bad_arguments("Syntax: AUTH mechanism [initial response]");
    for (char c : mechanism)
        auth.mechanism += ascii_upper(c);
    if (argument.find(' ') != argument.npos)
        return bad_arguments("AUTH takes a mechanism and an initial response, and no more");
    for (char c : argument) // what else is no base64 is found when it is decoded
        if (is_control(static_cast<unsigned char>(c)) && (c & 0x80) == 0)
            return not_plain();
    if (!argument.empty())
        auth.initial_response = Secret(argument);
    return auth;
}

// RFC 5321 4.1.1.9: whatever is said is ignored, but a bare CR or LF is no part of a line (2.3.8).
Command parse_noop(std::string_view argument, std::string_view, const Extensions&) {
    return is_plain(argument) ? Command(NoopCommand{}) : not_plain();
}

Command parse_help(std::string_view argument, std::string_view, const Extensions&) {
    return is_plain(argument) ? Command(HelpCommand{std::string(argument)}) : not_plain();
}

// RFC 1985 5: a node, "@" and a domain, or "#" and the name of a queue.
Command parse_etrn(std::string_view argument, std::string_view, const Extensions&) {
    EtrnCommand etrn{};
    etrn.is_queue = argument.starts_with('#');
    etrn.subdomains = argument.starts_with('@');
    if (etrn.is_queue || etrn.subdomains)
        argument.remove_prefix(1);
    if (etrn.is_queue && !argument.empty() && is_plain(argument))
        return etrn;
    if (etrn.is_queue || !is_domain(argument))
        return bad_arguments("Syntax: ETRN domain");
    etrn.domain = ascii_lower(argument);
    return etrn;
}

using Parse = Command (*)(std::string_view argument, std::string_view verb,
                          const Extensions& offered);
enum class Protocol : std::uint8_t { any, smtp, lmtp };
struct Verb {
    std::string_view name;
    Parse parse; // null: known, but not implemented (RFC 5321 4.2.4: 502)
    Protocol protocol = Protocol::any;
    bool Extensions::*offered = nullptr; // implemented only where this is
};

constexpr Verb verbs[] = {
    {"EHLO", parse_hello<EhloCommand>, Protocol::smtp},
    {"HELO", parse_hello<HeloCommand>, Protocol::smtp},
    {"LHLO", parse_hello<EhloCommand>, Protocol::lmtp}, // RFC 2033 4.1
    {"DATA", parse_bare<DataCommand>},
    {"RSET", parse_bare<RsetCommand>},
    {"QUIT", parse_bare<QuitCommand>},
    {"NOOP", parse_noop},
    {"STARTTLS", parse_bare<StarttlsCommand>},
    {"AUTH", parse_auth},
    {"VRFY", parse_query<VrfyCommand>},
    {"EXPN", parse_query<ExpnCommand>},
    {"HELP", parse_help},
    {"ETRN", parse_etrn, Protocol::any, &Extensions::etrn},
    {"XCLIENT", command_parts::parse_xclient, Protocol::any, &Extensions::xclient},
    {"ATRN", nullptr},
    {"TURN", nullptr},
    {"SEND", nullptr},
    {"SOML", nullptr},
    {"SAML", nullptr},
};

CommandError line_too_long() { return refuse(500, status::syntax_error, "Line too long"); }

} // namespace

CommandError too_long_command(std::string_view beginning) {
    return is_bdat(beginning) ? bad_bdat() : line_too_long();
}

Command parse_command(std::string_view line, const Extensions& offered) {
    const std::size_t length = line.size() + 2; // its CRLF counts
    while (!line.empty() && (line.back() == ' ' || line.back() == '\t'))
        line.remove_suffix(1);
    std::string_view argument = line;
    const std::string_view verb = take_word(argument);

    if (equal_ignoring_case(verb, "MAIL"))
        return length > limits::mail_command_line ? Command(line_too_long())
                                                  : parse_mail(argument, offered);
    if (equal_ignoring_case(verb, "RCPT"))
        return length > limits::rcpt_command_line ? Command(line_too_long())
                                                  : parse_rcpt(argument, offered);
    if (is_bdat(line))
        return parse_bdat(line.substr(bdat.size()), length);
    const bool is_auth = equal_ignoring_case(verb, "AUTH");
    if (length > (is_auth ? limits::auth_response_line : limits::command_line))
        return line_too_long();
    for (const Verb& known : verbs) {
        if (!equal_ignoring_case(verb, known.name) ||
            known.protocol == (offered.lmtp ? Protocol::smtp : Protocol::lmtp))
            continue;
        if (known.parse == nullptr || (known.offered && !(offered.*known.offered)))
            return refuse(502, status::invalid_command, "Command not implemented");
        return known.parse(argument, known.name, offered);
    }
    return refuse(500, status::invalid_command, "Command unrecognized");
}

} // namespace postern
