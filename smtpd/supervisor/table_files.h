// The files that say where external tables are.
#pragma once

#include "common/base/result.h"
#include "common/config/configuration.h"

namespace postern {

// An error: one has a password in it, and others than its owner and group may read it.
Result<void> check_table_files(const Configuration& configuration);

} // namespace postern
