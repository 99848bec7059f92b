// Reading the reply to EHLO.
#include "common/smtp/ehlo.h"

#include "common/base/decimal.h"
#include "common/smtp/text.h"

#include <algorithm>

namespace postern {

namespace {

constexpr std::size_t max_mechanisms = 32;

std::string_view take_word(std::string_view& text) {
    const auto is_space = [](char c) { return c == ' ' || c == '\t'; };
    while (!text.empty() && is_space(text.front()))
        text.remove_prefix(1);
    std::size_t length = 0;
    while (length < text.size() && !is_space(text[length]))
        ++length;
    const std::string_view word = text.substr(0, length);
    text.remove_prefix(length);
    return word;
}

void add_mechanisms(std::vector<std::string>& mechanisms, std::string_view parameters) {
    for (std::string_view word = take_word(parameters); !word.empty();
         word = take_word(parameters)) {
        std::string name(word);
        std::transform(name.begin(), name.end(), name.begin(), ascii_upper);
        if (mechanisms.size() < max_mechanisms &&
            std::find(mechanisms.begin(), mechanisms.end(), name) == mechanisms.end())
            mechanisms.push_back(std::move(name));
    }
}

// RFC 9422 3: NAME=value, each a number above zero; unknown names and bad values are ignored.
void read_limits(EhloCapabilities& out, std::string_view parameters) {
    for (std::string_view word = take_word(parameters); !word.empty();
         word = take_word(parameters)) {
        const std::size_t equals = word.find('=');
        if (equals == std::string_view::npos)
            continue;
        const auto number = parse_decimal<std::uint64_t>(word.substr(equals + 1));
        if (!number || *number == 0)
            continue;
        const std::string_view name = word.substr(0, equals);
        if (equal_ignoring_case(name, "MAILMAX"))
            out.mail_max = number;
        else if (equal_ignoring_case(name, "RCPTMAX"))
            out.rcpt_max = number;
        else if (equal_ignoring_case(name, "RCPTDOMAINMAX"))
            out.rcpt_domain_max = number;
    }
}

struct Flag {
    std::string_view keyword;
    bool EhloCapabilities::*member;
};
constexpr Flag flags[] = {
    {"PIPELINING", &EhloCapabilities::pipelining},
    {"8BITMIME", &EhloCapabilities::eight_bit_mime},
    {"ENHANCEDSTATUSCODES", &EhloCapabilities::enhanced_status_codes},
    {"CHUNKING", &EhloCapabilities::chunking},
    {"BINARYMIME", &EhloCapabilities::binary_mime},
    {"SMTPUTF8", &EhloCapabilities::smtp_utf8},
    {"DSN", &EhloCapabilities::dsn},
    {"STARTTLS", &EhloCapabilities::starttls},
    {"REQUIRETLS", &EhloCapabilities::require_tls},
    {"MT-PRIORITY", &EhloCapabilities::priority},
};

void read_line(EhloCapabilities& out, std::string_view line) {
    const std::string_view keyword = take_word(line);
    for (const Flag& flag : flags)
        if (equal_ignoring_case(keyword, flag.keyword))
            out.*flag.member = true;
    if (equal_ignoring_case(keyword, "SIZE")) {
        out.size = true;
        out.max_size = parse_decimal<std::uint64_t>(take_word(line)).value_or(0);
    } else if (equal_ignoring_case(keyword, "DELIVERBY")) {
        // RFC 2852: the number, and behind commas what is not known yet.
        out.deliver_by = true;
        const std::string_view word = take_word(line);
        out.min_by_time = parse_decimal<std::uint64_t>(word.substr(0, word.find(','))).value_or(0);
    } else if (equal_ignoring_case(keyword, "LIMITS")) {
        read_limits(out, line);
    } else if (equal_ignoring_case(keyword, "AUTH")) {
        add_mechanisms(out.auth, line);
    } else if (equal_ignoring_case(keyword.substr(0, 5), "AUTH=")) {
        // Before RFC 2554 was finished some wrote it so, and still do.
        add_mechanisms(out.auth, keyword.substr(5));
        add_mechanisms(out.auth, line);
    }
}

} // namespace

bool EhloCapabilities::has_auth(std::string_view mechanism) const {
    return std::any_of(auth.begin(), auth.end(), [mechanism](const std::string& offered) {
        return equal_ignoring_case(offered, mechanism);
    });
}

EhloCapabilities parse_ehlo(const Reply& reply) {
    EhloCapabilities out;
    std::string_view text = reply.text;
    bool first = true;
    while (!text.empty()) {
        const std::size_t newline = text.find('\n');
        std::string_view line = text.substr(0, newline);
        text.remove_prefix(newline == std::string_view::npos ? text.size() : newline + 1);
        if (first)
            out.domain = take_word(line);
        else
            read_line(out, line);
        first = false;
    }
    out.eight_bit_mime = out.eight_bit_mime || out.smtp_utf8;
    return out;
}

} // namespace postern
