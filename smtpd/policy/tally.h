// How TLS with each domain went, counted (RFC 8460 4). Pure; bounded whatever comes in.
#pragma once

#include <cstdint>
#include <map>
#include <string>
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
    std::string exchanger; // tlsa: whose records they are
    std::vector<std::string> policy;
    std::vector<std::string> mx;
    uint64_t successes = 0;
    uint64_t failures = 0; // all, those without details too
    std::map<FailureDetail, uint64_t> details;
};

struct DomainTally {
    int64_t begin = 0; // counted since then, in seconds since the epoch
    std::vector<PolicyTally> policies;
};
using Counts = std::map<std::string, DomainTally>; // by domain

class Tally {
  public:
    // More than any of these is not counted.
    static constexpr size_t domain_limit = 10'000;
    static constexpr size_t policy_limit = 16;              // of one domain
    static constexpr size_t detail_limit = 100;             // of one policy; more are in the sum
    static constexpr size_t octet_limit = 8 * 1024 * 1024;  // of all of it
    static constexpr size_t policy_octet_limit = 96 * 1024; // of one policy, without details

    // `begin`: since when domains are counted that are new, in seconds since the epoch.
    explicit Tally(int64_t begin) : begin_(begin) {}

    // False: it is more than is counted.
    bool add(const ipc::SessionResult& session);
    // Goes on from what was counted before, instead of from what is here.
    void resume(Counts counts);
    const Counts& counts() const { return counts_; }
    // The clock may have been set back: nothing was counted since later than `now`, but since
    // `begin` then.
    void follow_clock(int64_t now, int64_t begin);

    // What was counted; from now on it is what comes after `now`.
    Counts take_all(int64_t now);
    // The same of one domain alone; with nothing, or one entry.
    Counts take(const std::string& domain, int64_t now);

  private:
    PolicyTally* find(const ipc::SessionResult& session, const std::string& name);

    int64_t begin_;
    size_t octets_ = 0;
    Counts counts_;
};

} // namespace postern::policy
