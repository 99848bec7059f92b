#include "smtpd/policy/tls_json.h"

#include <algorithm>
#include <ctime>
#include <iterator>
#include <nlohmann/json.hpp>

#include "common/smtp/domain_name.h"
#include "common/smtp/text.h"

namespace postern::policy {

namespace {

using Json = nlohmann::ordered_json;

constexpr const char* type_names[] = {"no-policy-found", "sts", "tlsa"};
static_assert(std::size(type_names) == static_cast<size_t>(last_enumerator(ipc::PolicyType())) + 1);

constexpr const char* result_names[] = {"success",
                                        "starttls-not-supported",
                                        "certificate-host-mismatch",
                                        "certificate-expired",
                                        "certificate-not-trusted",
                                        "validation-failure",
                                        "tlsa-invalid",
                                        "dnssec-invalid",
                                        "sts-policy-fetch-error",
                                        "sts-policy-invalid",
                                        "sts-webpki-invalid"};
static_assert(std::size(result_names) ==
              static_cast<size_t>(last_enumerator(ipc::TlsResult())) + 1);

// Throws what the library throws, as the other ones that take something out of JSON here.
template <class Enumeration, size_t n>
Enumeration find_name(const char* const (&names)[n], const Json& json) {
    const auto& name = json.get_ref<const std::string&>();
    const auto found = std::find(std::begin(names), std::end(names), name);
    if (found == std::end(names))
        throw Json::other_error::create(500, "there is no " + name, &json);
    return static_cast<Enumeration>(found - std::begin(names));
}

Json to_json(const FailureDetail& detail, uint64_t count) {
    Json json;
    json["result-type"] = result_names[static_cast<size_t>(detail.result)];
    if (detail.sending.version != 0)
        json["sending-mta-ip"] = detail.sending.to_string();
    if (!detail.exchanger.empty())
        json["receiving-mx-hostname"] = detail.exchanger;
    if (detail.receiving.version != 0)
        json["receiving-ip"] = detail.receiving.to_string();
    json["failed-session-count"] = count;
    if (!detail.reason.empty())
        json["failure-reason-code"] = detail.reason;
    return json;
}

Json to_json(const PolicyTally& tally, const std::string& domain) {
    Json policy;
    policy["policy-type"] = type_names[static_cast<size_t>(tally.type)];
    if (!tally.policy.empty())
        policy["policy-string"] = tally.policy;
    policy["policy-domain"] = tally.exchanger.empty() ? domain : tally.exchanger;
    if (!tally.mx.empty())
        policy["mx-host"] = tally.mx;
    Json json;
    json["policy"] = std::move(policy);
    json["summary"] = {{"total-successful-session-count", tally.successes},
                       {"total-failure-session-count", tally.failures}};
    Json details = Json::array();
    for (const auto& [detail, count] : tally.details)
        details.push_back(to_json(detail, count));
    if (!details.empty())
        json["failure-details"] = std::move(details);
    return json;
}

Json to_json(const std::vector<PolicyTally>& policies, const std::string& domain) {
    Json json = Json::array();
    for (const PolicyTally& tally : policies)
        json.push_back(to_json(tally, domain));
    return json;
}

std::string dump(const Json& json) {
    return json.dump(1, ' ', true, Json::error_handler_t::replace) + "\n";
}

IpAddress address_of(const Json& json, const char* key) {
    return IpAddress::parse(json.value(key, "")).value_or(IpAddress());
}

FailureDetail detail_of(const Json& json) {
    FailureDetail detail;
    detail.result = find_name<ipc::TlsResult>(result_names, json.at("result-type"));
    detail.sending = address_of(json, "sending-mta-ip");
    detail.exchanger = json.value("receiving-mx-hostname", "");
    detail.receiving = address_of(json, "receiving-ip");
    detail.reason = json.value("failure-reason-code", "");
    return detail;
}

PolicyTally tally_of(const Json& json) {
    const Json& policy = json.at("policy");
    const Json& summary = json.at("summary");
    PolicyTally tally;
    tally.type = find_name<ipc::PolicyType>(type_names, policy.at("policy-type"));
    if (tally.type == ipc::PolicyType::tlsa)
        policy.at("policy-domain").get_to(tally.exchanger);
    tally.policy = policy.value("policy-string", tally.policy);
    tally.mx = policy.value("mx-host", tally.mx);
    summary.at("total-successful-session-count").get_to(tally.successes);
    summary.at("total-failure-session-count").get_to(tally.failures);
    if (const auto details = json.find("failure-details"); details != json.end())
        for (const Json& detail : *details)
            detail.at("failed-session-count").get_to(tally.details[detail_of(detail)]);
    return tally;
}

Batch batch_of(const Json& json) {
    Batch batch;
    json.at("id").get_to(batch.id);
    json.at("begin").get_to(batch.begin);
    json.at("end").get_to(batch.end);
    for (const Json& one : json.at("domains")) {
        DomainTally& tally = batch.counts[one.at("domain").get<std::string>()];
        one.at("begin").get_to(tally.begin);
        for (const Json& policy : one.at("policies"))
            tally.policies.push_back(tally_of(policy));
    }
    return batch;
}

} // namespace

std::string timestamp(int64_t when) {
    const time_t seconds = when;
    std::tm parts{};
    char text[32] = "";
    gmtime_r(&seconds, &parts);
    strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
    return text;
}

std::string to_json(const TlsReport& report) {
    Json json;
    json["organization-name"] = report.reporter;
    json["date-range"] = {{"start-datetime", timestamp(report.begin)},
                          {"end-datetime", timestamp(report.end)}};
    json["contact-info"] = "postmaster@" + report.reporter;
    json["report-id"] = report.id;
    json["policies"] = to_json(report.policies, report.domain);
    return dump(json);
}

std::string to_text(const Batch& batch) {
    Json json;
    json["id"] = batch.id;
    json["begin"] = batch.begin;
    json["end"] = batch.end;
    Json domains = Json::array();
    for (const auto& [domain, tally] : batch.counts) {
        Json one;
        one["domain"] = domain;
        one["begin"] = tally.begin;
        one["policies"] = to_json(tally.policies, domain);
        domains.push_back(std::move(one));
    }
    json["domains"] = std::move(domains);
    return dump(json);
}

Result<Batch> parse_batch(std::string_view text) {
    try {
        Batch batch = batch_of(Json::parse(text));
        const bool named =
            std::all_of(batch.counts.begin(), batch.counts.end(),
                        [](const auto& one) { return is_domain(one.first, Underscore::accepted); });
        if (!is_batch_id(batch.id) || batch.end < batch.begin || !named)
            return Error{"it says what cannot be"};
        return batch;
    } catch (const Json::exception& exception) {
        return Error{exception.what()};
    }
}

bool is_batch_id(std::string_view text) {
    return text.size() == 16 && std::all_of(text.begin(), text.end(), [](char c) {
               return is_ascii_digit(c) || (c >= 'a' && c <= 'f');
           });
}

} // namespace postern::policy
