// `table NAME { … }`, `table NAME file:/path` and other types, and lists written where a table is
// used.
#include "common/config/grammar.h"

#include "common/base/ip_address.h"
#include "common/config/table_file.h"
#include "common/regex/regular_expression.h"
#include "common/smtp/internationalized.h"
#include "common/smtp/sasl.h"
#include "common/smtp/text.h"

namespace postern::config {

namespace {

struct Draft {
    Table table;
    TableSource source;
};

void add_value(Draft& draft, const Token& value) {
    draft.table.values.push_back(value.text);
    draft.source.values.push_back(value.position);
}

void add_pair(TokenStream& in, Draft& draft, const Token& key, std::string value) {
    const std::string name = comparable_name(key.text);
    if (draft.table.pairs.emplace(name, std::move(value)).second)
        draft.source.keys.emplace(name, key.position);
    else
        in.report(key.position, "key " + quoted(key.text) + " is in this table already");
}

// Key and value, if the table is a mapping; the first element decides.
void read_element(TokenStream& in, Draft& draft, bool may_be_mapping) {
    const Token first = in.value("a value");
    if (in.failed())
        return;
    const bool empty = draft.table.values.empty() && draft.table.pairs.empty();
    const bool open = may_be_mapping && (empty || draft.table.is_mapping);
    if (!open || !(in.accept_punctuation("=") || in.accept_punctuation("=>"))) {
        if (draft.table.is_mapping)
            return in.fail();
        return add_value(draft, first);
    }
    draft.table.is_mapping = true;
    const Token second = in.value("the value of the key");
    if (!in.failed())
        add_pair(in, draft, first, second.text);
}

// Behind "{". Elements are set apart by commas, line ends, or blanks.
void read_braces(TokenStream& in, Draft& draft, bool may_be_mapping) {
    in.skip_end_of_lines();
    while (!in.failed()) {
        read_element(in, draft, may_be_mapping);
        in.skip_end_of_lines();
        const bool comma = in.accept_punctuation(",");
        in.skip_end_of_lines();
        if (!comma && in.accept_punctuation("}"))
            return;
    }
}

// A line of a table of `count` networks or expressions, whose order counts.
void add_pattern(TokenStream& in, Draft& draft, const Token& pattern, const std::string& result,
                 size_t count) {
    if (draft.table.kind == TableKind::cidr && !Network::parse(pattern.text))
        return in.report(pattern.position,
                         "found " + quoted(pattern.text) + ", expected an address or a network");
    if (draft.table.kind == TableKind::regex)
        if (const auto compiled = RegularExpression::compile(pattern.text, count); !compiled.ok())
            return in.report(pattern.position,
                             "no regular expression: " + sanitize(compiled.error().message));
    add_value(draft, pattern);
    if (draft.table.is_mapping)
        draft.table.results.push_back(result);
}

void read_file(Grammar& g, Draft& draft, const Token& name) {
    std::string_view path = name.text;
    static constexpr std::pair<std::string_view, TableKind> types[] = {
        {"file:", TableKind::plain}, {"cidr:", TableKind::cidr}, {"regex:", TableKind::regex}};
    for (const auto& [prefix, kind] : types)
        if (path.starts_with(prefix)) {
            path.remove_prefix(prefix.size());
            draft.table.kind = kind;
            break;
        }
    if (const size_t colon = path.find(':'); !path.starts_with('/') && colon != path.npos)
        return g.in.fail(name.position,
                         "there are no tables of type " + quoted(path.substr(0, colon)));
    if (!is_absolute_path(path))
        return g.in.fail(name, "{ a list }, file:/path or \"/path\", or another type and its path");
    const std::string file_name(path);
    const auto text = g.read_file(file_name);
    if (!text.ok())
        return g.in.fail(name.position, "cannot read the table: " + sanitize(text.error().message));
    Position at = name.position;
    at.file = g.lexer.register_file(file_name);
    const bool is_plain = draft.table.kind == TableKind::plain;
    const TableText lines =
        parse_table_text(*text, is_plain ? TableForm::blanks_or_colon : TableForm::blanks);
    draft.table.is_mapping = lines.is_mapping;
    if (draft.table.kind == TableKind::regex &&
        lines.lines.size() > RegularExpression::most_of_table)
        return g.in.fail(name.position, "the table has more than " +
                                            std::to_string(RegularExpression::most_of_table) +
                                            " regular expressions");
    for (const TableLine& line : lines.lines) {
        at.line = line.line;
        at.column = line.column;
        const Token key{TokenKind::string, line.key, at};
        if (!line.error.empty())
            g.in.report(at, line.error);
        else if (!is_plain)
            add_pattern(g.in, draft, key, line.value, lines.lines.size());
        else if (lines.is_mapping)
            add_pair(g.in, draft, key, line.value);
        else
            add_value(draft, key);
    }
}

std::string store_inline(Grammar& g, Draft draft) {
    draft.table.name = "<inline:" + std::to_string(g.tables.size()) + ">";
    draft.source.good = true;
    g.tables[draft.table.name] = std::move(draft.source);
    std::string name = draft.table.name;
    g.configuration.tables[name] = std::move(draft.table);
    return name;
}

// Names of the one form are those of inline lists, and of the other those of credentials that are
// not in a table.
bool is_table_name(std::string_view text) {
    return text.find_first_of("<>") == std::string_view::npos && !dovecot_socket(text) &&
           !pam_service(text);
}

} // namespace

std::string make_inline_list(Grammar& g, const Token& value) {
    Draft draft;
    add_value(draft, value);
    return store_inline(g, std::move(draft));
}

std::string parse_inline_list(Grammar& g) {
    Draft draft;
    read_braces(g.in, draft, false);
    return g.in.failed() ? std::string() : store_inline(g, std::move(draft));
}

void parse_table(Grammar& g) {
    const Position position = g.in.current().position;
    Draft draft;
    draft.table.name = read_name(g.in, "a table name", is_table_name);
    if (g.in.failed())
        return;
    draft.source.position = position;
    const auto [first, is_new] = g.tables.emplace(draft.table.name, draft.source);
    if (!is_new)
        g.in.report(position, "table " + quoted(draft.table.name) + " is defined already (" +
                                  g.in.where(first->second.position) + ")");
    std::optional<ExternalTable> external;
    if (g.in.accept_punctuation("{")) {
        read_braces(g.in, draft, true);
    } else if (const Token file = g.in.value("file:/path"); !g.in.failed()) {
        external = read_external_table(g, file, draft.table.name);
        if (external)
            draft.table.kind = TableKind::external;
        else
            read_file(g, draft, file);
    }
    if (g.in.failed() || !is_new)
        return;
    if (external)
        g.configuration.external_tables[first->first] = *std::move(external);
    draft.source.good = true;
    first->second = std::move(draft.source);
    g.configuration.tables[first->first] = std::move(draft.table);
}

} // namespace postern::config
