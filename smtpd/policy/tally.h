// How TLS with each domain went in one day, counted (RFC 8460 4). Pure; bounded whatever comes in.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <tuple>
#include <vector>

#include "common/ipc/transport_policy.h"

namespace postern::policy {

// Failures that are alike in all but their number.
struct FailureDetail {
    ipc::TlsResult result = ipc::TlsResult::success;
    std::string exchanger;
    IpAddress receiving;
    IpAddress sending;
    std::string reason;
    auto operator<=>(const FailureDetail&) const = default;
};

struct PolicyTally {
    ipc::PolicyType type = ipc::PolicyType::none;
    std::vector<std::string> policy;
    std::vector<std::string> mx;
    uint64_t successes = 0;
    uint64_t failures = 0; // all, those without details too
    std::map<FailureDetail, uint64_t> details;
};

class Tally {
  public:
    static constexpr size_t domain_limit = 10'000; // more are not counted
    static constexpr size_t policy_limit = 16;     // of one domain
    static constexpr size_t detail_limit = 100;    // of one policy; more are in the sum alone

    void add(const ipc::SessionResult& session);
    // By domain; none is left.
    std::map<std::string, std::vector<PolicyTally>> take();
    bool empty() const { return domains_.empty(); }

  private:
    using Key = std::tuple<ipc::PolicyType, std::vector<std::string>>;
    std::map<std::string, std::map<Key, PolicyTally>> domains_;
};

} // namespace postern::policy
