// The slice of the configuration that tables needs: where the external tables are, with the
// passwords of their servers. Nobody else gets these.
#pragma once

#include <map>
#include <string>
#include <tuple>

#include "common/config/external_table.h"

namespace postern::ipc {

struct TablesSettings {
    std::map<std::string, ExternalTable> tables; // by name
    static constexpr auto fields(auto& m) { return std::tie(m.tables); }
};

} // namespace postern::ipc
