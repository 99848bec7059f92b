// Records like "v=STSv1; id=20261124;": a version, then fields (RFC 8461 3.1, RFC 8460 3). Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/ipc/resolution.h"

namespace postern::policy {

struct Tag {
    std::string name;
    std::string value; // without blanks around it, not empty
    bool operator==(const Tag&) const = default;
};

// The fields of the only record of the answer that begins with `version` and a ';'. Nothing: there
// is none, or more than one, or it is malformed. At most 32 fields.
std::optional<std::vector<Tag>> only_record(const ipc::ResolveAnswer& answer,
                                            std::string_view version);

} // namespace postern::policy
