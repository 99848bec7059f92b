// The options of `listen on` by which clients say who they are: auth, auth-optional, senders,
// received-auth.
#include "common/config/grammar.h"
#include "common/smtp/sasl.h"

namespace postern::config {

namespace {

// "<name>" of a mapping.
std::string read_table_name(Grammar& g, std::string_view option, TableUse use,
                            const std::string& otherwise) {
    const Position place = g.in.current().position;
    if (!g.in.accept_punctuation("<")) {
        if (!g.in.failed())
            g.in.fail(place, otherwise);
        return {};
    }
    std::string name = g.in.value("a table name").text;
    g.in.expect_punctuation(">");
    if (!g.in.failed())
        g.table_references.push_back({name, place, use, std::string(option)});
    return name;
}

// "<table>" or "dovecot:/path".
std::string read_credentials_source(Grammar& g, std::string_view keyword) {
    const Token here = g.in.current();
    if (!g.in.failed() && here.kind != TokenKind::punctuation && dovecot_socket(here.text)) {
        const Token source = g.in.value("a source of credentials");
        if (!is_socket_path(*dovecot_socket(source.text)))
            g.in.fail(source, "\"dovecot:\" and the absolute path of a socket");
        return source.text;
    }
    return read_table_name(g, keyword, TableUse::credentials,
                           quoted(keyword) + " needs a <table> of credentials, or "
                                             "\"dovecot:/path\": the passwords of system users "
                                             "are not supported by this version");
}

} // namespace

bool parse_auth_option(Grammar& g, Options& options, AuthOptions& auth) {
    const Position place = g.in.current().position;
    static constexpr std::pair<std::string_view, AuthMode> modes[] = {
        {"auth", AuthMode::required}, {"auth-optional", AuthMode::optional}};
    for (const auto& [keyword, mode] : modes) {
        if (!options.accept(keyword))
            continue;
        if (auth.mode != AuthMode::none) {
            g.in.fail(place, "only one of \"auth\" and \"auth-optional\" is possible");
            return true;
        }
        auth.mode = mode;
        auth.credentials = read_credentials_source(g, keyword);
        return true;
    }
    if (options.accept("senders")) {
        auth.senders = read_table_name(g, "senders", TableUse::senders,
                                       "\"senders\" needs a <table>: user = \"addresses\"");
        g.in.refuse({"masquerade"});
        return true;
    }
    if (options.accept("received-auth")) {
        auth.in_received = true;
        return true;
    }
    return false;
}

void check_auth_options(Grammar& g, const Position& place, const AuthOptions& auth,
                        const TlsOptions& tls) {
    if (auth.mode != AuthMode::none && tls.mode == TlsMode::none)
        g.in.report(place, "passwords are taken under TLS only: this listener has authentication, "
                           "but none of \"tls\", \"tls-require\" and \"smtps\"");
    if (auth.mode == AuthMode::none && !auth.senders.empty())
        g.in.report(place, "\"senders\" are those of authenticated users: this listener has "
                           "neither \"auth\" nor \"auth-optional\"");
}

} // namespace postern::config
