// See sts.h.
#include "deliver/relay/sts.h"

#include <algorithm>

#include "common/mail/domain.h"

namespace postern::relay {

bool goes_by_sts(const ipc::Route& route) {
    return !route.host && route.tls.mta_sts && !route.domain.empty() && route.domain.front() != '[';
}

bool names_exchanger(const ipc::StsPolicy& policy, const std::string& host) {
    const std::string name = normalize_domain(host);
    const std::string parent = name.substr(std::min(name.find('.'), name.size()));
    return std::any_of(policy.mx.begin(), policy.mx.end(), [&](const std::string& pattern) {
        return pattern.starts_with("*.") ? name.front() != '.' && pattern.substr(1) == parent
                                         : pattern == name;
    });
}

TlsPolicy with_sts(TlsPolicy policy, const ipc::StsPolicy& sts) {
    if (sts.mode == ipc::StsMode::enforce)
        policy.level = TlsLevel::verified;
    return policy;
}

} // namespace postern::relay
