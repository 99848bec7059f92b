// Tables that have values for keys, whatever kind of table each is. Pure.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/result.h"
#include "common/config/configuration.h"
#include "smtpd/lookup/table_answers.h"

namespace postern {

class Mappings {
  public:
    Mappings() = default;
    // Those of `tables` that have these names. Fails if one is not there, or is a list.
    static Result<Mappings> prepare(const std::map<std::string, Table>& tables,
                                    const std::vector<std::string>& names);

    bool has(const std::string& table) const { return mappings_.contains(table); }
    // The value of a key: of the table itself, or what `answers` know of an external one. Nothing:
    // it is not there, or answers.undecided(). Names and expressions do not tell upper and lower
    // case apart.
    std::optional<std::string> find(const std::string& table, TableService service,
                                    std::string_view key, TableAnswers& answers) const;

  private:
    struct Mapping;
    std::map<std::string, std::shared_ptr<const Mapping>> mappings_;
};

} // namespace postern
