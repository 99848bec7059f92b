#include "common/config/relay_url.h"

#include <algorithm>
#include <optional>
#include <sys/un.h>

#include "common/config/values.h"
#include "common/smtp/text.h"

namespace postern::config {

namespace {

// "host", "host:port", "[IPv6]", "[IPv6]:port".
Result<RelayHost> parse_host_and_port(std::string_view text, RelayHost host) {
    const size_t bracket = text.starts_with('[') ? text.find(']') : 0;
    if (bracket == std::string_view::npos)
        return Error{"\"]\" behind the address"};
    const size_t colon = text.find(':', bracket);
    const std::string_view name = text.substr(0, colon);
    if (colon != std::string_view::npos) {
        const auto port = parse_port(text.substr(colon + 1));
        if (!port)
            return Error{"a port from 1 to 65535 behind the host (IPv6 needs brackets)"};
        host.port = *port;
    }
    if (const auto address = parse_address(name))
        host.host = address->to_string();
    else if (auto host_name = parse_host_name(name))
        host.host = *std::move(host_name);
    else
        return Error{"a host name or an address"};
    return host;
}

struct Scheme {
    std::string_view prefix;
    RelayScheme scheme;
    uint16_t port;
};
constexpr Scheme schemes[] = {{"smtp://", RelayScheme::smtp, 25},
                              {"smtp+notls://", RelayScheme::smtp_no_tls, 25},
                              {"smtp+tls://", RelayScheme::smtp_tls, 25},
                              {"smtps://", RelayScheme::smtps, 465},
                              {"lmtp://", RelayScheme::lmtp, 24}};

// Takes "scheme://" off the front of `text`. The error says what was expected.
Result<RelayHost> take_scheme(std::string_view& text) {
    RelayHost host;
    if (text.find("://") != std::string_view::npos) {
        const auto scheme =
            std::find_if(std::begin(schemes), std::end(schemes), [&](const Scheme& s) {
                return equal_ignoring_case(text.substr(0, s.prefix.size()), s.prefix);
            });
        if (scheme == std::end(schemes))
            return Error{"one of: smtp://, smtp+notls://, smtp+tls://, smtps://, lmtp://"};
        host.scheme = scheme->scheme;
        host.port = scheme->port;
        text.remove_prefix(scheme->prefix.size());
    }
    return host;
}

// Takes "label@" off the front of `text`; empty: there is none. Nothing: it is no label.
std::optional<std::string> take_label(std::string_view& text) {
    const size_t at = text.rfind('@');
    if (at == std::string_view::npos)
        return std::string();
    const std::string label(text.substr(0, at));
    text.remove_prefix(at + 1);
    return !label.empty() && is_one_word(label) ? std::optional(label) : std::nullopt;
}

} // namespace

Result<RelayHost> parse_relay_url(std::string_view text) {
    Result<RelayHost> host = take_scheme(text);
    if (!host)
        return host;
    if (text.find('@') != std::string_view::npos)
        return Error{"no \"label@\" here"};
    return parse_host_and_port(text, std::move(*host));
}

Result<RelayTarget> parse_relay_target(std::string_view text) {
    Result<RelayHost> scheme = take_scheme(text);
    if (!scheme)
        return scheme.error();
    RelayTarget target;
    std::optional<std::string> label = take_label(text);
    if (!label)
        return Error{"a label without blanks in front of \"@\""};
    if (!label->empty() && scheme->scheme != RelayScheme::smtp_tls &&
        scheme->scheme != RelayScheme::smtps)
        return Error{"smtp+tls:// or smtps:// in front of a label: a password needs TLS"};
    Result<RelayHost> host = parse_host_and_port(text, std::move(*scheme));
    if (!host)
        return host.error();
    target.host = *std::move(host);
    target.label = *std::move(label);
    return target;
}

Result<std::vector<RelayTarget>> parse_relay_targets(std::string_view text) {
    std::vector<RelayTarget> targets;
    std::optional<Error> error;
    for_each_item(text, [&](std::string_view item) {
        Result<RelayTarget> target = parse_relay_target(item);
        if (target)
            targets.push_back(*std::move(target));
        else if (!error)
            error = target.error();
    });
    if (error)
        return *error;
    if (targets.empty() || targets.size() > relay_hosts_limit)
        return Error{"one to " + std::to_string(relay_hosts_limit) + " relay URLs"};
    return targets;
}

Result<EgressProxy> parse_egress_proxy(std::string_view text) {
    EgressProxy proxy;
    const auto begins_as = [&](EgressProtocol protocol) {
        const std::string_view scheme = url_scheme(protocol);
        return equal_ignoring_case(text.substr(0, scheme.size()), scheme);
    };
    if (begins_as(EgressProtocol::proxy_v2))
        proxy.protocol = EgressProtocol::proxy_v2;
    else if (!begins_as(EgressProtocol::socks5))
        return Error{"a proxy's URL such as socks5://host:port or proxy-v2://host:port"};
    text.remove_prefix(url_scheme(proxy.protocol).size());
    std::optional<std::string> label = take_label(text);
    if (!label)
        return Error{"a label without blanks in front of \"@\""};
    const bool is_socks = proxy.protocol == EgressProtocol::socks5;
    if (!is_socks && !label->empty())
        return Error{"no label in front of \"@\": this protocol has no passwords"};
    RelayHost place;
    place.port = is_socks ? proxy.port : 0;
    Result<RelayHost> host = parse_host_and_port(text, std::move(place));
    if (!host)
        return host.error();
    if (host->port == 0)
        return Error{"a port behind the host: this protocol has no usual one"};
    proxy.host = host->host;
    proxy.port = host->port;
    proxy.label = *std::move(label);
    return proxy;
}

std::string to_url(const RelayHost& host) {
    const auto scheme = std::find_if(std::begin(schemes), std::end(schemes),
                                     [&](const Scheme& s) { return s.scheme == host.scheme; });
    const bool colons = host.host.find(':') != std::string::npos;
    return std::string(scheme->prefix) + (colons ? "[" + host.host + "]" : host.host) + ":" +
           std::to_string(host.port);
}

Result<RelayHost> parse_lmtp_destination(std::string_view text) {
    RelayHost host;
    host.scheme = RelayScheme::lmtp;
    if (text.starts_with('/')) {
        if (!is_socket_path(text))
            return Error{"a path of at most " + std::to_string(sizeof(sockaddr_un::sun_path) - 1) +
                         " bytes"};
        host.port = 0;
        host.unix_path = text;
        return host;
    }
    host.port = 24;
    return parse_host_and_port(text, std::move(host));
}

} // namespace postern::config
