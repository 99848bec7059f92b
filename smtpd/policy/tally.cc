#include "smtpd/policy/tally.h"

#include <utility>

#include "common/mail/domain.h"

namespace postern::policy {

namespace {

constexpr size_t line_limit = ipc::sts_patterns_limit + 3;

} // namespace

void Tally::add(const ipc::SessionResult& session) {
    const std::string domain = normalize_domain(session.domain);
    if (session.policy.size() > line_limit || session.mx.size() > line_limit)
        return; // more than any policy that was read has
    if (!domains_.contains(domain) && domains_.size() >= domain_limit)
        return;
    auto& policies = domains_[domain];
    const Key key{session.type, session.policy};
    if (!policies.contains(key) && policies.size() >= policy_limit)
        return;
    PolicyTally& tally = policies[key];
    tally.type = session.type;
    tally.policy = session.policy;
    tally.mx = session.mx;
    if (session.result == ipc::TlsResult::success) {
        ++tally.successes;
        return;
    }
    ++tally.failures;
    const FailureDetail detail{session.result, session.exchanger, session.receiving,
                               session.sending, session.reason};
    if (tally.details.contains(detail) || tally.details.size() < detail_limit)
        ++tally.details[detail];
}

std::map<std::string, std::vector<PolicyTally>> Tally::take() {
    std::map<std::string, std::vector<PolicyTally>> taken;
    for (auto& [domain, policies] : std::exchange(domains_, {}))
        for (auto& [key, tally] : policies)
            taken[domain].push_back(std::move(tally));
    return taken;
}

} // namespace postern::policy
