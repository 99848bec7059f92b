// Reports on TLS (RFC 8460): where they go, what they say, and when.
#include <gtest/gtest.h>
#include <zlib.h>

#include "common/base/base64.h"
#include "regress/support/simulated_time.h"
#include "smtpd/policy/report_record.h"
#include "smtpd/policy/reporter.h"
#include "smtpd/policy/tls_report.h"

namespace postern::policy {
namespace {

using namespace std::chrono_literals;

ipc::ResolveAnswer text(const std::string& record) {
    ipc::ResolveAnswer answer;
    answer.status = ipc::ResolveStatus::ok;
    answer.records.emplace_back().data = record;
    return answer;
}

TEST(ReportRecord, Places) {
    struct Row {
        const char* record;
        const char* places;
    };
    const Row rows[] = {
        {"v=TLSRPTv1; rua=mailto:reports@d.example", "reports@d.example "},
        {"v=TLSRPTv1;rua=https://web.d.example/v1/tlsrpt;", "web.d.example:443/v1/tlsrpt "},
        {"v=TLSRPTv1; rua=mailto:a%2Bb@d.example?subject=x , HTTPS://Web.D.Example:8443?q",
         "a+b@d.example web.d.example:8443/?q "},
        {"v=TLSRPTv1; "
         "rua=ftp://d.example/,mailto:,https://,https://u@d.example/,mailto:x@d.example",
         "x@d.example "},
        {"v=TLSRPTv1; rua=https://d.example:0/,https://d.example:70000/,https://[::1]/", ""},
        {"v=TLSRPTv1; rua=mailto:a%0d%0ab@d.example,mailto:a%2@d.example,mailto:a%", ""},
        {"v=TLSRPTv1; rua=mailto:1@d.example,mailto:2@d.example,mailto:3@d.example,"
         "mailto:4@d.example,mailto:5@d.example,mailto:6@d.example",
         "1@d.example 2@d.example 3@d.example 4@d.example 5@d.example "},
        {"v=TLSRPTv1;", ""},
        {"v=TLSRPTv2; rua=mailto:reports@d.example", ""},
    };
    for (const Row& row : rows) {
        std::string places;
        for (const ReportPlace& place : report_places(text(row.record)))
            places +=
                (place.mailbox.empty() ? place.host + ":" + std::to_string(place.port) + place.path
                                       : place.mailbox) +
                " ";
        EXPECT_EQ(places, row.places) << row.record;
    }
}

ipc::SessionResult session(ipc::TlsResult result = ipc::TlsResult::success) {
    ipc::SessionResult session;
    session.domain = "d.example";
    session.type = ipc::PolicyType::sts;
    session.policy = {"version: STSv1", "mode: enforce", "mx: *.d.example", "max_age: 86400"};
    session.mx = {"*.d.example"};
    session.result = result;
    session.exchanger = "mx.d.example";
    session.receiving = *IpAddress::parse("192.0.2.1");
    session.sending = *IpAddress::parse("2001:db8::1");
    if (result != ipc::TlsResult::success)
        session.reason = "certificate has expired";
    return session;
}

TEST(TlsReport, Json) {
    Tally tally;
    tally.add(session());
    tally.add(session());
    for (int i = 0; i < 3; ++i)
        tally.add(session(ipc::TlsResult::certificate_expired));
    TlsReport report;
    report.id = "20261123.d.example.1";
    report.domain = "d.example";
    report.reporter = "gw.example";
    report.begin = 1795392000; // 2026-11-23
    report.policies = tally.take().at("d.example");
    EXPECT_EQ(to_json(report), R"({
 "organization-name": "gw.example",
 "date-range": {
  "start-datetime": "2026-11-23T00:00:00Z",
  "end-datetime": "2026-11-23T23:59:59Z"
 },
 "contact-info": "postmaster@gw.example",
 "report-id": "20261123.d.example.1",
 "policies": [
  {
   "policy": {
    "policy-type": "sts",
    "policy-string": [
     "version: STSv1",
     "mode: enforce",
     "mx: *.d.example",
     "max_age: 86400"
    ],
    "policy-domain": "d.example",
    "mx-host": [
     "*.d.example"
    ]
   },
   "summary": {
    "total-successful-session-count": 2,
    "total-failure-session-count": 3
   },
   "failure-details": [
    {
     "result-type": "certificate-expired",
     "sending-mta-ip": "2001:db8::1",
     "receiving-mx-hostname": "mx.d.example",
     "receiving-ip": "192.0.2.1",
     "failed-session-count": 3,
     "failure-reason-code": "certificate has expired"
    }
   ]
  }
 ]
}
)");
    EXPECT_TRUE(tally.empty());
}

TEST(TlsReport, HasBounds) {
    Tally tally;
    for (size_t i = 0; i < Tally::detail_limit + 50; ++i) {
        ipc::SessionResult failed = session(ipc::TlsResult::validation_failure);
        failed.reason = std::to_string(i);
        tally.add(failed);
    }
    for (size_t i = 0; i < Tally::policy_limit + 5; ++i) {
        ipc::SessionResult other = session();
        other.policy = {std::to_string(i)};
        tally.add(other);
    }
    for (size_t i = 0; i < Tally::domain_limit + 5; ++i) {
        ipc::SessionResult other = session();
        other.domain = std::to_string(i) + ".example";
        tally.add(other);
    }
    const auto taken = tally.take();
    EXPECT_EQ(taken.size(), Tally::domain_limit);
    EXPECT_EQ(taken.at("d.example").size(), Tally::policy_limit);
    const PolicyTally& first = taken.at("d.example").back();
    EXPECT_EQ(first.failures, Tally::detail_limit + 50);
    EXPECT_EQ(first.details.size(), Tally::detail_limit);
}

std::string unzipped(const std::string& bytes) {
    z_stream stream{};
    EXPECT_EQ(inflateInit2(&stream, 15 + 16), Z_OK);
    std::string out(100'000, '\0');
    stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
    stream.avail_in = static_cast<uInt>(bytes.size());
    stream.next_out = reinterpret_cast<Bytef*>(out.data());
    stream.avail_out = static_cast<uInt>(out.size());
    EXPECT_EQ(inflate(&stream, Z_FINISH), Z_STREAM_END);
    out.resize(stream.total_out);
    inflateEnd(&stream);
    return out;
}

class ReporterTest : public testing::Test {
  protected:
    Reporter::World world() {
        return {.resolve = [this](ipc::ResolveQuery query,
                                  Duration) { return resolve(std::move(query)); },
                .send = [this](HttpsRequest request) { return send(std::move(request)); },
                .mail =
                    [this](std::string mailbox, std::string message) {
                        return mail(std::move(mailbox), std::move(message));
                    },
                .random = [this] { return random; }};
    }
    Task<ipc::ResolveAnswer> resolve(ipc::ResolveQuery query) {
        ipc::ResolveAnswer answer;
        answer.status = ipc::ResolveStatus::no_data;
        if (query.name == "_smtp._tls.d.example")
            answer = text(record);
        if (query.name == "web.d.example" && query.type == ipc::RecordType::a) {
            answer = text("");
            answer.records[0].address = *IpAddress::parse("192.0.2.80");
        }
        co_return answer;
    }
    Task<Result<HttpsReply>> send(HttpsRequest request) {
        posted.push_back(std::move(request));
        HttpsReply reply;
        reply.status = status;
        co_return reply;
    }
    Task<bool> mail(std::string mailbox, std::string message) {
        mailed.emplace_back(std::move(mailbox), std::move(message));
        co_return true;
    }

    test::SimulatedTime time; // noon
    std::string record;
    long status = 201;
    uint64_t random = 3600;
    std::vector<HttpsRequest> posted;
    std::vector<std::pair<std::string, std::string>> mailed;
    Counters counters;
    Reporter reporter{time, "gw.example", world(), counters};
};

TEST_F(ReporterTest, OnceADay) {
    record = "v=TLSRPTv1; rua=https://web.d.example/in";
    reporter.add(session());
    time.advance(12h + 59min);
    EXPECT_TRUE(posted.empty());
    time.advance(2min);
    ASSERT_EQ(posted.size(), 1u);
    EXPECT_EQ(posted[0].host + posted[0].path, "web.d.example/in");
    EXPECT_EQ(posted[0].content_type, "application/tlsrpt+gzip");
    EXPECT_NE(unzipped(posted[0].body).find("\"total-successful-session-count\": 1"),
              std::string::npos);
    time.advance(48h);
    EXPECT_EQ(posted.size(), 1u) << "there was nothing to tell";
    EXPECT_EQ(reporter.open(), 0u);
    reporter.add(session());
    time.advance(24h);
    EXPECT_EQ(posted.size(), 2u);
    EXPECT_EQ(counters["policy.reports.sent"], 2u);
}

TEST_F(ReporterTest, WhoDoesNotAskIsNotTold) {
    record = "v=spf1 -all";
    reporter.add(session());
    time.advance(24h);
    EXPECT_TRUE(posted.empty() && mailed.empty());
    EXPECT_EQ(reporter.open(), 0u);
}

TEST_F(ReporterTest, IsTriedForADay) {
    record = "v=TLSRPTv1; rua=https://web.d.example/in";
    status = 503;
    reporter.add(session());
    time.advance(18h);
    EXPECT_EQ(posted.size(), 2u);
    status = 200;
    time.advance(24h);
    EXPECT_EQ(posted.size(), 3u);
    status = 404;
    reporter.add(session());
    time.advance(48h);
    EXPECT_EQ(posted.size(), 3u + Reporter::tries);
    EXPECT_EQ(counters["policy.reports.failed"], 1u);
    EXPECT_EQ(reporter.open(), 0u);
}

TEST_F(ReporterTest, ByMail) {
    record = "v=TLSRPTv1; rua=mailto:reports@d.example";
    reporter.add(session(ipc::TlsResult::certificate_expired));
    time.advance(24h);
    ASSERT_EQ(mailed.size(), 1u);
    EXPECT_EQ(mailed[0].first, "reports@d.example");
    const std::string& message = mailed[0].second;
    for (const char* wanted :
         {"From: <postmaster@gw.example>\r\n", "To: <reports@d.example>\r\n",
          "Subject: Report Domain: d.example\r\n Submitter: gw.example\r\n Report-ID: <20261123.d",
          "TLS-Report-Domain: d.example\r\n", "TLS-Required: No\r\n",
          "Content-Type: multipart/report; report-type=\"tlsrpt\";\r\n",
          "Content-Type: application/tlsrpt+gzip\r\n",
          "filename=\"gw.example!d.example!1795392000!1795478399!"})
        EXPECT_NE(message.find(wanted), std::string::npos) << wanted << " in\n" << message;
    const size_t begin = message.find("\r\n\r\n", message.find("base64")) + 4;
    std::string encoded = message.substr(begin, message.rfind("\r\n--") - begin);
    std::erase_if(encoded, [](char c) { return c == '\r' || c == '\n'; });
    const auto compressed = decode_base64(encoded);
    ASSERT_TRUE(compressed);
    EXPECT_NE(unzipped(*compressed).find("certificate-expired"), std::string::npos);
}

} // namespace
} // namespace postern::policy
