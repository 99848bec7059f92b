// What is known of external tables, for one question. Rules are evaluated over it: where an answer
// is missing, the evaluation notes what it wants to know, and comes to nothing; once the answers
// have come in, it is done again. Pure.
//
//     TableAnswers answers;
//     std::optional<size_t> rule = rules.match(…, answers);
//     while (answers.wanting()) { … ask for answers.take_wanted(), learn() each …; match again }
//     if (answers.away()) …   // it cannot be told now, whatever `rule` is
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "common/config/configuration.h"
#include "common/ipc/tables.h"

namespace postern {

struct TableKey {
    std::string table;
    TableService service = TableService::string;
    std::string key;
    auto operator<=>(const TableKey&) const = default;
};

class TableAnswers {
  public:
    struct Answer {
        ipc::TableVerdict verdict = ipc::TableVerdict::away;
        std::string value; // found
    };

    // Whether the table has one of these keys. False as well if that is not known yet, or cannot be
    // told: see undecided().
    bool has_any(const std::string& table, TableService service,
                 const std::vector<std::string>& keys);
    // The value of this key; nothing: it is not there, or undecided().
    std::optional<std::string> value_of(const std::string& table, TableService service,
                                        std::string_view key);

    // Whether it is known what the table has for this key, or that it has nothing.
    bool knows(const TableKey& key) const;

    void learn(const TableKey& key, Answer answer) { known_[key] = std::move(answer); }
    bool wanting() const { return !wanted_.empty(); }
    bool away() const { return away_; }
    // The evaluation that has just been done does not count: an answer is missing or away.
    bool undecided() const { return wanting() || away(); }
    std::vector<TableKey> take_wanted();

    // What is no text, or too long for a name or an address, is in no table: servers would take it
    // for a mistake of ours.
    static constexpr size_t longest_key = 512; // bytes

  private:
    const Answer* find(const TableKey& key);

    std::map<TableKey, Answer> known_;
    std::set<TableKey> wanted_;
    bool away_ = false;
};

} // namespace postern
