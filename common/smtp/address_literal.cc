// The grammar of RFC 5321 4.1.3.
#include "common/smtp/address_literal.h"

#include "common/smtp/limits.h"
#include "common/smtp/text.h"

#include <arpa/inet.h>

namespace postern {

namespace {

bool is_printable(char c) { return c >= 0x20 && c < 0x7f; }

// Ldh-str: letters, digits and hyphens, ending in one of the first two.
bool is_ldh_string(std::string_view text) {
    for (char c : text)
        if (!is_ascii_letter(c) && !is_ascii_digit(c) && c != '-')
            return false;
    return !text.empty() && text.back() != '-';
}

// IPv4-address-literal; leading zeros are dropped.
std::optional<std::string> canonical_ipv4(std::string_view text) {
    std::string out;
    for (int part = 0; part < 4; ++part) {
        if (part > 0) {
            if (text.empty() || text.front() != '.')
                return std::nullopt;
            text.remove_prefix(1);
            out += '.';
        }
        std::size_t digits = 0;
        int number = 0;
        while (digits < text.size() && digits < 3 && is_ascii_digit(text[digits]))
            number = number * 10 + (text[digits++] - '0');
        if (digits == 0 || number > 255)
            return std::nullopt;
        out += std::to_string(number);
        text.remove_prefix(digits);
    }
    if (!text.empty())
        return std::nullopt;
    return out;
}

// IPv6-addr. RFC 5321 4.1.3 has "::" stand for at least two groups, where others let it be one.
std::optional<std::string> canonical_ipv6(std::string_view text) {
    char buffer[INET6_ADDRSTRLEN];
    if (text.size() >= sizeof buffer || text.find('\0') != std::string_view::npos)
        return std::nullopt;
    text.copy(buffer, text.size());
    buffer[text.size()] = '\0';
    in6_addr address;
    if (inet_pton(AF_INET6, buffer, &address) != 1)
        return std::nullopt;
    if (text.find("::") != std::string_view::npos) {
        int groups = text.find('.') != std::string_view::npos ? 1 : 0; // IPv4 counts as two
        bool in_group = false;
        for (char c : text) {
            groups += c != ':' && !in_group;
            in_group = c != ':';
        }
        if (groups > 6)
            return std::nullopt;
    }
    if (inet_ntop(AF_INET6, &address, buffer, sizeof buffer) == nullptr)
        return std::nullopt;
    return std::string(buffer);
}

} // namespace

std::optional<std::string> parse_address_literal(std::string_view text) {
    if (text.size() < 2 || text.size() > limits::domain || text.front() != '[' ||
        text.back() != ']')
        return std::nullopt;
    const std::string_view inner = text.substr(1, text.size() - 2);
    const std::size_t colon = inner.find(':');
    if (colon == std::string_view::npos) {
        const auto ipv4 = canonical_ipv4(inner);
        return ipv4 ? std::optional('[' + *ipv4 + ']') : std::nullopt;
    }
    const std::string_view tag = inner.substr(0, colon);
    const std::string_view content = inner.substr(colon + 1);
    if (equal_ignoring_case(tag, "IPv6")) {
        const auto ipv6 = canonical_ipv6(content);
        return ipv6 ? std::optional("[IPv6:" + *ipv6 + ']') : std::nullopt;
    }
    // General-address-literal; its content is for whoever knows the tag.
    if (!is_ldh_string(tag) || content.empty())
        return std::nullopt;
    for (char c : content)
        if (!is_printable(c) || c == ' ' || c == '[' || c == '\\' || c == ']')
            return std::nullopt;
    return std::string(text);
}

std::string address_literal(std::string_view address) {
    std::string out = "[";
    if (address.find(':') != std::string_view::npos)
        out += "IPv6:";
    out += address;
    out += ']';
    return out;
}

std::string_view address_of_literal(std::string_view domain) {
    static constexpr std::string_view ipv6 = "[IPv6:";
    if (domain.size() < 2 || domain.front() != '[' || domain.back() != ']')
        return {};
    if (domain.substr(0, ipv6.size()) == ipv6)
        return domain.substr(ipv6.size(), domain.size() - ipv6.size() - 1);
    const std::string_view inner = domain.substr(1, domain.size() - 2);
    return inner.find(':') == std::string_view::npos ? inner : std::string_view();
}

} // namespace postern
