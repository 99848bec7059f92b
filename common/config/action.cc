// `action NAME relay|maildir|lmtp …`
#include "common/config/grammar.h"
#include "common/config/maildir_path.h"

namespace postern::config {

namespace {

// What an URL may ask for. When the relay speaks TLS, this becomes true.
constexpr bool relay_speaks_tls = false;

// `what` may be a table in OpenSMTPD.
void refuse_table(TokenStream& in, std::string_view what) {
    if (in.at_punctuation("<") || in.at_punctuation("{"))
        in.fail(in.current().position,
                quoted(what) + " with a table is not supported by this version");
}

template <class Parse> std::optional<RelayHost> read_host(TokenStream& in, Parse parse) {
    const Token token = in.value("a relay URL such as smtp://host:port");
    if (in.failed())
        return std::nullopt;
    const Result<RelayHost> host = parse(token.text);
    if (!host.ok()) {
        in.fail(token, host.error().message);
        return std::nullopt;
    }
    const bool needs_tls =
        host->scheme == RelayScheme::smtp_tls || host->scheme == RelayScheme::smtps;
    if (needs_tls && !relay_speaks_tls)
        in.fail(token.position, "\"" + token.text.substr(0, token.text.find(':')) +
                                    "://\" is not supported yet: the relay does not speak TLS");
    return *host;
}

void parse_relay(Grammar& g, Action& action) {
    action.kind = ActionKind::relay;
    Options options(g.in);
    while (g.in.more()) {
        if (options.accept("host")) {
            refuse_table(g.in, "host");
            action.host = read_host(g.in, parse_relay_url);
        } else if (options.accept("helo")) {
            action.helo = read_value(g.in, "a host name or an address literal", parse_helo_name);
        } else if (options.accept("src")) {
            refuse_table(g.in, "src");
            action.source = read_value(g.in, "an address", parse_address);
        } else if (options.accept("ttl")) {
            action.ttl = read_duration(g.in);
        } else {
            g.in.refuse({"auth", "backup", "ca", "ciphers", "domain", "helo-src", "mail-from",
                         "pki", "protocols", "srs", "tls"});
            g.in.fail();
        }
    }
}

// Behind the method of a local delivery.
void parse_local_options(Grammar& g, Action& action) {
    Options options(g.in);
    while (g.in.more()) {
        if (action.kind == ActionKind::lmtp && options.accept("rcpt-to")) {
            action.lmtp_rcpt_to = true;
        } else if (options.accept("user")) {
            action.user = read_name(g.in, "a user name", is_user_name);
        } else if (options.accept("ttl")) {
            action.ttl = read_duration(g.in);
        } else {
            g.in.refuse({"alias", "junk", "userbase", "virtual", "wrapper"});
            g.in.fail();
        }
    }
}

void parse_maildir(Grammar& g, Action& action) {
    action.kind = ActionKind::maildir;
    if (g.in.at_value("a path")) {
        const Token path = g.in.value("a path");
        const Result<void> checked = check_maildir_path(path.text);
        if (!checked.ok())
            return g.in.fail(path.position, checked.error().message);
        action.maildir_path = path.text;
    }
    parse_local_options(g, action);
}

void parse_lmtp(Grammar& g, Action& action) {
    action.kind = ActionKind::lmtp;
    const Token destination = g.in.value("host:port or the path of a socket");
    if (g.in.failed())
        return;
    Result<RelayHost> host = parse_lmtp_destination(destination.text);
    if (!host.ok())
        return g.in.fail(destination, host.error().message);
    action.host = *std::move(host);
    parse_local_options(g, action);
}

} // namespace

void parse_action(Grammar& g) {
    Action action;
    const Token name = g.in.value("an action name");
    if (g.in.failed())
        return;
    action.name = name.text;
    const auto [first, is_new] = g.actions.emplace(name.text, name.position);
    if (!is_new)
        g.in.report(name.position, "action " + quoted(name.text) + " is defined already (" +
                                       g.in.where(first->second) + ")");
    if (g.in.accept("relay")) {
        parse_relay(g, action);
    } else if (g.in.accept("maildir")) {
        parse_maildir(g, action);
    } else if (g.in.accept("lmtp")) {
        parse_lmtp(g, action);
    } else {
        g.in.refuse({"expand-only", "forward-only", "mbox", "mda"});
        g.in.fail();
    }
    if (!g.in.failed() && is_new)
        g.configuration.actions.push_back(std::move(action));
}

} // namespace postern::config
