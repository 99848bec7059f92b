#include "smtpd/lookup/table_answers.h"

#include "common/base/ip_address.h"
#include "common/base/utf8.h"
#include "common/regex/regular_expression.h"
#include "common/smtp/internationalized.h"

namespace postern {

using ipc::TableVerdict;

const TableAnswers::Answer* TableAnswers::find(const TableKey& key) {
    static const Answer not_found{TableVerdict::not_found, {}};
    if (key.key.empty() || key.key.size() > longest_key || !is_utf8(key.key) ||
        key.key.find('\0') != std::string::npos)
        return &not_found;
    const auto known = known_.find(key);
    if (known != known_.end())
        return &known->second;
    wanted_.insert(key);
    return nullptr;
}

// All of them are asked for at once: a table that is far away takes its time once.
bool TableAnswers::has_any(const std::string& table, TableService service,
                           const std::vector<std::string>& keys) {
    bool found = false;
    bool is_away = false;
    for (const std::string& key : keys) {
        const Answer* answer = find({table, service, key});
        found = found || (answer && answer->verdict == TableVerdict::found);
        is_away = is_away || (answer && answer->verdict == TableVerdict::away);
    }
    if (found)
        for (const std::string& key : keys)
            wanted_.erase({table, service, key});
    away_ = away_ || (is_away && !found);
    return found;
}

std::optional<std::string> TableAnswers::value_of(const std::string& table, TableService service,
                                                  std::string_view key) {
    const Answer* answer = find({table, service, std::string(key)});
    if (answer && answer->verdict == TableVerdict::found)
        return answer->value;
    away_ = away_ || (answer && answer->verdict == TableVerdict::away);
    return std::nullopt;
}

std::vector<TableKey> TableAnswers::take_wanted() {
    std::vector<TableKey> wanted(wanted_.begin(), wanted_.end());
    wanted_.clear();
    return wanted;
}

namespace {

bool meets(const Table& table, const std::string& pattern, std::string_view key) {
    if (table.kind == TableKind::regex) {
        const auto expression = RegularExpression::compile(pattern);
        return expression.ok() && expression->matches(key);
    }
    const auto network = Network::parse(pattern);
    const auto address = IpAddress::parse(key);
    return network && address && network->address == address->prefix(network->prefix_length);
}

} // namespace

std::optional<std::string> find_value(const std::map<std::string, Table>& tables,
                                      const std::string& table, TableService service,
                                      std::string_view key, TableAnswers& answers) {
    const auto found = tables.find(table);
    if (found == tables.end())
        return std::nullopt;
    const std::string name = comparable_name(key);
    if (found->second.kind == TableKind::external)
        return answers.value_of(table, service, name);
    if (found->second.kind == TableKind::plain) {
        const auto pair = found->second.pairs.find(name);
        return pair == found->second.pairs.end() ? std::nullopt : std::optional(pair->second);
    }
    for (size_t i = 0; i < found->second.results.size(); ++i)
        if (meets(found->second, found->second.values[i], name))
            return found->second.results[i];
    return std::nullopt;
}

} // namespace postern
