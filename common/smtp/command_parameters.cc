// The parameters of MAIL and RCPT (RFC 5321 4.1.2, 4.1.1.11). Tables join what they are called to
// the extension that offers them and to what becomes of their values.
#include <limits>
#include <vector>

#include "common/smtp/command_parts.h"
#include "common/smtp/limits.h"
#include "common/smtp/text.h"

namespace postern::command_parts {

namespace {

bool is_keyword(std::string_view text) {
    if (text.empty() || text.front() == '-')
        return false;
    for (char c : text)
        if (!is_ascii_letter(c) && !is_ascii_digit(c) && c != '-')
            return false;
    return true;
}

// esmtp-param of RFC 5321 4.1.2.
struct Parameter {
    std::string keyword; // upper case
    std::string_view value;
    bool has_value = false; // "KEYWORD=value", not "KEYWORD"
};

// esmtp-param *(SP esmtp-param); all that is wrong with them whatever they mean.
std::optional<CommandError> split_parameters(std::string_view text, std::vector<Parameter>& out) {
    while (!text.empty()) {
        const std::string_view word = take_word(text);
        const std::size_t equals = word.find('=');
        Parameter parameter;
        for (char c : word.substr(0, equals))
            parameter.keyword += ascii_upper(c);
        if (!is_keyword(parameter.keyword))
            return bad_arguments("Bad parameter syntax");
        if (equals != std::string_view::npos) {
            parameter.has_value = true;
            parameter.value = word.substr(equals + 1);
            if (parameter.value.empty() || parameter.value.find('=') != std::string::npos)
                return bad_value(parameter.keyword);
        }
        for (const Parameter& other : out)
            if (other.keyword == parameter.keyword)
                return bad_arguments("Parameter " + parameter.keyword + " given twice");
        if (out.size() == limits::esmtp_parameters)
            return bad_arguments("Too many parameters");
        out.push_back(std::move(parameter));
    }
    return std::nullopt;
}

// RFC 4865 4: 1*9DIGIT seconds.
std::optional<std::int64_t> parse_interval(std::string_view digits) {
    const auto seconds = digits.size() > 9 ? std::nullopt : parse_size(digits);
    return seconds ? std::optional(static_cast<std::int64_t>(*seconds)) : std::nullopt;
}

// AUTH= of MAIL (RFC 4954 5): who has submitted the message, as the client says.
bool is_submitter(std::string_view value) {
    const auto text = decode_xtext(value);
    return text && (*text == "<>" || parse_mailbox(*text));
}

// Puts what a parse function made into its place. False: it made nothing.
template <class T, class Place> bool put(std::optional<T> value, Place& place) {
    if (value)
        place = std::move(*value);
    return value.has_value();
}

// A parameter, what offers it, and what becomes of it. `take` is false if the value is bad.
template <class Mail> struct Keyword {
    std::string_view name;
    bool Extensions::*offered;
    bool has_value;
    bool (*take)(Mail& command, std::string_view value);
};

constexpr Keyword<MailCommand> mail_keywords[] = {
    {"SIZE", &Extensions::any, true,
     [](MailCommand& mail, std::string_view value) { return put(parse_size(value), mail.size); }},
    {"BODY", &Extensions::any, true,
     [](MailCommand& mail, std::string_view value) {
         return put(parse_body(value), mail.parameters.body);
     }},
    {"AUTH", &Extensions::auth, true,
     [](MailCommand&, std::string_view value) { return is_submitter(value); }},
    {"RET", &Extensions::dsn, true,
     [](MailCommand& mail, std::string_view value) {
         return put(parse_returned(value), mail.parameters.returned);
     }},
    {"ENVID", &Extensions::dsn, true,
     [](MailCommand& mail, std::string_view value) {
         mail.parameters.envelope_id = value;
         return is_envelope_id(value);
     }},
    {"SMTPUTF8", &Extensions::smtp_utf8, false,
     [](MailCommand& mail, std::string_view) { return mail.parameters.smtp_utf8 = true; }},
    {"REQUIRETLS", &Extensions::require_tls, false,
     [](MailCommand& mail, std::string_view) { return mail.parameters.require_tls = true; }},
    {"MT-PRIORITY", &Extensions::priority, true,
     [](MailCommand& mail, std::string_view value) {
         return put(parse_priority(value), mail.parameters.priority);
     }},
    {"BY", &Extensions::deliver_by, true,
     [](MailCommand& mail, std::string_view value) {
         return put(parse_deliver_by(value), mail.parameters.deliver_by);
     }},
    {"HOLDFOR", &Extensions::future_release, true,
     [](MailCommand& mail, std::string_view value) {
         return put(parse_interval(value), mail.hold_for) && !mail.hold_until;
     }},
    {"HOLDUNTIL", &Extensions::future_release, true,
     [](MailCommand& mail, std::string_view value) {
         return put(parse_timestamp(value), mail.hold_until) && !mail.hold_for;
     }},
};

constexpr Keyword<RcptCommand> rcpt_keywords[] = {
    {"NOTIFY", &Extensions::dsn, true,
     [](RcptCommand& rcpt, std::string_view value) {
         return put(parse_notify(value), rcpt.parameters.notify);
     }},
    {"ORCPT", &Extensions::dsn, true,
     [](RcptCommand& rcpt, std::string_view value) {
         rcpt.parameters.original_recipient = value;
         return is_original_recipient(value, true);
     }},
};

template <class Mail, std::size_t N>
std::optional<CommandError> take_parameter(const Parameter& parameter, Mail& command,
                                           const Keyword<Mail> (&keywords)[N],
                                           const Extensions& offered) {
    for (const Keyword<Mail>& keyword : keywords) {
        if (keyword.name != parameter.keyword || !offered.any || !(offered.*keyword.offered))
            continue;
        if (keyword.has_value != parameter.has_value || !keyword.take(command, parameter.value))
            return bad_value(parameter.keyword);
        return std::nullopt;
    }
    return refuse(555, status::invalid_arguments,
                  "Parameter " + parameter.keyword + " not supported");
}

template <class Mail, std::size_t N>
std::optional<CommandError> take_all(std::string_view tail, Mail& command,
                                     const Keyword<Mail> (&keywords)[N],
                                     const Extensions& offered) {
    if (tail.empty())
        return std::nullopt;
    if (tail.front() != ' ')
        return bad_arguments("Unexpected text after the address");
    skip_spaces(tail);
    // RFC 6533 3: the original recipient can be in UTF-8, too.
    for (char c : tail)
        if (!is_plain({&c, 1}) && !(offered.utf8_transaction && (c & 0x80) != 0))
            return refuse(501, status::syntax_error,
                          "Control or non-ASCII character in parameters");
    std::vector<Parameter> parameters;
    std::optional<CommandError> error = split_parameters(tail, parameters);
    for (std::size_t i = 0; i < parameters.size() && !error; ++i)
        error = take_parameter(parameters[i], command, keywords, offered);
    return error;
}

} // namespace

std::optional<std::uint64_t> parse_size(std::string_view digits) {
    if (digits.empty() || digits.size() > 20)
        return std::nullopt;
    static constexpr std::uint64_t most = std::numeric_limits<std::uint64_t>::max();
    std::uint64_t size = 0;
    for (char c : digits) {
        if (!is_ascii_digit(c))
            return std::nullopt;
        const auto digit = static_cast<std::uint64_t>(c - '0');
        size = size > (most - digit) / 10 ? most : size * 10 + digit;
    }
    return size;
}

std::optional<CommandError> take_parameters(std::string_view tail, MailCommand& mail,
                                            const Extensions& offered) {
    std::optional<CommandError> error = take_all(tail, mail, mail_keywords, offered);
    if (!error && mail.parameters.body == Body::binary_mime && !offered.binary_mime)
        return bad_value("BODY");
    return error;
}

std::optional<CommandError> take_parameters(std::string_view tail, RcptCommand& rcpt,
                                            const Extensions& offered) {
    return take_all(tail, rcpt, rcpt_keywords, offered);
}

} // namespace postern::command_parts
