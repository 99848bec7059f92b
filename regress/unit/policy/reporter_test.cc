// When reports on TLS go out (RFC 8460 4.1 and 5.5), and what a restart makes of it.
#include "smtpd/policy/reporter.h"

#include <algorithm>
#include <fcntl.h>
#include <fstream>
#include <optional>
#include <sstream>
#include <sys/syscall.h>
#include <unistd.h>

#include "regress/support/simulated_time.h"
#include "regress/unit/policy/report_fixture.h"

namespace {

size_t syncs = 0;

} // namespace

// Waits for the disk, counted, in place of the C library's.
extern "C" int fsync(int file) {
    ++syncs;
    return static_cast<int>(syscall(SYS_fsync, file));
}
extern "C" int fdatasync(int file) {
    ++syncs;
    return static_cast<int>(syscall(SYS_fdatasync, file));
}

namespace postern::policy {
namespace {

using namespace std::chrono_literals;

class ReporterTest : public testing::Test {
  protected:
    ReporterTest() { start(); }

    ReportSender::World world() {
        return {.resolve = [this](ipc::ResolveQuery query,
                                  Duration) { return resolve(std::move(query)); },
                .send = [this](HttpsRequest request) { return send(std::move(request)); },
                .mail =
                    [this](std::string mailbox, std::string message) {
                        return mail(std::move(mailbox), std::move(message));
                    },
                .random = [this] { return random + 14400 * calls++; }}; // no other time of a spread
    }
    Task<ipc::ResolveAnswer> resolve(ipc::ResolveQuery query) {
        ipc::ResolveAnswer answer;
        answer.status = ipc::ResolveStatus::no_data;
        if (query.name == "_smtp._tls.d.example")
            answer = text_answer(record);
        if (query.name == "_smtp._tls.d.example" && record.empty())
            answer.status = ipc::ResolveStatus::temporary;
        if (!everybody.empty() && query.type == ipc::RecordType::txt)
            answer = text_answer(everybody);
        if (query.name == "_smtp._tls.e.example")
            answer = text_answer("v=TLSRPTv1; rua=https://web.d.example/e");
        if (query.name == "web.d.example" && query.type == ipc::RecordType::a) {
            answer = text_answer("");
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

    void start() {
        FileDescriptor files(open(directory.path().c_str(), O_RDONLY | O_DIRECTORY));
        reporter.emplace(time, "gw.example", world(), ReportStore(std::move(files)), counters);
    }
    void crash() { reporter.reset(); }
    void end() {
        reporter->save();
        reporter.reset();
    }
    void restart() {
        end();
        start();
    }
    std::string files() const {
        std::set<std::string> names;
        for (const auto& entry : std::filesystem::directory_iterator(directory.path()))
            names.insert(entry.path().filename().string() + " ");
        std::string text;
        for (const std::string& name : names)
            text += name;
        return text;
    }
    std::string json(size_t index) const { return unzipped(posted.at(index).body); }
    // The value of a member, as it is written.
    static std::string member(const std::string& json, const std::string& name) {
        const size_t begin = json.find("\"" + name + "\": ") + name.size() + 4;
        return json.substr(begin, json.find_first_of(",\n", begin) - begin);
    }
    std::string successes(size_t index) const {
        return member(json(index), "total-successful-session-count");
    }
    ipc::SessionResult session_of(const std::string& domain) const {
        ipc::SessionResult result = session();
        result.domain = domain;
        return result;
    }

    test::SimulatedTime time; // noon
    TestDirectory directory;
    std::string record = "v=TLSRPTv1; rua=https://web.d.example/in";
    std::string everybody; // the record of all
    long status = 201;
    uint64_t random = 3600; // seconds
    uint64_t calls = 0;
    std::vector<HttpsRequest> posted;
    std::vector<std::pair<std::string, std::string>> mailed;
    Counters counters;
    std::optional<Reporter> reporter;
};

TEST_F(ReporterTest, OnceADay) {
    reporter->add(session());
    time.advance(12h + 59min);
    EXPECT_TRUE(posted.empty());
    time.advance(2min);
    ASSERT_EQ(posted.size(), 1u);
    EXPECT_EQ(posted[0].host + posted[0].path, "web.d.example/in");
    EXPECT_EQ(posted[0].content_type, "application/tlsrpt+gzip");
    EXPECT_EQ(successes(0), "1");
    EXPECT_EQ(member(json(0), "start-datetime"), "\"2026-11-23T00:00:00Z\"");
    EXPECT_EQ(member(json(0), "end-datetime"), "\"2026-11-23T23:59:59Z\"");
    time.advance(48h);
    EXPECT_EQ(posted.size(), 1u) << "there was nothing to tell";
    EXPECT_EQ(reporter->open(), 0u);
    EXPECT_EQ(files(), "");
    reporter->add(session());
    time.advance(24h);
    EXPECT_EQ(posted.size(), 2u);
    EXPECT_EQ(counters["policy.reports.sent"], 2u);
}

TEST_F(ReporterTest, WhoDoesNotAskIsNotTold) {
    record = "v=spf1 -all";
    reporter->add(session());
    time.advance(24h);
    EXPECT_TRUE(posted.empty() && mailed.empty());
    EXPECT_EQ(reporter->open(), 0u);
    EXPECT_EQ(files(), "");
}

// At intervals that grow: 0:45, 1:30, 3, 6 and 12 hours.
TEST_F(ReporterTest, IsTriedForADay) {
    status = 503;
    reporter->add(session());
    time.advance(13h + 44min);
    EXPECT_EQ(posted.size(), 1u);
    time.advance(1min);
    EXPECT_EQ(posted.size(), 2u);
    time.advance(90min);
    EXPECT_EQ(posted.size(), 3u);
    status = 200;
    time.advance(24h);
    EXPECT_EQ(posted.size(), 4u);
    EXPECT_EQ(counters["policy.reports.failed"], 0u);
    status = 404;
    reporter->add(session());
    time.advance(48h);
    EXPECT_EQ(posted.size(), 4u + ReportSender::tries);
    EXPECT_EQ(counters["policy.reports.failed"], 1u);
    EXPECT_EQ(reporter->open(), 0u);
    EXPECT_EQ(files(), "");
}

TEST_F(ReporterTest, WhatTheDnsDoesNotKnowNowIsAskedLater) {
    record.clear();
    reporter->add(session());
    time.advance(13h + 1min);
    EXPECT_EQ(reporter->open(), 1u);
    record = "v=TLSRPTv1; rua=https://web.d.example/in";
    time.advance(1h);
    EXPECT_EQ(posted.size(), 1u);
}

TEST_F(ReporterTest, ByMail) {
    record = "v=TLSRPTv1; rua=mailto:reports@d.example";
    reporter->add(session(ipc::TlsResult::certificate_expired));
    time.advance(24h);
    ASSERT_EQ(mailed.size(), 1u);
    EXPECT_EQ(mailed[0].first, "reports@d.example");
    EXPECT_NE(mailed[0].second.find("To: <reports@d.example>\r\n"), std::string::npos);
}

// What was counted goes on over a restart, and over a crash but for the last minute.
TEST_F(ReporterTest, CountsOutlastTheProcess) {
    reporter->add(session());
    reporter->add(session(ipc::TlsResult::certificate_expired));
    restart();
    reporter->add(session());
    time.advance(Reporter::save_after);
    reporter->add(session());
    crash();
    start();
    time.advance(13h);
    ASSERT_EQ(posted.size(), 1u);
    EXPECT_EQ(successes(0), "2");
    EXPECT_EQ(member(json(0), "total-failure-session-count"), "1");
    EXPECT_NE(json(0).find(R"(
    {
     "result-type": "certificate-expired",
     "sending-mta-ip": "2001:db8::1",
     "receiving-mx-hostname": "mx.d.example",
     "receiving-ip": "192.0.2.1",
     "failed-session-count": 1,
     "failure-reason-code": "certificate has expired"
    })"),
              std::string::npos)
        << json(0);
    EXPECT_EQ(files(), "");
}

// A day that ended while nobody was there is told of late.
TEST_F(ReporterTest, LateRatherThanNever) {
    reporter->add(session());
    end();
    time.advance(30h);
    random = 599;
    start();
    time.advance(9min);
    EXPECT_TRUE(posted.empty());
    time.advance(1min);
    ASSERT_EQ(posted.size(), 1u);
    EXPECT_EQ(member(json(0), "start-datetime"), "\"2026-11-23T00:00:00Z\"");
    reporter->add(session());
    end();
    time.advance(24h + Reporter::too_late + 24h);
    start();
    time.advance(24h);
    EXPECT_EQ(posted.size(), 1u) << "nobody wants to know any more";
    EXPECT_EQ(files(), "");
}

// Shortly after midnight there is time until four.
TEST_F(ReporterTest, TheSpreadIsThatOfTheDay) {
    reporter->add(session());
    end();
    time.advance(15h); // 3:00
    random = 3599;
    start();
    time.advance(59min);
    EXPECT_TRUE(posted.empty());
    time.advance(1min);
    EXPECT_EQ(posted.size(), 1u);
}

// A restart between sending and the end of it, or between two places, tells nobody twice.
TEST_F(ReporterTest, WhoWasToldIsNotToldAgain) {
    record = "v=TLSRPTv1; rua=https://web.d.example/in,mailto:reports@d.example";
    status = 500;
    reporter->add(session());
    reporter->add(session_of("e.example"));
    time.advance(13h + 1min);
    EXPECT_EQ(mailed.size(), 1u);
    EXPECT_EQ(posted.size(), 2u);
    crash();
    status = 200;
    start();
    time.advance(4h);
    EXPECT_EQ(mailed.size(), 1u) << "it had been sent";
    ASSERT_EQ(posted.size(), 4u);
    std::set<std::string> first, second;
    for (size_t i = 0; i < 4; ++i)
        (i < 2 ? first : second).insert(member(json(i), "report-id"));
    EXPECT_EQ(first, second) << "the same report has the same Report-ID (5.3)";
    EXPECT_EQ(first.size(), 2u);
    EXPECT_EQ(files(), "");
}

// One domain is done with, another is not.
TEST_F(ReporterTest, IsMarkedByDomain) {
    record = "v=TLSRPTv1; rua=mailto:reports@d.example";
    status = 500;
    reporter->add(session());
    reporter->add(session_of("e.example"));
    time.advance(13h + 1min);
    EXPECT_EQ(reporter->open(), 1u);
    for (int i = 0; i < 3; ++i) {
        crash();
        start();
        EXPECT_EQ(reporter->open(), 1u);
        time.advance(4h);
    }
    EXPECT_EQ(mailed.size(), 1u);
    status = 200;
    time.advance(24h);
    EXPECT_EQ(files(), "");
}

TEST_F(ReporterTest, AnOperatorHasThemSentNow) {
    EXPECT_EQ(reporter->send_now(""), 0u);
    reporter->add(session());
    reporter->add(session_of("e.example"));
    time.advance(1h);
    EXPECT_EQ(reporter->send_now("f.example"), 0u);
    EXPECT_EQ(reporter->send_now("d.example"), 1u);
    time.advance(1s);
    ASSERT_EQ(posted.size(), 1u);
    EXPECT_EQ(posted[0].path, "/in");
    EXPECT_EQ(member(json(0), "start-datetime"), "\"2026-11-23T00:00:00Z\"");
    EXPECT_EQ(member(json(0), "end-datetime"), "\"2026-11-23T12:59:59Z\"");
    EXPECT_EQ(reporter->send_now("d.example"), 0u) << "it was told";
    // The rest of the day is another report, also over a restart.
    random = 7200;
    reporter->add(session());
    restart();
    reporter->add(session());
    time.advance(24h);
    ASSERT_EQ(posted.size(), 3u);
    const size_t rest = posted[1].path == "/in" ? 1 : 2;
    EXPECT_EQ(successes(rest), "2");
    EXPECT_EQ(member(json(rest), "start-datetime"), "\"2026-11-23T13:00:00Z\"");
    EXPECT_EQ(member(json(rest), "end-datetime"), "\"2026-11-23T23:59:59Z\"");
    EXPECT_NE(member(json(rest), "report-id"), member(json(0), "report-id"));
    EXPECT_EQ(member(json(3 - rest), "start-datetime"), "\"2026-11-23T00:00:00Z\"");
    EXPECT_EQ(files(), "");
}

// What waits for its time or for another try is sent too.
TEST_F(ReporterTest, AnOperatorHurriesOnWhatWaits) {
    status = 500;
    reporter->add(session());
    reporter->add(session_of("e.example"));
    time.advance(12h + 1min);
    EXPECT_EQ(reporter->send_now("d.example"), 1u);
    time.advance(1s);
    EXPECT_EQ(posted.size(), 1u);
    status = 200;
    EXPECT_EQ(reporter->send_now(""), 2u);
    EXPECT_EQ(reporter->send_now(""), 0u) << "they are on their way";
    time.advance(1s);
    EXPECT_EQ(posted.size(), 3u);
    EXPECT_EQ(reporter->open(), 0u);
    EXPECT_EQ(files(), "");
}

// A crash right after the order loses nothing.
TEST_F(ReporterTest, WhatAnOperatorHasSentOutlastsACrash) {
    status = 500;
    reporter->add(session());
    EXPECT_EQ(reporter->send_now(""), 1u);
    time.advance(1s);
    crash();
    status = 200;
    start();
    time.advance(4h);
    ASSERT_EQ(posted.size(), 2u);
    EXPECT_EQ(member(json(0), "report-id"), member(json(1), "report-id"));
    time.advance(24h);
    EXPECT_EQ(posted.size(), 2u);
    EXPECT_EQ(files(), "");
}

TEST_F(ReporterTest, ManyAreNotSentAllAtOnce) {
    for (int i = 0; i < 200; ++i)
        reporter->add(session_of("e.example"));
    for (int i = 0; i < 200; ++i)
        reporter->add(session_of(std::to_string(i) + ".example"));
    EXPECT_EQ(reporter->send_now(""), 201u);
    time.advance(100 * ReportSender::pace);
    EXPECT_GT(reporter->open(), 50u);
    EXPECT_LT(reporter->open(), 150u);
    time.advance(102 * ReportSender::pace);
    EXPECT_EQ(reporter->open(), 0u);
}

// Whatever somebody did to the files, the process starts.
TEST_F(ReporterTest, WhatIsDamagedIsPutAside) {
    reporter->add(session());
    end();
    const std::string today = directory.path() + "/.tls-today";
    std::stringstream content;
    content << std::ifstream(today).rdbuf();
    const std::string good = content.str();
    ASSERT_NE(good.find("\"d.example\""), std::string::npos);
    std::vector<std::string> bad = {"",
                                    "{}",
                                    "[1,2]",
                                    good.substr(0, good.size() / 2),
                                    std::string(100'000, '['),
                                    std::string(100, '\xff')};
    const std::pair<const char*, const char*> changes[] = {{"\"sts\"", "\"other\""},
                                                           {"\"sts\"", "7"},
                                                           {"\"begin\": 1", "\"begin\": \"1"},
                                                           {"\"end\": 1", "\"end\": -1"},
                                                           {"d.example\"", "d/../example\""},
                                                           {"\"id\": \"", "\"id\": \"x"},
                                                           {"\"total-", "\"-"},
                                                           {"\"domains\": [", "\"domains\": [1,"}};
    for (const auto& [from, to] : changes) {
        std::string changed = good;
        ASSERT_NE(changed.find(from), std::string::npos) << from;
        bad.push_back(changed.replace(changed.find(from), std::string(from).size(), to));
    }
    for (const std::string& text : bad) {
        std::ofstream(today) << text;
        start();
        EXPECT_EQ(files(), ".tls-damaged ") << text;
        end();
    }
    std::ofstream(directory.path() + "/.tls-0123456789abcdef") << "{";
    std::ofstream(directory.path() + "/.tls-0123456789abcdee.told") << "d.example\n";
    std::ofstream(today) << good;
    start();
    EXPECT_EQ(files(), ".tls-damaged .tls-today ");
    time.advance(24h);
    EXPECT_EQ(posted.size(), 1u);
}

// What is written is whole, but cannot take its place.
TEST_F(ReporterTest, AnOrderHalfDoneIsNotDone) {
    std::filesystem::create_directories(directory.path() + "/.tls-today/in-the-way");
    status = 500;
    reporter->add(session());
    reporter->add(session_of("e.example"));
    EXPECT_EQ(reporter->send_now("d.example"), 1u);
    EXPECT_EQ(files(), ".tls-new .tls-today ") << "it is in one place";
    time.advance(1s);
    EXPECT_EQ(posted.size(), 1u);
    std::filesystem::remove_all(directory.path() + "/.tls-today");
    time.advance(Reporter::save_after);
    EXPECT_EQ(files(), ".tls-today ");
    crash();
    status = 200;
    start();
    time.advance(24h);
    ASSERT_EQ(posted.size(), 2u);
    EXPECT_EQ(posted[1].path, "/e");
    EXPECT_NE(member(json(0), "report-id").substr(19), member(json(1), "report-id").substr(19));
    EXPECT_EQ(files(), "");
}

// The process ended between the two files of an order.
TEST_F(ReporterTest, NoTwoBatchesHaveOneId) {
    reporter->add(session());
    reporter->add(session_of("e.example"));
    end();
    {
        ReportStore store(FileDescriptor(open(directory.path().c_str(), O_RDONLY | O_DIRECTORY)));
        Batch part = *store.read().today;
        part.counts.erase("e.example");
        EXPECT_TRUE(store.write(part));
    }
    status = 500;
    start();
    reporter->add(session());
    time.advance(2min);
    restart(); // and nothing is left of it
    time.advance(24h);
    status = 200;
    time.advance(24h);
    std::map<std::string, std::string> reports; // by id: what they are about, and how much
    for (size_t i = 0; i < posted.size(); ++i) {
        const std::string told = posted[i].path + " " + successes(i);
        EXPECT_EQ(reports.try_emplace(member(json(i), "report-id"), told).first->second, told);
    }
    std::vector<std::string> told;
    for (const auto& [id, what] : reports)
        told.push_back(what);
    std::sort(told.begin(), told.end());
    EXPECT_EQ(told, (std::vector<std::string>{"/e 1", "/in 1", "/in 1"}));
    EXPECT_EQ(files(), "");
}

TEST_F(ReporterTest, WhatCouldNotBeSavedIsSavedLater) {
    std::filesystem::create_directories(directory.path() + "/.tls-new/in-the-way");
    reporter->add(session());
    time.advance(2min);
    std::filesystem::remove_all(directory.path() + "/.tls-new");
    time.advance(Reporter::save_after);
    crash();
    start();
    time.advance(24h);
    EXPECT_EQ(posted.size(), 1u);
}

TEST_F(ReporterTest, ADayThatCouldNotBeSavedIsWrittenAtItsEnd) {
    std::filesystem::create_directories(directory.path() + "/.tls-today/in-the-way");
    reporter->add(session());
    time.advance(12h + 30min);
    EXPECT_TRUE(posted.empty());
    crash();
    std::filesystem::remove_all(directory.path() + "/.tls-today");
    start();
    time.advance(4h);
    EXPECT_EQ(posted.size(), 1u);
    EXPECT_EQ(files(), "");
}

// The other processes wait for the one loop that waits for the disk.
TEST_F(ReporterTest, NotEachMarkWaitsForTheDisk) {
    for (int i = 0; i < 40; ++i)
        reporter->add(session_of(std::to_string(i) + ".example"));
    everybody = "v=TLSRPTv1; rua=mailto:reports@d.example,https://web.d.example/in";
    status = 500; // they go on
    EXPECT_EQ(reporter->send_now(""), 40u);
    syncs = 0;
    time.advance(40 * ReportSender::pace + Reporter::sync_after);
    EXPECT_EQ(mailed.size(), 40u);
    EXPECT_GE(syncs, 2u);
    EXPECT_LE(syncs, 10u);
    syncs = 0;
    everybody.clear(); // who does not ask any more is done with
    time.advance(1h);
    EXPECT_EQ(reporter->open(), 0u);
    EXPECT_EQ(syncs, 0u);
    EXPECT_EQ(files(), ".tls-today ");
}

TEST_F(ReporterTest, WhatIsNotCountedIsCounted) {
    const auto too_many = [&] {
        for (size_t i = 0; i < Tally::domain_limit + 3; ++i)
            reporter->add(session_of(std::to_string(i) + ".example"));
    };
    const std::string words = "more to tell in reports on TLS than is counted";
    testing::internal::CaptureStderr();
    too_many();
    reporter->add(session_of("a_.b..example")); // it is none
    reporter->add(session());
    const std::string log = testing::internal::GetCapturedStderr();
    EXPECT_EQ(counters["policy.reports.dropped"], 4u);
    EXPECT_NE(log.find(words), log.npos);
    EXPECT_EQ(log.find(words), log.rfind(words)) << "it is said once a day";
    time.advance(12h);
    testing::internal::CaptureStderr();
    too_many();
    EXPECT_NE(testing::internal::GetCapturedStderr().find(words), log.npos);
    EXPECT_EQ(counters["policy.reports.dropped"], 7u);
}

TEST_F(ReporterTest, ADiskThatTakesNothingStopsNobody) {
    std::filesystem::create_directories(directory.path() + "/.tls-new/in-the-way");
    reporter->add(session());
    time.advance(2min);
    EXPECT_EQ(reporter->send_now(""), 1u);
    reporter->add(session());
    time.advance(24h);
    ASSERT_EQ(posted.size(), 2u);
    EXPECT_EQ(successes(1), "1");
}

// At the start of the machine the clock may be far ahead, until somebody sets it.
TEST_F(ReporterTest, AWrongClockRemovesNothing) {
    status = 500;
    reporter->add(session());
    time.advance(13h + 1min);
    EXPECT_EQ(posted.size(), 1u);
    reporter->add(session());
    end();
    status = 200;
    time.set_clock(1000 * 86400);
    start();
    time.advance(5h);
    restart();
    time.advance(20h);
    EXPECT_EQ(posted.size(), 1u);
    time.set_clock(-1000 * 86400);
    time.advance(5h + 1min);
    EXPECT_EQ(posted.size(), 3u);
    EXPECT_EQ(reporter->open(), 0u);
    EXPECT_EQ(files(), "");
}

// Where it never runs for so long, days would become more and more.
TEST_F(ReporterTest, FewDaysArePutAside) {
    status = 500;
    for (size_t day = 0; day < Reporter::aside_limit + 3; ++day) {
        reporter->add(session());
        end();
        time.set_clock(86400);
        start();
    }
    time.set_clock(30 * 86400);
    restart();
    const std::string left = files();
    size_t count = 0;
    for (size_t at = left.find(".tls-"); at != left.npos; at = left.find(".tls-", at + 1))
        ++count;
    EXPECT_EQ(count, Reporter::aside_limit) << left;
}

// Nothing was counted since a time that is yet to come.
TEST_F(ReporterTest, ReportsBeginInThePast) {
    reporter->add(session_of("e.example"));
    EXPECT_EQ(reporter->send_now(""), 1u); // the rest of the day begins now
    reporter->add(session());
    reporter->save();
    time.set_clock(-3600);
    reporter->add(session_of("e.example"));
    time.advance(1s);
    EXPECT_EQ(reporter->send_now("d.example"), 1u);
    time.advance(1s);
    ASSERT_EQ(posted.size(), 2u);
    EXPECT_EQ(member(json(1), "start-datetime"), "\"2026-11-23T00:00:00Z\"");
    EXPECT_EQ(member(json(1), "end-datetime"), "\"2026-11-23T11:00:00Z\"");
    end();
    time.set_clock(-86400);
    start();
    EXPECT_EQ(reporter->send_now(""), 1u);
    time.advance(1s);
    ASSERT_EQ(posted.size(), 3u);
    EXPECT_EQ(member(json(2), "start-datetime"), "\"2026-11-22T00:00:00Z\"");
    EXPECT_EQ(member(json(2), "end-datetime"), "\"2026-11-22T11:00:01Z\"");
}

TEST_F(ReporterTest, TheClockIsSet) {
    reporter->add(session());
    time.advance(2min);
    time.set_clock(-86400); // yesterday
    reporter->add(session());
    time.advance(2min);
    EXPECT_TRUE(posted.empty());
    restart();
    time.set_clock(2 * 86400); // tomorrow
    reporter->add(session());
    time.advance(2h);
    ASSERT_EQ(posted.size(), 1u);
    EXPECT_EQ(successes(0), "3");
    end();
    time.set_clock(-86400);
    start();
    time.advance(24h);
    EXPECT_EQ(posted.size(), 1u);
    EXPECT_EQ(files(), "");
}

} // namespace
} // namespace postern::policy
