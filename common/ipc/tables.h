// Between lookup and tables: what an external table has for a key.
//
// Every question has one answer, which does not come in order. Lookup has at most tables_credit
// questions open about one table; what is beyond that is answered `away`.
#pragma once

#include <cstdint>
#include <string>
#include <tuple>
#include <variant>

#include "common/config/external_table.h"
#include "common/ipc/codec.h"

namespace postern::ipc {

inline constexpr uint32_t tables_credit = 512;
inline constexpr size_t table_value_limit = 32 * 1024; // bytes of a value; a longer one is an error

struct TableQuery {
    uint32_t request = 0;
    std::string table;
    TableService service = TableService::string;
    std::string key;
    static constexpr auto fields(auto& m) {
        return std::tie(m.request, m.table, m.service, m.key);
    }
};

enum class TableVerdict : uint8_t {
    found,
    not_found,
    away, // it cannot be told now
};
constexpr TableVerdict last_enumerator(TableVerdict) { return TableVerdict::away; }

struct TableAnswer {
    uint32_t request = 0;
    TableVerdict verdict = TableVerdict::away;
    // found: several targets (alias) or addresses (mailaddrmap) are set apart by ", "; of
    // credentials it is the hash alone.
    std::string value;
    static constexpr auto fields(auto& m) { return std::tie(m.request, m.verdict, m.value); }
};

using LookupToTables = std::variant<TableQuery>;
using TablesToLookup = std::variant<TableAnswer>;

} // namespace postern::ipc
