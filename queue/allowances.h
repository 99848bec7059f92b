// What a destination is given: `queue limit max-per-destination` and `mta limit` of smtpd.conf(5).
// Pure.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "common/base/ip_address.h"
#include "common/ipc/queue_settings.h"
#include "common/mail/domain_set.h"
#include "queue/backoff.h"
#include "queue/rate_meter.h"
#include "queue/retry_schedule.h"

namespace postern {

struct Allowance {
    uint32_t max_deliveries = 20; // at once
    RateLimit rate;
    Backoff hold; // how long it is left alone when it cannot be reached
};

// What the mail that leaves from one of our addresses is given, over all its destinations.
struct SourceAllowance {
    IpAddress address;
    uint32_t max_deliveries = 0; // at once; 0: no limit
    RateLimit rate;
};

class Allowances {
  public:
    Allowances() = default;
    explicit Allowances(const ipc::QueueSettings& settings);

    // The first limit that is for the domain decides (place.h). What is delivered here has none,
    // but half of `local`'s helpers at most, which are for all users.
    Allowance of(std::string_view domain, bool local = false) const;

    // The addresses that have a limit, and the first one that is for an address.
    const std::vector<SourceAllowance>& sources() const { return sources_; }
    SourceAllowance of_source(const IpAddress& address) const;

  private:
    struct Rule {
        std::optional<DomainSet> domains; // none: all
        uint32_t max_deliveries;
        RateLimit rate;
    };
    uint32_t max_deliveries_ = 20;
    std::vector<Rule> rules_;
    std::vector<SourceAllowance> sources_;
    RetrySchedule schedule_;
};

} // namespace postern
