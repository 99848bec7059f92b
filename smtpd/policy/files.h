// Small files of a directory that is ours alone.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "common/base/result.h"

namespace postern::policy {

// Of whatever kind, "." and ".." aside.
std::vector<std::string> names_in(int directory);

// At most `limit` octets and one more, which shows that there are.
Result<std::string> read_file(int directory, const std::string& name, size_t limit);

// In place of what has the name: written beside it as `fresh`, synced and renamed, it is there
// whole or not at all.
Result<void> replace_file(int directory, const std::string& fresh, const std::string& name,
                          std::string_view content);

} // namespace postern::policy
