#include "common/config/aliases.h"

#include <algorithm>
#include <set>
#include <utility>

#include "common/config/grammar.h"
#include "common/mail/alias.h"
#include "common/smtp/address.h"
#include "common/smtp/text.h"

namespace postern::config {

namespace {

std::string to_value(const AliasValue& value) {
    return value.kind == AliasKind::name ? Mailbox(value.text, "").to_string() : value.text;
}

// What one table of aliases needs of the actions that name it.
class Checker {
  public:
    explicit Checker(Grammar& g) : g_(g) {}

    void check(const Action& action, const std::string& table) {
        const auto source = g_.tables.find(table);
        if (table.empty() || source == g_.tables.end() || !source->second.good ||
            !g_.configuration.tables.at(table).is_mapping)
            return; // that was said before
        const bool first = checked_.insert(table).second;
        // In the order of reading. Included files become tables meanwhile: no iterator is kept.
        std::vector<std::pair<Position, std::string>> values;
        for (const auto& [key, value] : g_.configuration.tables.at(table).pairs)
            values.emplace_back(source->second.keys.at(key), value);
        std::sort(values.begin(), values.end(), [](const auto& a, const auto& b) {
            return std::pair(a.first.line, a.first.column) <
                   std::pair(b.first.line, b.first.column);
        });
        for (const auto& [at, value] : values)
            check_value(action, at, value, first);
    }

  private:
    void check_value(const Action& action, const Position& at, const std::string& text,
                     bool first) {
        const auto values = parse_alias_values(text);
        if (!values) {
            if (first)
                g_.in.report(at, values.error().message);
            return;
        }
        for (const AliasValue& value : *values) {
            if (value.kind == AliasKind::include && first)
                include(at, value.text);
            if (value.kind == AliasKind::command || value.kind == AliasKind::file)
                check_user(action, at);
        }
    }

    // Whose it is nobody says: so the action has to.
    void check_user(const Action& action, const Position& at) {
        if (action.user.empty())
            g_.in.report(at, "a command or a file, but action " + quoted(action.name) +
                                 " has no \"user\" to run it as");
        else if (action.user == "root")
            g_.in.report(at, "a command or a file, but nothing is run as root: action " +
                                 quoted(action.name) + " needs another \"user\"");
    }

    void include(const Position& at, const std::string& path) {
        const std::string name = include_table(path);
        if (g_.configuration.tables.contains(name))
            return;
        if (++includes_ > include_limit) {
            if (includes_ == include_limit + 1)
                g_.in.report(at, "more than " + std::to_string(include_limit) +
                                     " files are included by aliases");
            return;
        }
        const auto fail = [&](const std::string& why) {
            g_.in.report(at, "cannot include: " + why);
        };
        const auto text = g_.read_file(path);
        if (!text.ok())
            return fail(sanitize(text.error().message));
        if (text->size() > include_size_limit)
            return fail(sanitize(path) + ": larger than " + std::to_string(include_size_limit) +
                        " bytes");
        const auto values = parse_alias_include(*text);
        if (!values.ok())
            return fail(sanitize(path) + ": " + values.error().message);
        if (values->size() > include_entries_limit)
            return fail(sanitize(path) + ": more than " + std::to_string(include_entries_limit) +
                        " names and addresses");
        Table table;
        table.name = name;
        for (const AliasValue& value : *values)
            table.values.push_back(to_value(value));
        g_.configuration.tables.emplace(name, std::move(table));
    }

    Grammar& g_;
    std::set<std::string> checked_;
    size_t includes_ = 0;
};

} // namespace

std::string include_table(std::string_view path) { return "<include:" + std::string(path) + ">"; }

void check_aliases(Grammar& g) {
    Checker checker(g);
    for (const Action& action : g.configuration.actions) {
        checker.check(action, action.aliases);
        checker.check(action, action.virtual_users);
    }
}

} // namespace postern::config
