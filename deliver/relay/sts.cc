// See sts.h.
#include "deliver/relay/sts.h"

#include <algorithm>
#include <openssl/x509_vfy.h>

#include "common/base/public_address.h"
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

namespace {

// "3 1 1 0123…", as a zone file has it.
std::string tlsa_text(const std::string& data) {
    static constexpr char hex[] = "0123456789abcdef";
    std::string text;
    for (size_t i = 0; i < data.size(); ++i) {
        const auto octet = static_cast<unsigned char>(data[i]);
        if (i < 3) {
            text += std::to_string(octet) + " ";
            continue;
        }
        text += hex[octet >> 4];
        text += hex[octet & 15];
    }
    return text;
}

std::vector<std::string> policy_lines(const ipc::StsPolicy& sts) {
    static constexpr const char* modes[] = {"none", "testing", "enforce"};
    std::vector<std::string> lines = {"version: STSv1",
                                      std::string("mode: ") + modes[static_cast<size_t>(sts.mode)]};
    for (const std::string& mx : sts.mx)
        lines.push_back("mx: " + mx);
    lines.push_back("max_age: " + std::to_string(sts.max_age));
    return lines;
}

} // namespace

ipc::SessionResult session_result(const std::string& domain, const Exchanger& exchanger,
                                  const TlsPolicy& policy, const ipc::StsPolicy& sts) {
    ipc::SessionResult result;
    result.domain = domain;
    result.exchanger = exchanger.host;
    result.receiving = exchanger.endpoint.address;
    if (!policy.tlsa.empty()) {
        result.type = ipc::PolicyType::tlsa;
        for (const std::string& record : policy.tlsa)
            result.policy.push_back(tlsa_text(record));
    } else if (sts.mode != ipc::StsMode::none) {
        result.type = ipc::PolicyType::sts;
        result.policy = policy_lines(sts);
        result.mx = sts.mx;
    }
    return result;
}

IpAddress reported_address(const IpAddress& address) {
    return is_public(address) ? address : IpAddress();
}

ipc::TlsResult result_of_certificate(int error) {
    switch (error) {
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
        return ipc::TlsResult::certificate_host_mismatch;
    case X509_V_ERR_CERT_HAS_EXPIRED:
    case X509_V_ERR_CERT_NOT_YET_VALID:
        return ipc::TlsResult::certificate_expired;
    case X509_V_ERR_DANE_NO_MATCH:
        return ipc::TlsResult::tlsa_invalid;
    case X509_V_ERR_UNSPECIFIED:
    case X509_V_ERR_OUT_OF_MEM:
        return ipc::TlsResult::validation_failure;
    default: // authorities, chains, constraints, purposes, signatures (RFC 8460 4.3.1)
        return ipc::TlsResult::certificate_not_trusted;
    }
}

TlsPolicy with_sts(TlsPolicy policy, const ipc::StsPolicy& sts) {
    if (sts.mode == ipc::StsMode::enforce)
        policy.level = TlsLevel::verified;
    return policy;
}

} // namespace postern::relay
