// `action NAME relay|maildir|lmtp|expand-only|forward-only …`
#include "common/config/grammar.h"
#include "common/config/maildir_path.h"

namespace postern::config {

namespace {

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
    return *host;
}

void parse_relay(Grammar& g, Action& action) {
    action.kind = ActionKind::relay;
    const Position place = g.in.current().position;
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
        } else if (options.accept("tls")) {
            action.tls.required = true;
            action.tls.verify = !g.in.accept("no-verify");
        } else if (!parse_relay_tls(g, options, action.tls)) {
            g.in.refuse({"auth", "backup", "domain", "helo-src", "mail-from", "pki", "srs"});
            g.in.fail();
        }
    }
    const bool never = action.host && (action.host->scheme == RelayScheme::smtp_no_tls ||
                                       action.host->scheme == RelayScheme::lmtp);
    if (never && action.tls != RelayTls())
        g.in.report(place, "options of TLS, for a host that is not spoken to by TLS");
    const bool demanded =
        action.tls.required || (action.host && (action.host->scheme == RelayScheme::smtp_tls ||
                                                action.host->scheme == RelayScheme::smtps));
    if (!never && !action.tls.authority.empty() && !(demanded && action.tls.verify))
        g.in.report(place, "\"ca\", but no certificate is demanded: \"tls\" is missing");
}

// Behind the method of a local delivery.
void parse_local_options(Grammar& g, Action& action) {
    Options options(g.in);
    while (g.in.more()) {
        if (action.kind == ActionKind::lmtp && options.accept("rcpt-to")) {
            action.lmtp_rcpt_to = true;
        } else if (action.virtual_users.empty() && options.accept("alias")) {
            action.aliases = read_table(g, TableUse::aliases, "alias");
        } else if (action.aliases.empty() && options.accept("virtual")) {
            action.virtual_users = read_table(g, TableUse::aliases, "virtual");
        } else if (options.accept("user")) {
            action.user = read_name(g.in, "a user name", is_user_name);
        } else if (options.accept("ttl")) {
            action.ttl = read_duration(g.in);
        } else {
            g.in.refuse({"junk", "userbase", "wrapper"});
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

// No method at all: what aliases say, or nothing.
void parse_only(Grammar& g, Action& action, ActionKind kind) {
    action.kind = kind;
    const Position place = g.in.current().position;
    parse_local_options(g, action);
    if (!g.in.failed() && action.aliases.empty() && action.virtual_users.empty())
        g.in.fail(place, "expected \"alias\" or \"virtual\" with a table");
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
    } else if (g.in.accept("expand-only")) {
        parse_only(g, action, ActionKind::expand_only);
    } else if (g.in.accept("forward-only")) {
        parse_only(g, action, ActionKind::forward_only);
    } else {
        g.in.refuse({"mbox", "mda"});
        g.in.fail();
    }
    if (!g.in.failed() && is_new)
        g.configuration.actions.push_back(std::move(action));
}

} // namespace postern::config
