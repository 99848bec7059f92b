// `action NAME relay|maildir|mbox|mda|lmtp|expand-only|forward-only …`, `mda wrapper …`
#include "common/config/command_words.h"
#include "common/config/grammar.h"
#include "common/config/maildir_path.h"
#include "common/config/relay_url.h"

namespace postern::config {

namespace {

bool at_table(const TokenStream& in) { return in.at_punctuation("<") || in.at_punctuation("{"); }

// A URL, or whatever else `parse` makes of a value.
template <class Parse> auto read_url(TokenStream& in, std::string_view what, Parse parse) {
    using Value = std::decay_t<decltype(*parse(std::string_view()))>;
    const Token token = in.value(what);
    if (in.failed())
        return std::optional<Value>();
    auto value = parse(token.text);
    if (value)
        return std::optional<Value>(*std::move(value));
    in.fail(token, value.error().message);
    return std::optional<Value>();
}

void parse_relay_hosts(Grammar& g, Action& action) {
    if (at_table(g.in)) {
        action.hosts = read_table(g, TableUse::relay_hosts, "relay host");
        return;
    }
    auto target = read_url(g.in, "a relay URL such as smtp://host:port", parse_relay_target);
    if (!target)
        return;
    action.host = std::move(target->host);
    action.label = std::move(target->label);
}

// Where the mail goes; false: something else is there.
bool parse_next_hop(Grammar& g, Options& options, Action& action) {
    const Position place = g.in.current().position;
    const bool chosen =
        action.host || !action.hosts.empty() || !action.host_by_domain.empty() || action.backup;
    if (options.accept("host")) {
        parse_relay_hosts(g, action);
    } else if (options.accept("domain")) {
        action.host_by_domain = read_table(g, TableUse::relay_hosts_by_domain, "relay domain");
    } else if (options.accept("backup")) {
        action.backup = true;
        if (g.in.accept("mx"))
            action.backup_name = read_value(g.in, "a host name", parse_host_name);
    } else {
        return false;
    }
    if (chosen && !g.in.failed())
        g.in.report(place, "only one of \"host\", \"domain\" and \"backup\" is possible");
    return true;
}

void parse_sources(Grammar& g, Action& action) {
    if (at_table(g.in))
        action.sources = read_table(g, TableUse::sources, "src");
    else
        action.source = read_value(g.in, "an address", parse_address);
}

// From where, as whom, by whom; false: something else is there.
bool parse_identity(Grammar& g, Options& options, Action& action) {
    if (options.accept("helo"))
        action.helo = read_value(g.in, "a host name or an address literal", parse_helo_name);
    else if (options.accept("helo-src"))
        action.helo_by_source = read_table(g, TableUse::helo_names, "helo-src");
    else if (options.accept("src"))
        parse_sources(g, action);
    else if (options.accept("auth"))
        action.credentials = read_table(g, TableUse::secrets, "relay auth");
    else if (options.accept("proxy"))
        action.proxy =
            read_url(g.in, "a proxy's URL such as socks5://host:port", parse_egress_proxy);
    else
        return false;
    return true;
}

void check_relay(Grammar& g, const Position& place, const Action& action) {
    // Of hosts in tables check_relays() sees to it.
    if (action.hosts.empty() && action.host_by_domain.empty())
        check_relay_tls(g, action, place);
    const bool labelled = !action.label.empty() || (action.proxy && !action.proxy->label.empty());
    if (labelled && action.credentials.empty())
        g.in.report(place, "a label, but no table of passwords: \"auth\" is missing");
    const bool may_be_labelled =
        labelled || !action.hosts.empty() || !action.host_by_domain.empty();
    if (!action.credentials.empty() && !may_be_labelled)
        g.in.report(place, "\"auth\", but no label in a URL, such as smtp+tls://label@host");
    if (!action.helo_by_source.empty() && !action.source && action.sources.empty())
        g.in.report(place, "\"helo-src\", but no \"src\"");
    if (action.proxy && action.proxy->protocol == EgressProtocol::proxy_v2 && !action.source &&
        action.sources.empty())
        g.in.report(place, "\"proxy\" by proxy-v2://, which is told an address to connect from, "
                           "but no \"src\"");
}

void parse_relay(Grammar& g, Action& action) {
    action.kind = ActionKind::relay;
    const Position place = g.in.current().position;
    Options options(g.in);
    while (g.in.more()) {
        if (options.accept("ttl")) {
            action.ttl = read_duration(g.in);
        } else if (options.accept("tls")) {
            action.tls.required = true;
            action.tls.verify = !g.in.accept("no-verify");
        } else if (options.accept("pki")) {
            action.tls.pki = read_pki_name(g.in);
            g.pki_references.push_back({action.tls.pki, g.in.position(), false});
        } else if (options.accept("srs")) {
            action.srs = true;
        } else if (!parse_next_hop(g, options, action) && !parse_identity(g, options, action) &&
                   !parse_relay_tls(g, options, action.tls)) {
            g.in.refuse({"mail-from"});
            g.in.fail();
        }
    }
    check_relay(g, place, action);
}

// lookup alone looks into them.
std::string read_aliases(Grammar& g, const char* keyword) {
    std::string table = read_table(g, TableUse::aliases, keyword);
    if (!g.in.failed())
        g.table_references.back().by_lookup = true;
    return table;
}

// The words of a command; none if it has an error.
std::vector<std::string> read_command(Grammar& g) {
    const Token command = g.in.value("a command");
    if (g.in.failed())
        return {};
    Result<std::vector<std::string>> words = split_command(command.text);
    if (words.ok())
        return *std::move(words);
    g.in.fail(command.position, words.error().message);
    return {};
}

void check_words(Grammar& g, const Position& place, const std::vector<std::string>& words) {
    if (g.in.failed())
        return;
    if (const Result<void> good = check_command(words); !good.ok())
        g.in.fail(place, good.error().message);
}

// `wrapper NAME`: another command, which runs this one.
void wrap(Grammar& g, Action& action) {
    const Token name = g.in.value("the name of an mda wrapper");
    if (g.in.failed())
        return;
    const auto found = g.wrappers.find(name.text);
    if (found == g.wrappers.end())
        return g.in.fail(name.position,
                         "there is no mda wrapper " + quoted(name.text) + " above this line");
    if (found->second.words.empty())
        return;
    Result<std::vector<std::string>> wrapped = wrap_command(found->second.words, action.command);
    if (!wrapped.ok())
        return g.in.fail(name.position, wrapped.error().message);
    action.command = *std::move(wrapped);
}

// Behind the method of a local delivery.
void parse_local_options(Grammar& g, Action& action) {
    Options options(g.in);
    while (g.in.more()) {
        if (action.kind == ActionKind::lmtp && options.accept("rcpt-to")) {
            action.lmtp_rcpt_to = true;
        } else if (action.virtual_users.empty() && options.accept("alias")) {
            action.aliases = read_aliases(g, "alias");
        } else if (action.aliases.empty() && options.accept("virtual")) {
            action.virtual_users = read_aliases(g, "virtual");
        } else if (options.accept("user")) {
            action.user = read_name(g.in, "a user name", is_user_name);
        } else if (action.kind == ActionKind::mda && options.accept("wrapper")) {
            wrap(g, action);
        } else if (options.accept("ttl")) {
            action.ttl = read_duration(g.in);
        } else {
            g.in.refuse({"junk", "userbase"});
            if (action.kind != ActionKind::mda)
                g.in.refuse({"wrapper"});
            g.in.fail();
        }
    }
}

// `maildir`, `mbox`: behind it there may be a path.
void parse_mailbox(Grammar& g, Action& action, ActionKind kind) {
    action.kind = kind;
    if (g.in.at_value("a path")) {
        const Token path = g.in.value("a path");
        const Result<void> checked = check_maildir_path(path.text);
        if (!checked.ok())
            return g.in.fail(path.position, checked.error().message);
        action.maildir_path = path.text;
    }
    parse_local_options(g, action);
}

void parse_mda(Grammar& g, Action& action) {
    action.kind = ActionKind::mda;
    const Position place = g.in.current().position;
    action.command = read_command(g);
    parse_local_options(g, action);
    check_words(g, place, action.command);
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

void parse_wrapper(Grammar& g) {
    g.in.expect("wrapper");
    const Token name = g.in.value("the name of an mda wrapper");
    if (g.in.failed())
        return;
    const auto [first, is_new] = g.wrappers.emplace(name.text, Wrapper{name.position, {}});
    if (!is_new)
        g.in.report(name.position, "mda wrapper " + quoted(name.text) + " is defined already (" +
                                       g.in.where(first->second.position) + ")");
    const Position place = g.in.current().position;
    std::vector<std::string> words = read_command(g);
    if (g.in.failed())
        return;
    // With any command in its place.
    Result<std::vector<std::string>> tried = wrap_command(words, {"true"});
    if (!tried.ok())
        return g.in.fail(place, tried.error().message);
    check_words(g, place, *tried);
    if (!g.in.failed() && is_new)
        first->second.words = std::move(words);
}

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
        parse_mailbox(g, action, ActionKind::maildir);
    } else if (g.in.accept("mbox")) {
        parse_mailbox(g, action, ActionKind::mbox);
    } else if (g.in.accept("mda")) {
        parse_mda(g, action);
    } else if (g.in.accept("lmtp")) {
        parse_lmtp(g, action);
    } else if (g.in.accept("expand-only")) {
        parse_only(g, action, ActionKind::expand_only);
    } else if (g.in.accept("forward-only")) {
        parse_only(g, action, ActionKind::forward_only);
    } else {
        g.in.fail();
    }
    if (!g.in.failed() && is_new)
        g.configuration.actions.push_back(std::move(action));
}

} // namespace postern::config
