#include "common/config/values.h"

#include <algorithm>
#include <array>
#include <sys/un.h>

#include "common/base/decimal.h"
#include "common/base/utf8.h"
#include "common/config/relay_url.h"
#include "common/smtp/address.h"
#include "common/smtp/internationalized.h"
#include "common/smtp/scram_secret.h"
#include "common/smtp/text.h"

namespace postern::config {

namespace {

constexpr uint64_t longest_duration = uint64_t{10} * 365 * 24 * 3600;

bool is_digits(std::string_view text) {
    return !text.empty() && std::all_of(text.begin(), text.end(), is_ascii_digit);
}

// A domain, with any number of '*' in it, or an address literal.
bool is_domain_pattern(std::string_view text) {
    if (text.starts_with('['))
        return parse_address_literal(text).has_value();
    std::optional<std::string> name =
        to_a_labels(text.substr(0, text.size() - (text.ends_with('.') ? 1 : 0)));
    if (!name)
        return false;
    std::replace(name->begin(), name->end(), '*', 'x');
    return is_domain(*name, Underscore::accepted);
}

bool is_address_pattern(std::string_view text) {
    if (text == "@" || text == "<>")
        return true;
    const size_t at = text.rfind('@');
    return is_one_word(text) &&
           (at == std::string_view::npos || is_domain_pattern(text.substr(at + 1)));
}

} // namespace

bool is_user_name(std::string_view text) {
    if (text.empty() || text.size() > 32 || text.front() == '-')
        return false;
    return std::all_of(text.begin(), text.end(), [](char c) {
        return is_ascii_letter(c) || is_ascii_digit(c) || c == '_' || c == '-' || c == '.';
    });
}

bool is_one_word(std::string_view text) {
    while (!text.empty()) {
        const Utf8Character character = first_character(text);
        if (character.length == 0 || character.code == ' ' || is_control(character.code))
            return false;
        text.remove_prefix(character.length);
    }
    return true;
}

std::optional<uint64_t> parse_number(std::string_view text) {
    return text.size() <= 18 ? parse_decimal<uint64_t>(text) : std::nullopt;
}

std::optional<std::chrono::seconds> parse_duration(std::string_view text) {
    static constexpr std::pair<char, uint64_t> units[] = {
        {'d', 86400}, {'h', 3600}, {'m', 60}, {'s', 1}};
    uint64_t total = 0;
    for (const auto& [unit, seconds] : units) {
        const size_t digits = std::min(text.find_first_not_of("0123456789"), text.size());
        if (digits == text.size() || text[digits] != unit)
            continue;
        const auto count = parse_number(text.substr(0, digits));
        if (!count || *count > longest_duration)
            return std::nullopt;
        total += *count * seconds;
        text.remove_prefix(digits + 1);
    }
    if (!text.empty() || total == 0 || total > longest_duration)
        return std::nullopt;
    return std::chrono::seconds(total);
}

std::optional<uint64_t> parse_size(std::string_view text) {
    if (text.empty())
        return std::nullopt;
    const size_t unit = std::string_view("bkmg").find(ascii_lower(text.back()));
    const bool has_unit = unit != std::string_view::npos;
    const auto number = parse_number(text.substr(0, text.size() - (has_unit ? 1 : 0)));
    const unsigned shift = has_unit ? 10 * static_cast<unsigned>(unit) : 0;
    if (!number || *number > (UINT64_MAX >> shift))
        return std::nullopt;
    return *number << shift;
}

std::optional<uint16_t> parse_port(std::string_view text) {
    static constexpr std::pair<std::string_view, uint16_t> names[] = {
        {"smtp", 25}, {"submission", 587}, {"submissions", 465}, {"smtps", 465}, {"lmtp", 24}};
    for (const auto& [name, port] : names)
        if (text == name)
            return port;
    const auto number = parse_number(text);
    if (!number || *number < 1 || *number > 65535)
        return std::nullopt;
    return static_cast<uint16_t>(*number);
}

std::optional<IpAddress> parse_address(std::string_view text) {
    if (text.starts_with('[') && text.ends_with(']'))
        text = text.substr(1, text.size() - 2);
    if (text.size() > 5 && equal_ignoring_case(text.substr(0, 5), "IPv6:"))
        text.remove_prefix(5);
    return IpAddress::parse(text);
}

std::optional<std::string> parse_host_name(std::string_view text) {
    auto name = to_a_labels(text);
    if (!name)
        return std::nullopt;
    std::string_view domain = *name;
    if (domain.ends_with('.')) // rooted
        domain.remove_suffix(1);
    if (!is_domain(domain, Underscore::accepted) || is_digits(domain.substr(domain.rfind('.') + 1)))
        return std::nullopt;
    return name;
}

std::optional<std::string> parse_helo_name(std::string_view text) {
    if (!text.starts_with('['))
        return parse_host_name(text);
    return parse_address_literal(text) ? std::optional(std::string(text)) : std::nullopt;
}

bool is_absolute_path(std::string_view text) {
    return text.starts_with('/') && text.size() < 4096 && text.find('\0') == std::string_view::npos;
}

bool is_socket_path(std::string_view text) {
    return is_absolute_path(text) && text.size() < sizeof(sockaddr_un::sun_path);
}

// No NUL, which PLAIN has between the two (RFC 4616 2), and no more than fits into a command line.
bool is_secret(std::string_view text) {
    constexpr size_t longest = 512;
    const size_t colon = text.find(':');
    return colon != std::string_view::npos && colon > 0 && colon + 1 < text.size() &&
           text.size() <= longest && text.find('\0') == std::string_view::npos;
}

bool is_password_hash(std::string_view text) {
    if (text.starts_with('*') || text.starts_with('!'))
        return true;
    if (text.starts_with(scram_secret_prefix))
        return parse_scram_secret(text).has_value();
    constexpr size_t shortest = 40; // of any hash with its salt
    constexpr std::string_view prefixes[] = {"$y$", "$gy$", "$2b$", "$2y$",      "$2a$",
                                             "$6$", "$5$",  "$7$",  "$argon2id$"};
    const bool known =
        std::any_of(std::begin(prefixes), std::end(prefixes),
                    [&](std::string_view prefix) { return text.starts_with(prefix); });
    return known && text.size() >= shortest && std::all_of(text.begin(), text.end(), [](char c) {
               return is_ascii_letter(c) || is_ascii_digit(c) ||
                      std::string_view("$./,=+-").find(c) != std::string_view::npos;
           });
}

TableService service_for(TableUse use) {
    switch (use) {
    case TableUse::domains:
        return TableService::domain;
    case TableUse::networks:
        return TableService::netaddr;
    case TableUse::addresses:
        return TableService::mailaddr;
    case TableUse::users:
    case TableUse::tags:
        break;
    case TableUse::credentials:
        return TableService::credentials;
    case TableUse::senders:
        return TableService::mailaddrmap;
    case TableUse::aliases:
        return TableService::alias;
    case TableUse::secrets: // these are not external
    case TableUse::relay_hosts:
    case TableUse::relay_hosts_by_domain:
    case TableUse::sources:
    case TableUse::helo_names:
        break;
    }
    return TableService::string;
}

std::optional<std::string> check_table_value(TableUse use, std::string_view value) {
    switch (use) {
    case TableUse::domains:
        if (value.find('@') != std::string_view::npos)
            return "a domain, not an address";
        if (!is_domain_pattern(value))
            return is_ascii(value) ? "a domain" : "a domain that IDNA 2008 knows (RFC 5890)";
        break;
    case TableUse::networks:
        if (value != "local" && !Network::parse(value))
            return "an address or a network such as 192.0.2.0/24 or 2001:db8::/32";
        break;
    case TableUse::addresses:
        if (!is_address_pattern(value))
            return "user, user@domain, @domain or <>";
        break;
    case TableUse::users:
    case TableUse::tags:
        if (!is_one_word(value))
            return "a name without blanks";
        break;
    case TableUse::credentials:
        if (!is_password_hash(value))
            return "the hash of a password, as \"smtpctl encrypt\" makes it: $y$, $2b$, $6$, "
                   "$5$, $7$, $argon2id$ or SCRAM-SHA-256$";
        break;
    case TableUse::aliases:
        return "a mapping of names";
    case TableUse::secrets:
        if (!is_secret(value))
            return "user:password";
        break;
    case TableUse::relay_hosts:
        if (const Result<RelayTarget> target = parse_relay_target(value); !target)
            return target.error().message;
        break;
    case TableUse::relay_hosts_by_domain:
        if (const Result<std::vector<RelayTarget>> targets = parse_relay_targets(value); !targets)
            return targets.error().message;
        break;
    case TableUse::sources:
        if (!parse_address(value))
            return "an address";
        break;
    case TableUse::helo_names:
        if (!parse_helo_name(value))
            return "a host name or an address literal";
        break;
    case TableUse::senders: {
        bool good = true;
        for_each_item(value, [&good](std::string_view address) {
            good = good && !address.empty() && is_address_pattern(address);
        });
        if (!good)
            return "addresses set apart by commas: user, user@domain, @domain or <>";
        break;
    }
    }
    return std::nullopt;
}

} // namespace postern::config
