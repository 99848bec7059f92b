#include "common/smtp/parameters.h"

#include "common/base/utf8.h"
#include "common/smtp/text.h"
#include "common/smtp/utf8_address.h"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstdio>

namespace postern {

namespace {

constexpr std::string_view hex_digits = "0123456789ABCDEF"; // no others (RFC 3461 4)
constexpr std::int64_t most_seconds = 999'999'999;          // RFC 2852 4: nine digits
constexpr std::size_t longest_envelope_id = 100;
constexpr std::size_t longest_original_recipient = 500;

bool is_printable(char c) { return c >= 0x20 && c < 0x7f; }

// esmtp-value of RFC 5321 4.1.2, with non-ASCII octets.
bool is_value(std::string_view text) {
    for (char c : text)
        if ((!is_printable(c) && (c & 0x80) == 0) || c == ' ' || c == '=')
            return false;
    return true;
}

// Exactly this many digits off the front.
std::optional<int> take_digits(std::string_view& text, std::size_t count) {
    int number = 0;
    if (text.size() < count)
        return std::nullopt;
    for (char c : text.substr(0, count)) {
        if (!is_ascii_digit(c))
            return std::nullopt;
        number = number * 10 + (c - '0');
    }
    text.remove_prefix(count);
    return number;
}

bool take(std::string_view& text, char upper) {
    if (text.empty() || ascii_upper(text.front()) != upper)
        return false;
    text.remove_prefix(1);
    return true;
}

// "2026-11-25T23:59:60", as if it were UTC.
std::optional<std::int64_t> take_date_time(std::string_view& text) {
    int fields[6];
    constexpr std::string_view behind = "--T:: ";
    for (std::size_t i = 0; i < 6; ++i) {
        const auto number = take_digits(text, i == 0 ? 4 : 2);
        if (!number || (i < 5 && !take(text, behind[i])))
            return std::nullopt;
        fields[i] = *number;
    }
    const auto [year, month, day, hour, minute, second] = fields;
    const std::chrono::year_month_day date{std::chrono::year(year),
                                           std::chrono::month(static_cast<unsigned>(month)),
                                           std::chrono::day(static_cast<unsigned>(day))};
    if (!date.ok() || hour > 23 || minute > 59 || second > 60)
        return std::nullopt;
    const auto days = std::chrono::sys_days(date).time_since_epoch().count();
    return std::int64_t{days} * 86400 + hour * 3600 + minute * 60 + second;
}

// "Z", "+01:00"; seconds east of UTC.
std::optional<std::int64_t> take_offset(std::string_view& text) {
    if (take(text, 'Z'))
        return 0;
    const bool west = take(text, '-');
    if (!west && !take(text, '+'))
        return std::nullopt;
    const auto hours = take_digits(text, 2);
    if (!hours || *hours > 23 || !take(text, ':'))
        return std::nullopt;
    const auto minutes = take_digits(text, 2);
    if (!minutes || *minutes > 59)
        return std::nullopt;
    const int seconds = *hours * 3600 + *minutes * 60;
    return west ? -seconds : seconds;
}

} // namespace

std::string_view to_string(Body body) {
    switch (body) {
    case Body::seven_bit:
        return "7BIT";
    case Body::eight_bit_mime:
        return "8BITMIME";
    case Body::binary_mime:
        return "BINARYMIME";
    }
    return "7BIT";
}

std::string to_string(const DeliverBy& by) {
    return std::to_string(by.seconds) + (by.give_up ? ";R" : ";N") + (by.trace ? "T" : "");
}

std::string notify_to_string(Notify notify) {
    if (notify == notify::never)
        return "NEVER";
    std::string out;
    for (auto [bit, word] :
         {std::pair(notify::success, "SUCCESS"), std::pair(notify::failure, "FAILURE"),
          std::pair(notify::delay, "DELAY")}) {
        if ((notify & bit) == 0)
            continue;
        if (!out.empty())
            out += ',';
        out += word;
    }
    return out;
}

std::optional<Body> parse_body(std::string_view value) {
    for (Body body : {Body::seven_bit, Body::eight_bit_mime, Body::binary_mime})
        if (equal_ignoring_case(value, to_string(body)))
            return body;
    return std::nullopt;
}

std::optional<Returned> parse_returned(std::string_view value) {
    if (equal_ignoring_case(value, "FULL"))
        return Returned::all;
    if (equal_ignoring_case(value, "HDRS"))
        return Returned::header;
    return std::nullopt;
}

std::optional<Notify> parse_notify(std::string_view value) {
    if (equal_ignoring_case(value, "NEVER"))
        return notify::never;
    Notify result = 0;
    for (;;) {
        const std::size_t comma = value.find(',');
        const std::string_view word = value.substr(0, comma);
        const Notify bit = equal_ignoring_case(word, "SUCCESS")   ? notify::success
                           : equal_ignoring_case(word, "FAILURE") ? notify::failure
                           : equal_ignoring_case(word, "DELAY")   ? notify::delay
                                                                  : Notify{0};
        if (bit == 0)
            return std::nullopt;
        result |= bit; // the same word twice is no other wish
        if (comma == std::string_view::npos)
            return result;
        value.remove_prefix(comma + 1);
    }
}

std::optional<DeliverBy> parse_deliver_by(std::string_view value) {
    DeliverBy by;
    const bool negative = take(value, '-');
    if (!negative)
        take(value, '+');
    const std::size_t digits = value.find(';');
    if (digits == std::string_view::npos || digits == 0 || digits > 9)
        return std::nullopt;
    const auto [end, error] = std::from_chars(value.data(), value.data() + digits, by.seconds);
    if (error != std::errc() || end != value.data() + digits || by.seconds < 0)
        return std::nullopt;
    if (negative)
        by.seconds = -by.seconds;
    value.remove_prefix(digits + 1);
    by.give_up = take(value, 'R');
    if (!by.give_up && !take(value, 'N'))
        return std::nullopt;
    by.trace = take(value, 'T');
    if (!value.empty() || (by.give_up && by.seconds <= 0))
        return std::nullopt;
    return by;
}

std::optional<std::int8_t> parse_priority(std::string_view value) {
    const bool negative = take(value, '-');
    if (value.size() != 1 || !is_ascii_digit(value[0]) || (negative && value[0] == '0'))
        return std::nullopt;
    const int priority = value[0] - '0';
    return static_cast<std::int8_t>(negative ? -priority : priority);
}

std::optional<std::string> decode_xtext(std::string_view text) {
    std::string out;
    while (!text.empty()) {
        if (text.front() != '+') {
            out += text.front();
            text.remove_prefix(1);
            continue;
        }
        const std::size_t high = text.size() < 3 ? hex_digits.npos : hex_digits.find(text[1]);
        const std::size_t low = text.size() < 3 ? hex_digits.npos : hex_digits.find(text[2]);
        if (high == hex_digits.npos || low == hex_digits.npos)
            return std::nullopt;
        out += static_cast<char>(high * 16 + low);
        text.remove_prefix(3);
    }
    return out;
}

bool is_envelope_id(std::string_view value) {
    if (value.size() > longest_envelope_id || !is_value(value))
        return false;
    const auto text = decode_xtext(value);
    if (!text || text->empty())
        return false;
    for (char c : *text)
        if (!is_printable(c))
            return false;
    return true;
}

bool is_original_recipient(std::string_view value, bool utf8) {
    const std::size_t semicolon = value.find(';');
    if (semicolon == std::string_view::npos || semicolon == 0 ||
        value.size() > longest_original_recipient || !is_value(value))
        return false;
    const std::string_view type = value.substr(0, semicolon); // an Atom
    for (char c : type)
        if (!is_ascii_letter(c) && !is_ascii_digit(c) && c != '-')
            return false;
    const std::string_view encoded = value.substr(semicolon + 1);
    if (equal_ignoring_case(type, "utf-8")) // RFC 6533 3: not xtext
        return (utf8 || is_ascii(encoded)) && parse_utf8_addr(encoded).has_value();
    const auto text = is_ascii(encoded) ? decode_xtext(encoded) : std::nullopt;
    if (!text || text->empty() || !is_utf8(*text)) // Postfix has UTF-8 in the xtext of rfc822
        return false;
    for (char c : *text)
        if (!is_printable(c) && (c & 0x80) == 0)
            return false;
    return true;
}

bool is_valid(const MailParameters& parameters) {
    return parameters.priority >= -9 && parameters.priority <= 9 &&
           (parameters.envelope_id.empty() || is_envelope_id(parameters.envelope_id)) &&
           (!parameters.deliver_by || (parameters.deliver_by->seconds >= -most_seconds &&
                                       parameters.deliver_by->seconds <= most_seconds));
}

bool is_valid(const RecipientParameters& parameters) {
    constexpr Notify some = notify::success | notify::failure | notify::delay;
    return (parameters.notify == notify::never || (parameters.notify & ~some) == 0) &&
           (parameters.original_recipient.empty() ||
            is_original_recipient(parameters.original_recipient, true));
}

std::optional<std::int64_t> parse_timestamp(std::string_view value) {
    const auto local = take_date_time(value);
    if (!local)
        return std::nullopt;
    if (take(value, '.')) { // fractions of a second: not worth keeping
        const std::size_t digits = std::min(value.find_first_not_of("0123456789"), value.size());
        if (digits == 0)
            return std::nullopt;
        value.remove_prefix(digits);
    }
    const auto offset = take_offset(value);
    if (!offset || !value.empty())
        return std::nullopt;
    return *local - *offset;
}

std::string format_timestamp(std::int64_t when) {
    using namespace std::chrono;
    const sys_seconds time{seconds(when)};
    const sys_days day = floor<days>(time);
    const year_month_day date{day};
    const hh_mm_ss clock{time - day};
    char text[32];
    std::snprintf(text, sizeof text, "%04d-%02u-%02uT%02d:%02d:%02dZ", int{date.year()},
                  unsigned{date.month()}, unsigned{date.day()}, int(clock.hours().count()),
                  int(clock.minutes().count()), int(clock.seconds().count()));
    return text;
}

} // namespace postern
