#include "smtpd/policy/tls_report.h"

#include <algorithm>
#include <zlib.h>

#include "common/base/base64.h"
#include "common/mail/date.h"

namespace postern::policy {

namespace {

// RFC 2045 6.8: lines of 76.
std::string in_lines(const std::string& text) {
    std::string out;
    for (size_t i = 0; i < text.size(); i += 76)
        out += text.substr(i, 76) + "\r\n";
    return out;
}

// "0123456789abcdef"
std::string unique_part(const TlsReport& report) {
    return report.id.substr(report.id.rfind('.') + 1);
}

// Of the failures under each policy those that are most frequent.
void keep_details(TlsReport& report, size_t most) {
    for (PolicyTally& policy : report.policies) {
        std::vector<std::pair<uint64_t, FailureDetail>> details;
        for (const auto& [detail, count] : policy.details)
            details.emplace_back(count, detail);
        std::sort(details.rbegin(), details.rend());
        details.resize(std::min(details.size(), most));
        policy.details.clear();
        for (auto& [count, detail] : details)
            policy.details.emplace(std::move(detail), count);
    }
}

} // namespace

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

std::string compress(TlsReport report) {
    std::string compressed = gzipped(to_json(report));
    for (size_t most = Tally::detail_limit; most > 0 && compressed.size() > compressed_limit;) {
        most /= 2;
        keep_details(report, most);
        compressed = gzipped(to_json(report));
    }
    return compressed;
}

std::string file_name(const TlsReport& report) {
    return report.reporter + "!" + report.domain + "!" + std::to_string(report.begin) + "!" +
           std::to_string(report.end) + "!" + unique_part(report) + ".json.gz";
}

std::string to_mail(const TlsReport& report, const std::string& compressed,
                    const std::string& mailbox, int64_t now) {
    const std::string boundary = "=_" + unique_part(report);
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
        timestamp(report.end) + ".\r\n";
    mail += "\r\n--" + boundary + "\r\n";
    field("Content-Type", "application/tlsrpt+gzip");
    field("Content-Transfer-Encoding", "base64");
    field("Content-Disposition", "attachment;\r\n filename=\"" + file_name(report) + "\"");
    mail += "\r\n" + in_lines(encode_base64(compressed)) + "--" + boundary + "--\r\n";
    return mail;
}

} // namespace postern::policy
