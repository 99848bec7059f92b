// What policy asks the DNS.
#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <vector>

#include "common/base/ip_address.h"
#include "common/ipc/resolution.h"
#include "common/loop/executor.h"
#include "common/loop/task.h"

namespace postern::policy {

// `temporary` when there is no answer within the limit.
using Resolve = std::function<Task<ipc::ResolveAnswer>(ipc::ResolveQuery, Duration)>;

inline constexpr std::chrono::seconds resolve_limit{10}; // for one question

ipc::ResolveQuery question(ipc::RecordType type, const std::string& name);

// A few of each family, of those that are on the Internet: whoever has a domain does not get us to
// talk to what is on our own networks. None if there are none, or no answer.
Task<std::vector<IpAddress>> addresses_of(const Resolve& resolve, std::string host);

} // namespace postern::policy
