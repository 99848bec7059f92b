// The TXT record by which a domain says that it has an MTA-STS policy (RFC 8461 3.1). Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "common/ipc/resolution.h"

namespace postern::policy {

// "_mta-sts.example.com"
std::string sts_record_name(std::string_view domain);

// The policy's id, 1 to 32 letters and digits. Nothing: there is no record, more than one, or a
// malformed one, which all mean that the domain has no policy.
std::optional<std::string> sts_record_id(const ipc::ResolveAnswer& answer);

} // namespace postern::policy
