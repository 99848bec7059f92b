#include "queue/retry_schedule.h"

#include <algorithm>

namespace postern {

RetrySchedule::RetrySchedule(const ipc::QueueSettings& settings)
    : otherwise_{settings.retry_delay, settings.retry_max} {
    for (const ipc::RetryRule& rule : settings.retries) {
        Rule& added = rules_.emplace_back();
        if (rule.domains)
            added.domains.emplace(*rule.domains);
        added.classes = rule.classes;
        added.backoff = {rule.delay, rule.most};
    }
}

Backoff RetrySchedule::backoff(std::string_view domain, FailureClass failure) const {
    if (rules_.empty())
        return otherwise_;
    const std::string canonical = canonical_domain(domain);
    const auto found = std::find_if(rules_.begin(), rules_.end(), [&](const Rule& rule) {
        return (rule.classes.empty() || std::find(rule.classes.begin(), rule.classes.end(),
                                                  failure) != rule.classes.end()) &&
               (!rule.domains || rule.domains->contains(canonical));
    });
    return found == rules_.end() ? otherwise_ : found->backoff;
}

std::chrono::seconds RetrySchedule::longest() const {
    std::chrono::seconds longest = otherwise_.most;
    for (const Rule& rule : rules_)
        longest = std::max(longest, rule.backoff.most);
    return longest;
}

} // namespace postern
