// `listen on ADDRESS|"/PATH" [port N | mode M group G] [hostname NAME] [tag NAME] [tls …] [auth …]
// [proxy …] [no-dsn] [binarymime] [lmtp] [vrfy] [etrn DOMAINS] [normalise-from NETWORKS]
// [xclient-from NETWORKS]`
#include "common/config/grammar.h"

#include <algorithm>

#include "common/smtp/text.h"

namespace postern::config {

namespace {

constexpr size_t tag_limit = 31; // bytes, as in OpenSMTPD
constexpr uint16_t smtp_port = 25;
constexpr uint16_t smtps_port = 465;
constexpr uint16_t lmtp_port = 24;

bool is_tag(std::string_view text) {
    return text.size() <= tag_limit && !check_table_value(TableUse::tags, text);
}

// "eth0", "br-lan", "eth0.7"
bool is_interface_name(std::string_view text) {
    return text.size() < 16 && std::all_of(text.begin(), text.end(), [](char c) {
               return is_ascii_letter(c) || is_ascii_digit(c) || c == '_' || c == '-' || c == '.';
           });
}

// An address comes back without brackets. "192.0.2" and the like are nobody's name.
std::optional<std::string> parse_listen_on(std::string_view text) {
    if (const auto address = parse_address(text))
        return address->to_string();
    if (text.find_first_not_of("0123456789.") == std::string_view::npos)
        return std::nullopt;
    if (is_socket_path(text))
        return std::string(text);
    auto name = parse_host_name(text);
    if (!name && is_interface_name(text))
        name = text;
    return name;
}

// 0 to 777, in octal.
std::optional<uint32_t> parse_mode(std::string_view text) {
    uint32_t mode = 0;
    for (char c : text) {
        if (c < '0' || c > '7' || mode > 0777)
            return std::nullopt;
        mode = mode * 8 + static_cast<uint32_t>(c - '0');
    }
    return text.empty() || mode > 0777 ? std::nullopt : std::optional(mode);
}

// What a socket in the file system has.
bool parse_socket_option(Grammar& g, Options& options, UnixSocket& socket) {
    if (socket.path.empty())
        return false;
    if (options.accept("mode"))
        socket.mode = read_value(g.in, "the mode of a file, such as 0660", parse_mode);
    else if (options.accept("group"))
        socket.group = read_name(g.in, "the name of a group", is_user_name);
    else
        return false;
    return true;
}

uint16_t default_port(const Listen& listen) {
    if (!listen.unix_socket.path.empty())
        return 0;
    if (listen.lmtp)
        return lmtp_port;
    return listen.tls.mode == TlsMode::implicit ? smtps_port : smtp_port;
}

// What is for some clients or domains only.
bool parse_service_option(Grammar& g, Options& options, Listen& listen) {
    if (options.accept("vrfy"))
        listen.vrfy = true;
    else if (options.accept("etrn"))
        listen.etrn = read_table(g, TableUse::domains, "etrn");
    else if (options.accept("normalise-from"))
        listen.normalise_from = read_table(g, TableUse::networks, "normalise-from");
    else if (options.accept("xclient-from"))
        listen.xclient_from = read_table(g, TableUse::networks, "xclient-from");
    else
        return false;
    return true;
}

} // namespace

void parse_listen(Grammar& g) {
    const uint32_t line = g.in.position().line;
    g.in.expect("on");
    g.in.refuse({"socket"});
    Listen listen;
    listen.line = line;
    const Position place = g.in.current().position;
    listen.on = read_value(g.in, "an address, a host name, an interface or the path of a socket",
                           parse_listen_on);
    const bool is_path = listen.on.starts_with('/');
    if (is_path)
        listen.unix_socket.path = listen.on;
    std::optional<Position> proxy_from;
    Options options(g.in);
    std::optional<uint16_t> port;
    while (g.in.more()) {
        if (!is_path && options.accept("port")) {
            port = read_port(g.in);
        } else if (options.accept("hostname")) {
            listen.hostname = read_value(g.in, "a host name", parse_host_name);
        } else if (options.accept("tag")) {
            listen.tag = read_name(g.in, "a tag of at most 31 bytes", is_tag);
        } else if (options.accept("no-dsn")) {
            listen.extensions.dsn = false;
        } else if (options.accept("no-smtputf8")) {
            listen.extensions.smtp_utf8 = false;
        } else if (options.accept("binarymime")) {
            listen.extensions.binary_mime = true;
        } else if (options.accept("lmtp")) {
            listen.lmtp = true;
        } else if (options.accept("proxy")) {
            if (listen.proxy == ProxyProtocol::none)
                listen.proxy = ProxyProtocol::v1_or_v2;
        } else if (options.accept("proxy-v2")) {
            listen.proxy = ProxyProtocol::only_v2; // also where "proxy" is given as well
        } else if (options.accept("proxy-from")) {
            proxy_from = g.in.position();
            listen.proxy_from = read_table(g, TableUse::networks, "proxy-from");
        } else if (!parse_socket_option(g, options, listen.unix_socket) &&
                   !parse_service_option(g, options, listen) &&
                   !parse_tls_option(g, options, listen.tls) &&
                   !parse_auth_option(g, options, listen.auth)) {
            g.in.refuse({"filter", "hostnames", "inet4", "inet6", "mask-src"});
            g.in.fail();
        }
    }
    check_tls_options(g, place, listen.tls);
    check_auth_options(g, place, listen.auth, listen.tls);
    if (g.in.failed())
        return;
    listen.port = port.value_or(default_port(listen));
    if (listen.lmtp && listen.port == smtp_port)
        return g.in.fail(place, "LMTP is not spoken on port 25, where others expect SMTP "
                                "(RFC 2033 5)");
    if (proxy_from && listen.proxy == ProxyProtocol::none)
        return g.in.fail(*proxy_from, "\"proxy-from\" without \"proxy\" or \"proxy-v2\"");
    if (listen.proxy != ProxyProtocol::none && listen.tls.mode == TlsMode::implicit)
        return g.in.fail(place, "a PROXY header before \"smtps\" is not supported by this version; "
                                "\"tls\" behind a proxy is");
    for (const Listen& other : g.configuration.listens)
        if (other.on == listen.on && other.port == listen.port)
            return g.in.fail(
                place, quoted(listen.on) + (is_path ? "" : " port " + std::to_string(listen.port)) +
                           " is listened on already (line " + std::to_string(other.line) + ")");
    g.configuration.listens.push_back(std::move(listen));
    g.listen_positions.push_back(place);
}

} // namespace postern::config
