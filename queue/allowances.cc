#include "queue/allowances.h"

#include <algorithm>

#include "common/ipc/local_settings.h"

namespace postern {

namespace {

// However long a destination has been away: to try it costs a connection, and mail that was
// accepted today waits for it.
constexpr std::chrono::seconds longest_hold = std::chrono::minutes(30);

} // namespace

Allowances::Allowances(const ipc::QueueSettings& settings)
    : max_deliveries_(std::max<uint32_t>(settings.max_per_destination, 1)), schedule_(settings) {
    for (const ipc::DestinationLimit& limit : settings.limits) {
        Rule& added = rules_.emplace_back();
        if (limit.domains)
            added.domains.emplace(*limit.domains);
        added.max_deliveries = limit.max_deliveries ? limit.max_deliveries : max_deliveries_;
        added.rate = {limit.rate, limit.period};
    }
    for (const ipc::SourceLimit& limit : settings.source_limits)
        sources_.push_back({limit.source, limit.max_deliveries, {limit.rate, limit.period}});
}

SourceAllowance Allowances::of_source(const IpAddress& address) const {
    const auto found = std::find_if(sources_.begin(), sources_.end(),
                                    [&](const auto& one) { return one.address == address; });
    return found == sources_.end() ? SourceAllowance{address, 0, {}} : *found;
}

Allowance Allowances::of(std::string_view domain, bool local) const {
    Allowance allowance;
    allowance.max_deliveries = max_deliveries_;
    allowance.hold = schedule_.backoff(domain, FailureClass::unreachable);
    allowance.hold.most =
        std::min(allowance.hold.most, std::max(allowance.hold.first, longest_hold));
    if (local) // nobody takes all of the helpers
        allowance.max_deliveries = std::min(max_deliveries_, ipc::max_local_helpers / 2);
    if (rules_.empty() || local)
        return allowance;
    const std::string canonical = canonical_domain(domain);
    const auto found = std::find_if(rules_.begin(), rules_.end(), [&](const Rule& rule) {
        return !rule.domains || rule.domains->contains(canonical);
    });
    if (found != rules_.end()) {
        allowance.max_deliveries = found->max_deliveries;
        allowance.rate = found->rate;
    }
    return allowance;
}

} // namespace postern
