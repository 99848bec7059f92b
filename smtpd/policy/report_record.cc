#include "smtpd/policy/report_record.h"

#include <charconv>
#include <optional>

#include "common/smtp/address.h"
#include "common/smtp/domain_name.h"
#include "common/smtp/text.h"
#include "smtpd/policy/tag_list.h"

namespace postern::policy {

namespace {

constexpr size_t path_limit = 1024;

int hex_value(char c) {
    if (is_ascii_digit(c))
        return c - '0';
    c = ascii_lower(c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

// RFC 3986 2.1. Nothing where a '%' has no two digits behind it.
std::optional<std::string> percent_decoded(std::string_view text) {
    std::string out;
    for (size_t i = 0; i < text.size(); ++i) {
        if (text[i] != '%') {
            out += text[i];
            continue;
        }
        const int high = i + 2 < text.size() ? hex_value(text[i + 1]) : -1;
        const int low = i + 2 < text.size() ? hex_value(text[i + 2]) : -1;
        if (high < 0 || low < 0)
            return std::nullopt;
        out += static_cast<char>(high * 16 + low);
        i += 2;
    }
    return out;
}

// Behind "mailto:" (RFC 6068); what it says besides the address does not count.
std::optional<ReportPlace> mail_place(std::string_view text) {
    const auto address = percent_decoded(text.substr(0, text.find('?')));
    const std::optional<Mailbox> mailbox = address ? parse_mailbox(*address) : std::nullopt;
    if (!mailbox || !mailbox->is_ascii() || mailbox->domain().empty() || mailbox->is_literal())
        return std::nullopt;
    ReportPlace place;
    place.mailbox = mailbox->to_string();
    return place;
}

// Behind "https://". A user or an address instead of a name is not taken.
std::optional<ReportPlace> web_place(std::string_view text) {
    const size_t slash = std::min(text.find_first_of("/?#"), text.size());
    std::string_view authority = text.substr(0, slash);
    ReportPlace place;
    place.path = text.substr(slash, text.find('#') - slash);
    if (!place.path.starts_with('/'))
        place.path = "/" + place.path;
    if (const size_t colon = authority.find(':'); colon != authority.npos) {
        const std::string_view port = authority.substr(colon + 1);
        const auto [end, error] =
            std::from_chars(port.data(), port.data() + port.size(), place.port);
        if (error != std::errc() || end != port.data() + port.size() || place.port == 0)
            return std::nullopt;
        authority = authority.substr(0, colon);
    }
    place.host = ascii_lower(authority);
    const bool plain = place.path.find(' ') == place.path.npos && place.path.size() <= path_limit;
    return plain && is_domain(place.host) ? std::optional(std::move(place)) : std::nullopt;
}

std::optional<ReportPlace> place_of(std::string_view uri) {
    const size_t colon = std::min(uri.find(':'), uri.size());
    const std::string scheme = ascii_lower(uri.substr(0, colon));
    uri.remove_prefix(std::min(colon + 1, uri.size()));
    if (scheme == "mailto")
        return mail_place(uri);
    if (scheme == "https" && uri.starts_with("//"))
        return web_place(uri.substr(2));
    return std::nullopt;
}

} // namespace

std::string report_record_name(std::string_view domain) {
    return "_smtp._tls." + std::string(domain);
}

std::vector<ReportPlace> report_places(const ipc::ResolveAnswer& answer) {
    std::vector<ReportPlace> places;
    const auto tags = only_record(answer, "v=TLSRPTv1");
    if (!tags)
        return places;
    for (const Tag& tag : *tags)
        if (tag.name == "rua")
            for_each_item(tag.value, [&](std::string_view uri) {
                auto place = place_of(uri);
                if (place && places.size() < report_places_limit)
                    places.push_back(*std::move(place));
            });
    return places;
}

} // namespace postern::policy
