// The directives of smtpd.conf. Each function reads one from behind its keyword to the end of the
// line, and puts it into the configuration if it is good; else the stream has failed and says why.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "common/config/parse.h"
#include "common/config/token_stream.h"
#include "common/config/values.h"

namespace postern::config {

// A table that was declared, and where each of its values or keys stands.
struct TableSource {
    Position position;
    std::vector<Position> values;
    std::map<std::string, Position> keys; // of a mapping
    bool good = false;                    // false: its definition had an error of its own
};

struct TableReference {
    std::string table;
    Position position;
    TableUse use;
    std::string criterion; // for the message
    bool by_lookup = false; // lookup alone uses it: it may be external, or one of expressions
};

// `mda wrapper NAME COMMAND`: the words of the command.
struct Wrapper {
    Position position;
    std::vector<std::string> words; // empty: it had an error of its own
};

struct ActionReference {
    std::string action;
    Position position;
    size_t rule; // index
};

// Where a pki was first written, and whether all of its lines were good.
struct PkiSource {
    Position position;
    bool good = true;
};

// A pki or a ca that a listener names.
struct PkiReference {
    std::string name;
    Position position;
    bool is_authority;
};

struct Grammar {
    Lexer lexer;
    TokenStream in;
    const FileReader& read_file;
    Configuration configuration;
    // What was declared, also with errors, so that these have no further ones in their train.
    std::map<std::string, Position> actions;
    std::map<std::string, Wrapper> wrappers;
    std::map<std::string, TableSource> tables;
    std::vector<ActionReference> action_references;
    std::vector<TableReference> table_references;
    std::map<std::string, PkiSource> pkis;
    std::vector<PkiReference> pki_references;
    std::vector<Position> listen_positions; // one for each listener
    std::vector<Position> rule_positions;   // one for each rule
    std::optional<Position> srs_position;   // of the last `srs`
    std::optional<Position> retry_position; // of the last `queue retry-…`
    std::vector<Position> retry_positions;  // one for each `queue retry`
    bool has_match = false;

    Grammar(std::string name, std::string text, const FileReader& reader)
        : lexer(std::move(name), std::move(text)), in(lexer), read_file(reader) {}
};

void parse_listen(Grammar& grammar);
void parse_pki(Grammar& grammar);
void parse_authority(Grammar& grammar);
// One of the TLS options of a listener; false: something else is there.
bool parse_tls_option(Grammar& grammar, Options& options, TlsOptions& tls);
// The same of a relay, but for "tls" itself.
bool parse_relay_tls(Grammar& grammar, Options& options, RelayTls& tls);
void check_tls_options(Grammar& grammar, const Position& place, const TlsOptions& tls);
std::string read_ciphers(TokenStream& in);
std::string read_pki_name(TokenStream& in);
// The same of authentication.
bool parse_auth_option(Grammar& grammar, Options& options, AuthOptions& auth);
void check_auth_options(Grammar& grammar, const Position& place, const AuthOptions& auth,
                        const TlsOptions& tls);
void parse_action(Grammar& grammar);
// Behind `mda`.
void parse_wrapper(Grammar& grammar);
void parse_match(Grammar& grammar);
void parse_table(Grammar& grammar);
// `name` is the "type:place" of a table of that name. Nothing if that type is not external; the
// stream has failed, or has a report, if something is wrong with it.
std::optional<ExternalTable> read_external_table(Grammar& grammar, const Token& name,
                                                 const std::string& table_name);
// "{ a, b }" behind the brace, which must be a list: a table with a generated name.
std::string parse_inline_list(Grammar& grammar);
// The same of one value.
std::string make_inline_list(Grammar& grammar, const Token& value);

// <name>, { a, b } or one value: the name of a table that is checked to be of `use`, which
// messages call `criterion`.
std::string read_table(Grammar& grammar, TableUse use, std::string criterion);

void parse_smtp(Grammar& grammar);
void parse_bounce(Grammar& grammar);
void parse_queue(Grammar& grammar);
// Behind `queue retry`.
void parse_retry(Grammar& grammar);
void parse_mta(Grammar& grammar);
void parse_resolver(Grammar& grammar);
void parse_srs(Grammar& grammar);
void parse_user(Grammar& grammar);
void parse_processes(Grammar& grammar, uint32_t& count);

// Whether pkis are whole, and which of them each listener has.
void check_pkis(Grammar& grammar);

// Whether TLS as a relay action wants it goes with its host, or with mail exchangers.
void check_relay_tls(Grammar& grammar, const Action& action, const Position& place);
// The tables of relay actions: hosts, passwords, source addresses.
void check_relays(Grammar& grammar);

// What stands in tables of aliases; reads what they include.
void check_aliases(Grammar& grammar);

// What can only be judged when everything has been read. Returns warnings.
std::vector<Diagnostic> check(Grammar& grammar);

// A value that `parse` accepts; `what` is what a message expects.
template <class Parse>
auto read_value(TokenStream& in, std::string_view what, Parse parse, bool keyword_will_do = false)
    -> typename decltype(parse(std::string_view()))::value_type {
    const Token token = keyword_will_do ? in.word(what) : in.value(what);
    if (in.failed())
        return {};
    auto value = parse(token.text);
    if (value)
        return *std::move(value);
    in.fail(token, what);
    return {};
}

uint32_t read_number(TokenStream& in, uint32_t least, uint32_t most);
std::chrono::seconds read_duration(TokenStream& in);
uint16_t read_port(TokenStream& in);
std::string read_path(TokenStream& in);
// A value that satisfies `good`.
std::string read_name(TokenStream& in, std::string_view what, bool (*good)(std::string_view));

} // namespace postern::config
