// How fast, and to whom, reports on TLS go out, whatever domains ask for.
#include "smtpd/policy/report_sender.h"

#include <algorithm>

#include "regress/support/simulated_time.h"
#include "regress/unit/policy/report_fixture.h"

namespace postern::policy {
namespace {

using namespace std::chrono_literals;

class ReportSenderTest : public testing::Test {
  protected:
    ReportSender::World world() {
        return {.resolve = [this](ipc::ResolveQuery query,
                                  Duration) { return resolve(std::move(query)); },
                .send = [this](HttpsRequest request) { return post(std::move(request)); },
                .mail =
                    [this](std::string mailbox, std::string) {
                        ++mailed[mailbox];
                        return settled(true);
                    },
                .random = [] { return 0; }};
    }
    static Task<bool> settled(bool value) { co_return value; }

    // Each domain's record is `record`, with its name for "*".
    Task<ipc::ResolveAnswer> resolve(ipc::ResolveQuery query) {
        ipc::ResolveAnswer answer;
        answer.status = ipc::ResolveStatus::no_data;
        const std::string prefix = report_record_name("");
        if (query.name.starts_with(prefix)) {
            asked.push_back(time.elapsed());
            std::string text = record;
            if (const size_t star = text.find('*'); star != text.npos)
                text.replace(star, 1, query.name.substr(prefix.size()));
            answer = text_answer(text);
        } else if (query.type == ipc::RecordType::a) {
            answer = text_answer("");
            answer.records[0].address = *IpAddress::parse(address);
        }
        co_return answer;
    }
    Task<Result<HttpsReply>> post(HttpsRequest request) {
        ++posts;
        most = std::max(most, ++posting[request.host]);
        size_t sum = 0;
        for (const auto& [host, count] : posting)
            sum += count;
        most_in_all = std::max(most_in_all, sum);
        co_await time.sleep(takes);
        --posting[request.host];
        HttpsReply reply;
        reply.status = status;
        co_return reply;
    }
    void send(const std::string& domain, Duration delay = {}) {
        TlsReport report;
        report.id = "1." + domain;
        report.domain = domain;
        tasks.spawn(sender.send(
            std::move(report), {}, [](const std::string&) {}, delay));
    }
    void send_to(size_t domains) {
        for (size_t i = 0; i < domains; ++i)
            send(std::to_string(i) + ".example");
    }

    test::SimulatedTime time;
    std::string record = "v=TLSRPTv1; rua=https://*/in";
    std::string address = "192.0.2.80";
    Duration takes{};
    long status = 201;
    std::vector<Duration> asked;
    size_t posts = 0;
    std::map<std::string, size_t> posting, mailed;
    size_t most = 0, most_in_all = 0;
    Counters counters;
    ReportSender sender{time, world(), counters};
    TaskGroup tasks;
};

TEST_F(ReportSenderTest, KeepsPace) {
    send_to(100);
    time.advance(9900ms);
    EXPECT_EQ(asked.size(), 20u);
    for (int i = 0; i < 20; ++i)
        send("late.example", 24h);
    EXPECT_EQ(sender.hurry("late.example"), 20u);
    time.advance(60s);
    EXPECT_EQ(asked.size(), 120u);
    for (size_t i = 1; i < asked.size(); ++i)
        EXPECT_GE(asked[i] - asked[i - 1], 500ms);
}

TEST_F(ReportSenderTest, FewAtOnce) {
    takes = 30s;
    send_to(100);
    time.advance(100s);
    EXPECT_EQ(most_in_all, ReportSender::transfer_limit);
    time.advance(10min);
    EXPECT_EQ(posts, 100u);
    EXPECT_EQ(most, 1u);
    EXPECT_EQ(tasks.size(), 0u);
}

TEST_F(ReportSenderTest, OneToAHost) {
    record = "v=TLSRPTv1; rua=https://web.example/*";
    takes = 30s;
    send_to(20);
    time.advance(29s + 500ms);
    EXPECT_EQ(posts, 1u);
    time.advance(10min);
    EXPECT_EQ(posts, 20u);
    EXPECT_EQ(most, 1u);
}

// Somebody who has many domains has reports sent to somebody else.
TEST_F(ReportSenderTest, NobodyIsFlooded) {
    record = "v=TLSRPTv1; rua=mailto:Victim@web.example";
    send_to(60);
    time.advance(1min);
    record = "v=TLSRPTv1; rua=mailto:victim@web.example";
    send_to(60);
    time.advance(1min);
    EXPECT_EQ(mailed["Victim@web.example"] + mailed["victim@web.example"],
              ReportSender::mailbox_limit);
    EXPECT_EQ(counters["policy.reports.withheld"], 70u);
    record = "v=TLSRPTv1; rua=mailto:victim+*@web.example";
    send_to(600);
    time.advance(10min);
    size_t sum = 0;
    for (const auto& [mailbox, count] : mailed)
        sum += count;
    EXPECT_EQ(sum, ReportSender::host_limit);
    record = "v=TLSRPTv1; rua=https://web.example:8443/*";
    send_to(600);
    time.advance(10min);
    EXPECT_EQ(posts, ReportSender::host_limit);
    EXPECT_EQ(tasks.size(), 0u) << "they are not tried again";
    time.advance(24h);
    send("d.example");
    time.advance(1s);
    EXPECT_EQ(posts, ReportSender::host_limit + 1) << "it is another day";
}

// Further tries are no further reports.
TEST_F(ReportSenderTest, TriesAreNotCounted) {
    status = 503;
    record = "v=TLSRPTv1; rua=https://web.example/*";
    send_to(ReportSender::host_limit);
    time.advance(24h + 1h);
    EXPECT_EQ(posts, ReportSender::host_limit * ReportSender::tries);
    EXPECT_EQ(counters["policy.reports.withheld"], 0u);
}

// An operator's impatience is one try more, and moves none of the others.
TEST_F(ReportSenderTest, HurryUsesUpNoTry) {
    status = 503;
    send("d.example", 1h);
    for (int i = 0; i < 30; ++i) {
        EXPECT_EQ(sender.hurry("d.example"), 1u);
        time.advance(10s);
    }
    EXPECT_EQ(posts, 30u);
    time.advance(54min);
    EXPECT_EQ(posts, 30u);
    time.advance(1min);
    EXPECT_EQ(posts, 31u) << "at the time that it was for";
    EXPECT_EQ(sender.hurry(""), 1u);
    time.advance(44min + 50s);
    EXPECT_EQ(posts, 32u);
    time.advance(1min);
    EXPECT_EQ(posts, 33u);
    time.advance(23h);
    EXPECT_EQ(posts, 30u + ReportSender::tries + 1);
    EXPECT_EQ(tasks.size(), 0u);
}

TEST_F(ReportSenderTest, NotIntoOurOwnNetworks) {
    for (const char* private_address : {"127.0.0.1", "10.1.2.3", "::1", "fe80::1"}) {
        address = private_address;
        send("d.example");
        time.advance(1min);
    }
    EXPECT_EQ(posts, 0u);
    address = "192.0.2.80";
    time.advance(24h);
    EXPECT_EQ(posts, 4u);
}

} // namespace
} // namespace postern::policy
