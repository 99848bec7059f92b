#include "smtpd/policy/tally.h"

#include <algorithm>
#include <utility>

#include "common/mail/domain.h"
#include "common/smtp/domain_name.h"

namespace postern::policy {

namespace {

constexpr size_t overhead = 200; // of an entry, in octets, about

size_t octets_of(const std::vector<std::string>& lines) {
    size_t octets = 0;
    for (const std::string& line : lines)
        octets += line.size() + sizeof line;
    return octets;
}

size_t octets_of(const FailureDetail& detail) {
    return overhead + detail.exchanger.size() + detail.reason.size();
}

size_t octets_of(const std::string& domain, const DomainTally& tally) {
    size_t octets = overhead + domain.size();
    for (const PolicyTally& policy : tally.policies) {
        octets += overhead + octets_of(policy.policy) + octets_of(policy.mx);
        for (const auto& [detail, count] : policy.details)
            octets += octets_of(detail);
    }
    return octets;
}

// TLSA records are those of an exchanger, whatever domain it is of (RFC 8460 1.1, "Policy Domain").
std::string exchanger_of(const ipc::SessionResult& session) {
    return session.type == ipc::PolicyType::tlsa ? normalize_domain(session.exchanger)
                                                 : std::string();
}

} // namespace

// Where the session counts; null: nowhere, it is too much.
PolicyTally* Tally::find(const ipc::SessionResult& session, const std::string& name) {
    const std::string exchanger = exchanger_of(session);
    auto domain = counts_.find(name);
    if (domain != counts_.end())
        for (PolicyTally& policy : domain->second.policies)
            if (policy.type == session.type && policy.exchanger == exchanger &&
                policy.policy == session.policy)
                return &policy;
    const size_t octets = octets_of(session.policy) + octets_of(session.mx);
    if (octets > policy_octet_limit || octets_ + octets > octet_limit)
        return nullptr;
    if (domain == counts_.end()) {
        if (counts_.size() >= domain_limit)
            return nullptr;
        domain = counts_.emplace(name, DomainTally{begin_, {}}).first;
        octets_ += octets_of(name, domain->second);
    }
    if (domain->second.policies.size() >= policy_limit)
        return nullptr;
    octets_ += overhead + octets;
    PolicyTally& policy = domain->second.policies.emplace_back();
    policy.type = session.type;
    policy.exchanger = exchanger;
    policy.policy = session.policy;
    policy.mx = session.mx;
    return &policy;
}

bool Tally::add(const ipc::SessionResult& session) {
    const std::string name = normalize_domain(session.domain);
    if (!is_domain(name, Underscore::accepted))
        return true; // that can be told nothing
    PolicyTally* policy = find(session, name);
    if (!policy)
        return false;
    if (session.result == ipc::TlsResult::success) {
        ++policy->successes;
        return true;
    }
    ++policy->failures;
    const FailureDetail detail{session.result, session.exchanger, session.receiving,
                               session.sending, session.reason};
    if (const auto known = policy->details.find(detail); known != policy->details.end()) {
        ++known->second;
    } else if (policy->details.size() < detail_limit && octets_ < octet_limit) {
        policy->details[detail] = 1;
        octets_ += octets_of(detail);
    }
    return true;
}

void Tally::follow_clock(int64_t now, int64_t begin) {
    if (begin_ > now)
        begin_ = begin;
    for (auto& [domain, tally] : counts_)
        if (tally.begin > now)
            tally.begin = begin;
}

void Tally::resume(Counts counts) {
    counts_ = std::move(counts);
    octets_ = 0;
    for (const auto& [domain, tally] : counts_)
        octets_ += octets_of(domain, tally);
}

Counts Tally::take_all(int64_t now) {
    begin_ = now;
    octets_ = 0;
    return std::exchange(counts_, {});
}

Counts Tally::take(const std::string& domain, int64_t now) {
    Counts taken;
    const auto found = counts_.find(domain);
    if (found == counts_.end() || found->second.policies.empty())
        return taken;
    octets_ -= octets_of(domain, found->second);
    taken[domain] = std::exchange(found->second, DomainTally{now, {}});
    octets_ += octets_of(domain, found->second);
    return taken;
}

} // namespace postern::policy
