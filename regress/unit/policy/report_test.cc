// Reports on TLS (RFC 8460): where they go, and what they say.
#include <gtest/gtest.h>

#include "common/base/base64.h"
#include "common/ipc/submission.h"
#include "regress/unit/policy/report_fixture.h"
#include "smtpd/policy/report_record.h"
#include "smtpd/policy/tls_report.h"

namespace postern::policy {
namespace {

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
        {"v=TLSRPTv1; rua=mailto:%c3%bc@d.example,mailto:a@%c3%bc.example,mailto:a@[192.0.2.1]",
         ""},
        {"v=TLSRPTv1; rua=mailto:%22a%20b%22@d.example", "\"a b\"@d.example "},
        {"v=TLSRPTv1;", ""},
        {"v=TLSRPTv2; rua=mailto:reports@d.example", ""},
    };
    for (const Row& row : rows) {
        std::string places;
        for (const ReportPlace& place : report_places(text_answer(row.record)))
            places +=
                (place.mailbox.empty() ? place.host + ":" + std::to_string(place.port) + place.path
                                       : place.mailbox) +
                " ";
        EXPECT_EQ(places, row.places) << row.record;
    }
}

constexpr int64_t day = 1795392000; // 2026-11-23

TlsReport report(const Tally& tally) {
    TlsReport report;
    report.id = "20261123.d.example.0123456789abcdef";
    report.domain = "d.example";
    report.reporter = "gw.example";
    report.begin = day;
    report.end = day + 86399;
    report.policies = tally.counts().at("d.example").policies;
    return report;
}

size_t count(const std::string& text, const std::string& what) {
    size_t times = 0;
    for (size_t at = 0; (at = text.find(what, at)) != text.npos; at += what.size())
        ++times;
    return times;
}

TEST(TlsReport, Json) {
    Tally tally(day);
    tally.add(session());
    tally.add(session());
    for (int i = 0; i < 3; ++i)
        tally.add(session(ipc::TlsResult::certificate_expired));
    EXPECT_EQ(to_json(report(tally)), R"({
 "organization-name": "gw.example",
 "date-range": {
  "start-datetime": "2026-11-23T00:00:00Z",
  "end-datetime": "2026-11-23T23:59:59Z"
 },
 "contact-info": "postmaster@gw.example",
 "report-id": "20261123.d.example.0123456789abcdef",
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
}

// TLSA records are an exchanger's: its name is the Policy Domain then (RFC 8460 1.1).
TEST(TlsReport, OfTlsaRecords) {
    Tally tally(day);
    ipc::SessionResult dane = session(ipc::TlsResult::tlsa_invalid);
    dane.type = ipc::PolicyType::tlsa;
    dane.policy = {"3 1 1 0123456789abcdef"};
    dane.mx.clear();
    dane.exchanger = "MX.other.example";
    tally.add(dane);
    dane.exchanger = "mx2.other.example";
    dane.result = ipc::TlsResult::success;
    tally.add(dane);
    const std::string json = to_json(report(tally));
    EXPECT_EQ(count(json, "\"policy-type\": \"tlsa\""), 2u) << json;
    EXPECT_EQ(count(json, "\"policy-domain\": \"mx.other.example\""), 1u) << json;
    EXPECT_EQ(count(json, "\"policy-domain\": \"mx2.other.example\""), 1u) << json;
    EXPECT_EQ(count(json, "\"tlsa-invalid\""), 1u) << json;
    EXPECT_EQ(count(json, "\"mx-host\""), 0u) << json;
}

TEST(TlsReport, Mail) {
    Tally tally(day);
    tally.add(session(ipc::TlsResult::certificate_expired));
    const TlsReport told = report(tally);
    const std::string message = to_mail(told, compress(told), "reports@d.example", day + 90'000);
    EXPECT_EQ(file_name(told),
              "gw.example!d.example!1795392000!1795478399!0123456789abcdef.json.gz");
    EXPECT_TRUE(message.starts_with(
        "From: <postmaster@gw.example>\r\n"
        "To: <reports@d.example>\r\n"
        "Date: Tue, 24 Nov 2026 01:00:00 +0000\r\n"
        "Message-ID: <20261123.d.example.0123456789abcdef@gw.example>\r\n"
        "Subject: Report Domain: d.example\r\n"
        " Submitter: gw.example\r\n"
        " Report-ID: <20261123.d.example.0123456789abcdef@gw.example>\r\n"
        "TLS-Report-Domain: d.example\r\n"
        "TLS-Report-Submitter: gw.example\r\n"
        "TLS-Required: No\r\n"
        "Auto-Submitted: auto-generated\r\n"
        "MIME-Version: 1.0\r\n"
        "Content-Type: multipart/report; report-type=\"tlsrpt\";\r\n"
        " boundary=\"=_0123456789abcdef\"\r\n"
        "\r\n"
        "--=_0123456789abcdef\r\n"
        "Content-Type: text/plain; charset=us-ascii\r\n"
        "\r\n"
        "This is an aggregate report on TLS connections (RFC 8460) to the mail exchangers of\r\n"
        "d.example from gw.example, 2026-11-23T00:00:00Z to 2026-11-23T23:59:59Z.\r\n"
        "\r\n"
        "--=_0123456789abcdef\r\n"
        "Content-Type: application/tlsrpt+gzip\r\n"
        "Content-Transfer-Encoding: base64\r\n"
        "Content-Disposition: attachment;\r\n"
        " filename=\"gw.example!d.example!1795392000!1795478399!0123456789abcdef.json.gz\"\r\n"
        "\r\n"))
        << message;
    EXPECT_TRUE(message.ends_with("\r\n--=_0123456789abcdef--\r\n"));
    const size_t begin = message.find("\r\n\r\n", message.find("base64")) + 4;
    std::string encoded = message.substr(begin, message.rfind("\r\n--") - begin);
    std::erase_if(encoded, [](char c) { return c == '\r' || c == '\n'; });
    const auto compressed = decode_base64(encoded);
    ASSERT_TRUE(compressed);
    EXPECT_EQ(unzipped(*compressed), to_json(told));
}

// A mail that the queue takes, whatever there is to tell: the most frequent failures are in it.
TEST(TlsReport, IsNotTooLongForMail) {
    Tally tally(day);
    uint64_t random = 1;
    for (size_t i = 0; i < Tally::policy_limit * Tally::detail_limit; ++i) {
        ipc::SessionResult failed = session(ipc::TlsResult::validation_failure);
        failed.policy = {std::to_string(i / Tally::detail_limit)};
        failed.reason.clear();
        while (failed.reason.size() < 200)
            failed.reason += static_cast<char>('!' + (random = random * 48271 % 0x7fffffff) % 90);
        tally.add(failed);
        if (i % Tally::detail_limit == 7) {
            failed.reason = "often " + failed.policy[0];
            for (int times = 0; times < 3; ++times)
                tally.add(failed);
        }
    }
    const TlsReport told = report(tally);
    ASSERT_GT(gzipped(to_json(told)).size(), compressed_limit);
    const std::string compressed = compress(told);
    EXPECT_GT(compressed.size(), compressed_limit / 3);
    EXPECT_LE(to_mail(told, compressed, "reports@d.example", day).size(),
              ipc::inline_content_limit);
    const std::string json = unzipped(compressed);
    for (size_t i = 0; i < Tally::policy_limit; ++i)
        EXPECT_NE(json.find("\"often " + std::to_string(i) + "\""), std::string::npos) << i;
    EXPECT_EQ(count(json, "\"total-failure-session-count\": 103"), Tally::policy_limit);
}

TEST(TlsTally, HasBounds) {
    Tally tally(day);
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
    size_t dropped = 0;
    for (size_t i = 0; i < Tally::domain_limit + 5; ++i) {
        ipc::SessionResult other = session();
        other.domain = std::to_string(i) + ".example";
        dropped += !tally.add(other);
    }
    EXPECT_EQ(dropped, 6u) << "there was one";
    const Counts counts = tally.counts();
    EXPECT_EQ(counts.size(), Tally::domain_limit);
    EXPECT_EQ(counts.at("d.example").policies.size(), Tally::policy_limit);
    const PolicyTally& first = counts.at("d.example").policies.front();
    EXPECT_EQ(first.failures, Tally::detail_limit + 50);
    EXPECT_EQ(first.details.size(), Tally::detail_limit);
}

// Whoever has many domains, with long policies, does not have our memory.
TEST(TlsTally, HasABoundInAll) {
    Tally tally(day);
    ipc::SessionResult one = session();
    one.policy.assign(100, std::string(200, 'x'));
    for (int i = 0; i < 1000; ++i) {
        one.domain = std::to_string(i) + ".example";
        tally.add(one);
    }
    EXPECT_LT(tally.counts().size(), 420u);
    EXPECT_GT(tally.counts().size(), 300u);
    // Room that is made is used.
    const size_t before = tally.counts().size();
    EXPECT_EQ(tally.take("7.example", day + 1).size(), 1u);
    one.domain = "new.example";
    tally.add(one);
    EXPECT_EQ(tally.counts().size(), before + 1);
    one.policy.assign(1000, std::string(200, 'x'));
    one.domain = "long.example";
    tally.add(one);
    one.policy.clear();
    one.domain = "no domain";
    tally.add(one);
    EXPECT_EQ(tally.counts().size(), before + 1);
}

TEST(TlsTally, IsTakenByDomain) {
    Tally tally(day);
    tally.add(session());
    ipc::SessionResult other = session();
    other.domain = "E.example.";
    tally.add(other);
    EXPECT_TRUE(tally.take("f.example", day + 100).empty());
    const Counts taken = tally.take("e.example", day + 100);
    ASSERT_EQ(taken.size(), 1u);
    EXPECT_EQ(taken.at("e.example").begin, day);
    EXPECT_EQ(taken.at("e.example").policies.at(0).successes, 1u);
    EXPECT_TRUE(tally.take("e.example", day + 200).empty()) << "there is nothing since";
    tally.add(other);
    EXPECT_EQ(tally.take("e.example", day + 300).at("e.example").begin, day + 100);
    EXPECT_EQ(tally.take_all(day + 400).at("d.example").begin, day);
    tally.add(session());
    EXPECT_EQ(tally.counts().at("d.example").begin, day + 400);
}

} // namespace
} // namespace postern::policy
