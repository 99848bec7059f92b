#include "smtpd/lookup/table_answers.h"

#include "common/base/utf8.h"

namespace postern {

using ipc::TableVerdict;

namespace {

bool may_be_in_a_table(const std::string& key) {
    return !key.empty() && key.size() <= TableAnswers::longest_key && is_utf8(key) &&
           key.find('\0') == std::string::npos;
}

} // namespace

bool TableAnswers::knows(const TableKey& key) const {
    const auto known = known_.find(key);
    return !may_be_in_a_table(key.key) ||
           (known != known_.end() && known->second.verdict != TableVerdict::away);
}

const TableAnswers::Answer* TableAnswers::find(const TableKey& key) {
    static const Answer not_found{TableVerdict::not_found, {}};
    if (!may_be_in_a_table(key.key))
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

} // namespace postern
