// See dane.h.
#include "deliver/relay/dane.h"

#include <algorithm>

#include "common/tls/dane.h"

namespace postern::relay {

using ipc::ResolveAnswer;
using ipc::ResolveStatus;

const char* to_string(DaneVerdict verdict) {
    static constexpr const char* names[] = {"none", "unusable", "usable", "failed"};
    return names[static_cast<size_t>(verdict)];
}

DaneFinding judge_tlsa(const std::string& base, const ResolveAnswer& answer) {
    DaneFinding finding;
    finding.base = base;
    switch (answer.status) {
    case ResolveStatus::no_data:
    case ResolveStatus::no_domain:
        return finding;
    case ResolveStatus::temporary:
    case ResolveStatus::bogus:
        finding.verdict = DaneVerdict::failed;
        finding.bogus = answer.status == ResolveStatus::bogus;
        finding.failure =
            Diagnosis(status::directory_failure,
                      finding.bogus ? "the TLSA records of " + base + " fail DNSSEC validation"
                                    : "the TLSA records of " + base + " cannot be looked up now");
        return finding;
    case ResolveStatus::ok:
        break;
    }
    if (!answer.secure)
        return finding;
    for (const ipc::DnsRecord& record : answer.records)
        if (is_usable_tlsa(record.data))
            finding.records.push_back(record.data);
    finding.verdict = finding.records.empty() ? DaneVerdict::unusable : DaneVerdict::usable;
    return finding;
}

std::vector<std::string> tlsa_bases(const Exchanger& exchanger, const ResolveAnswer* alias) {
    if (exchanger.host.empty() || !exchanger.secure_name)
        return {};
    const bool is_alias = !exchanger.canonical.empty() && exchanger.canonical != exchanger.host;
    if (exchanger.secure_address)
        return is_alias ? std::vector<std::string>{exchanger.canonical, exchanger.host}
                        : std::vector<std::string>{exchanger.host};
    if (is_alias && alias && alias->status == ResolveStatus::ok && alias->secure)
        return {exchanger.host};
    return {};
}

TlsPolicy with_dane(TlsPolicy policy, const DaneFinding& finding,
                    const std::vector<std::string>& domains) {
    if (finding.verdict == DaneVerdict::unusable)
        policy.level = std::max(policy.level, TlsLevel::encrypted);
    if (finding.verdict != DaneVerdict::usable)
        return policy;
    policy.level = TlsLevel::verified;
    policy.tlsa = finding.records;
    policy.names = {finding.base};
    for (const std::string& domain : domains)
        if (!domain.empty() &&
            std::find(policy.names.begin(), policy.names.end(), domain) == policy.names.end())
            policy.names.push_back(domain);
    return policy;
}

Task<DaneFinding> find_dane(Network& network, const Exchanger& exchanger) {
    ResolveAnswer alias;
    const bool ask_alias = exchanger.secure_name && !exchanger.secure_address &&
                           !exchanger.canonical.empty() && exchanger.canonical != exchanger.host;
    if (ask_alias)
        alias = co_await network.resolve(ipc::RecordType::cname, exchanger.host);
    DaneFinding finding;
    if (ask_alias &&
        (alias.status == ResolveStatus::temporary || alias.status == ResolveStatus::bogus)) {
        finding.verdict = DaneVerdict::failed; // whoever keeps the answer from us is not to gain
        finding.bogus = alias.status == ResolveStatus::bogus;
        finding.failure =
            Diagnosis(status::directory_failure,
                      "what " + exchanger.host + " is an alias of cannot be found out");
        co_return finding;
    }
    const std::vector<std::string> bases = tlsa_bases(exchanger, ask_alias ? &alias : nullptr);
    for (const std::string& base : bases) {
        const std::string name = "_" + std::to_string(exchanger.endpoint.port) + "._tcp." + base;
        ResolveAnswer answer = co_await network.resolve(ipc::RecordType::tlsa, name);
        finding = judge_tlsa(base, answer);
        if (finding.verdict != DaneVerdict::none)
            break;
    }
    co_return finding;
}

} // namespace postern::relay
