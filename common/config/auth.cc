// The options of `listen on` by which clients say who they are: auth, auth-optional, senders,
// received-auth.
#include <algorithm>

#include "common/config/grammar.h"
#include "common/smtp/sasl.h"
#include "common/smtp/text.h"

namespace postern::config {

namespace {

constexpr size_t pam_service_limit = 64;                  // bytes
constexpr std::string_view default_pam_service = "smtpd"; // as in OpenSMTPD

// "<name>" of a mapping, if there is one.
std::optional<std::string> read_table_name(Grammar& g, std::string_view option, TableUse use) {
    const Position place = g.in.current().position;
    if (!g.in.accept_punctuation("<"))
        return std::nullopt;
    std::string name = g.in.value("a table name").text;
    g.in.expect_punctuation(">");
    if (!g.in.failed())
        g.table_references.push_back({name, place, use, std::string(option), true});
    return name;
}

// It becomes the name of a file.
bool is_pam_service(std::string_view name) {
    return !name.empty() && name.size() <= pam_service_limit &&
           std::all_of(name.begin(), name.end(), [](char c) {
               return is_ascii_letter(c) || is_ascii_digit(c) || c == '_' || c == '-';
           });
}

// "<table>", "dovecot:/path", "pam:service", or nothing: the users of the system, whom PAM knows.
// What is neither in quotes nor begins like one of these is the next option.
std::string read_credentials_source(Grammar& g, std::string_view keyword) {
    const Token here = g.in.current();
    const bool is_text = here.kind == TokenKind::string || here.kind == TokenKind::word;
    if (!g.in.failed() && is_text && dovecot_socket(here.text)) {
        const Token source = g.in.value("a source of credentials");
        if (!is_socket_path(*dovecot_socket(source.text)))
            g.in.fail(source, "\"dovecot:\" and the absolute path of a socket");
        return source.text;
    }
    if (!g.in.failed() && is_text && pam_service(here.text)) {
        const Token source = g.in.value("a source of credentials");
        const std::string service = *pam_service(source.text);
        if (!is_pam_service(service))
            g.in.fail(source, "\"pam:\" and the name of a PAM service: 1 to 64 letters, digits, "
                              "\"-\" and \"_\"");
        return pam_credentials(ascii_lower(service)); // as PAM has it
    }
    if (auto table = read_table_name(g, keyword, TableUse::credentials))
        return *std::move(table);
    if (here.kind == TokenKind::string || here.kind == TokenKind::punctuation)
        g.in.fail(here, "a <table> of credentials, \"dovecot:/path\" or \"pam:service\"");
    return pam_credentials(default_pam_service);
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
        const Position here = g.in.current().position;
        if (auto table = read_table_name(g, "senders", TableUse::senders))
            auth.senders = *std::move(table);
        else
            g.in.fail(here, "\"senders\" needs a <table>: user = \"addresses\"");
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
