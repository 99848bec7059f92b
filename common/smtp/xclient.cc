// The arguments of XCLIENT (https://www.postfix.org/XCLIENT_README.html): NAME=value, each at most
// once, in any order, values in xtext. What says nothing about the client is checked and dropped.
#include "common/base/decimal.h"
#include "common/smtp/command_parts.h"
#include "common/smtp/text.h"

namespace postern::command_parts {

namespace {

constexpr size_t longest_value = 255; // octets

// What stands for no value.
bool is_unavailable(std::string_view value) {
    return equal_ignoring_case(value, "[UNAVAILABLE]") ||
           equal_ignoring_case(value, "[TEMPUNAVAIL]");
}

std::optional<IpAddress> parse_address(std::string_view value) {
    constexpr std::string_view prefix = "IPV6:";
    if (!equal_ignoring_case(value.substr(0, prefix.size()), prefix))
        return value.find(':') == value.npos ? IpAddress::parse(value) : std::nullopt;
    value.remove_prefix(prefix.size());
    return value.find(':') == value.npos ? std::nullopt : IpAddress::parse(value);
}

bool is_port(std::string_view value) { return value.size() <= 5 && parse_decimal<uint16_t>(value); }

// A value of printable ASCII that satisfies `good`.
template <class Good>
bool take_text(std::optional<std::string>& into, std::string_view value, Good good) {
    if (into)
        return false;
    if (is_unavailable(value)) {
        into.emplace();
        return true;
    }
    if (value.empty() || value.size() > longest_value || !is_plain(value) || !good(value))
        return false;
    into.emplace(value);
    return true;
}

bool take_attribute(std::string_view attribute, std::string_view value, XclientCommand& client) {
    const auto is = [attribute](std::string_view name) {
        return equal_ignoring_case(attribute, name);
    };
    const auto anything = [](std::string_view) { return true; };
    if (is("NAME"))
        return take_text(client.name, value, [](std::string_view name) {
            return is_domain(name, Underscore::accepted) && !IpAddress::parse(name);
        });
    if (is("HELO"))
        return take_text(client.helo, value, anything);
    if (is("LOGIN"))
        return take_text(client.login, value, anything);
    if (is("ADDR")) {
        // Without an address there would be nobody for rules and limits to look at.
        if (client.address)
            return false;
        client.address = parse_address(value);
        return client.address.has_value();
    }
    if (is("PROTO")) {
        const bool extended = equal_ignoring_case(value, "ESMTP");
        if (client.extended || (!extended && !equal_ignoring_case(value, "SMTP")))
            return false;
        client.extended = extended;
        return true;
    }
    if (is("PORT") || is("DESTPORT"))
        return is_unavailable(value) || is_port(value);
    if (is("DESTADDR"))
        return is_unavailable(value) || parse_address(value);
    return false;
}

} // namespace

Command parse_xclient(std::string_view argument, std::string_view, const Extensions&) {
    if (argument.empty())
        return bad_arguments("Syntax: XCLIENT attribute=value ...");
    XclientCommand client;
    while (!argument.empty()) {
        const std::string_view word = take_word(argument);
        const size_t equals = word.find('=');
        const std::string_view attribute = word.substr(0, equals);
        const std::optional<std::string> value =
            equals == word.npos ? std::nullopt : decode_xtext(word.substr(equals + 1));
        if (!value || !take_attribute(attribute, *value, client))
            return bad_arguments("Bad XCLIENT attribute or value: " + sanitize(word, 80));
    }
    if (client.login)
        client.login = ascii_lower(*client.login);
    return client;
}

} // namespace postern::command_parts
