// Where the key is in the queries of external tables. Pure.
#pragma once

#include <string_view>

#include "common/config/external_table.h"

namespace postern::config {

// Whether a query has the key, and nothing else, as its parameter: "?" once, or "?1" or a name as
// often as one likes (SQLite), "$1" (PostgreSQL), "%s" (Redis), "%u" or "%s" (LDAP). What is quoted
// or a comment in SQL is no parameter. Types of tables without queries take any key.
bool takes_key(TableBackend backend, std::string_view query);

} // namespace postern::config
