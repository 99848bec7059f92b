#include "smtpd/policy/tls_report.h"

#include <ctime>
#include <nlohmann/json.hpp>
#include <zlib.h>

#include "common/base/base64.h"
#include "common/mail/date.h"

namespace postern::policy {

namespace {

using Json = nlohmann::ordered_json;

constexpr int64_t day = 86400;

const char* name_of(ipc::PolicyType type) {
    static constexpr const char* names[] = {"no-policy-found", "sts", "tlsa"};
    return names[static_cast<size_t>(type)];
}

const char* name_of(ipc::TlsResult result) {
    static constexpr const char* names[] = {"success",
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
    return names[static_cast<size_t>(result)];
}

// RFC 3339, "2016-04-01T00:00:00Z"
std::string timestamp(int64_t when) {
    const time_t seconds = when;
    std::tm parts{};
    char text[32] = "";
    gmtime_r(&seconds, &parts);
    strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
    return text;
}

Json to_json(const FailureDetail& detail, uint64_t count) {
    Json json;
    json["result-type"] = name_of(detail.result);
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
    policy["policy-type"] = name_of(tally.type);
    if (!tally.policy.empty())
        policy["policy-string"] = tally.policy;
    policy["policy-domain"] = domain;
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

// RFC 2045 6.8: lines of 76.
std::string in_lines(const std::string& text) {
    std::string out;
    for (size_t i = 0; i < text.size(); i += 76)
        out += text.substr(i, 76) + "\r\n";
    return out;
}

} // namespace

std::string to_json(const TlsReport& report) {
    Json json;
    json["organization-name"] = report.reporter;
    json["date-range"] = {{"start-datetime", timestamp(report.begin)},
                          {"end-datetime", timestamp(report.begin + day - 1)}};
    json["contact-info"] = "postmaster@" + report.reporter;
    json["report-id"] = report.id;
    Json policies = Json::array();
    for (const PolicyTally& tally : report.policies)
        policies.push_back(to_json(tally, report.domain));
    json["policies"] = std::move(policies);
    return json.dump(1, ' ', true, Json::error_handler_t::replace) + "\n";
}

std::string gzipped(std::string_view text) {
    constexpr int with_gzip_header = 15 + 16;
    z_stream stream{};
    if (deflateInit2(&stream, Z_BEST_COMPRESSION, Z_DEFLATED, with_gzip_header, 8,
                     Z_DEFAULT_STRATEGY) != Z_OK)
        return {};
    std::string out(deflateBound(&stream, text.size()), '\0');
    stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
    stream.avail_in = static_cast<uInt>(text.size());
    stream.next_out = reinterpret_cast<Bytef*>(out.data());
    stream.avail_out = static_cast<uInt>(out.size());
    const bool done = deflate(&stream, Z_FINISH) == Z_STREAM_END;
    out.resize(done ? stream.total_out : 0);
    deflateEnd(&stream);
    return out;
}

std::string file_name(const TlsReport& report) {
    return report.reporter + "!" + report.domain + "!" + std::to_string(report.begin) + "!" +
           std::to_string(report.begin + day - 1) + "!" +
           report.id.substr(report.id.rfind('.') + 1) + ".json.gz";
}

std::string to_mail(const TlsReport& report, const std::string& compressed,
                    const std::string& mailbox, int64_t now) {
    const std::string boundary = "=_" + report.id.substr(report.id.rfind('.') + 1);
    std::string mail;
    const auto field = [&](const std::string& name, const std::string& value) {
        mail += name + ": " + value + "\r\n";
    };
    field("From", "<postmaster@" + report.reporter + ">");
    field("To", "<" + mailbox + ">");
    field("Date", format_date(std::chrono::system_clock::from_time_t(now)));
    field("Message-ID", "<" + report.id + "@" + report.reporter + ">");
    field("Subject", "Report Domain: " + report.domain + "\r\n Submitter: " + report.reporter +
                         "\r\n Report-ID: <" + report.id + "@" + report.reporter + ">");
    field("TLS-Report-Domain", report.domain);
    field("TLS-Report-Submitter", report.reporter);
    field("TLS-Required", "No"); // RFC 8689 3: a report on bad TLS has to arrive
    field("Auto-Submitted", "auto-generated");
    field("MIME-Version", "1.0");
    field("Content-Type",
          "multipart/report; report-type=\"tlsrpt\";\r\n boundary=\"" + boundary + "\"");
    mail += "\r\n--" + boundary + "\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\n";
    mail +=
        "This is an aggregate report on TLS connections (RFC 8460) to the mail exchangers of\r\n" +
        report.domain + " from " + report.reporter + ", " + timestamp(report.begin) + " to " +
        timestamp(report.begin + day - 1) + ".\r\n";
    mail += "\r\n--" + boundary + "\r\n";
    field("Content-Type", "application/tlsrpt+gzip");
    field("Content-Transfer-Encoding", "base64");
    field("Content-Disposition", "attachment;\r\n filename=\"" + file_name(report) + "\"");
    mail += "\r\n" + in_lines(encode_base64(compressed)) + "--" + boundary + "--\r\n";
    return mail;
}

} // namespace postern::policy
