// Finding policies (RFC 8461 3 and 5.1), in simulated time.
#include "smtpd/policy/policies.h"

#include <fcntl.h>
#include <filesystem>
#include <gtest/gtest.h>

#include "regress/support/simulated_time.h"

namespace postern::policy {
namespace {

using namespace std::chrono_literals;

constexpr const char* good = "version: STSv1\nmode: enforce\nmx: mx.d.example\nmax_age: 604800\n";

class PoliciesTest : public testing::Test {
  protected:
    PoliciesTest() : store(open_directory(), time.wall_seconds()) {}
    ~PoliciesTest() override { std::filesystem::remove_all(path); }

    FileDescriptor open_directory() {
        path = std::filesystem::temp_directory_path() / "postern-policies.XXXXXX";
        EXPECT_NE(mkdtemp(path.data()), nullptr);
        return FileDescriptor(::open(path.c_str(), O_RDONLY | O_DIRECTORY));
    }

    Policies::World world() {
        return {.resolve = [this](ipc::ResolveQuery query,
                                  Duration) { return resolve(std::move(query)); },
                .send = [this](HttpsRequest request) { return send(std::move(request)); },
                .report =
                    [this](const std::string& domain, ipc::TlsResult how, const std::string& why) {
                        EXPECT_EQ(domain, "d.example");
                        EXPECT_NE(why, "");
                        reported.push_back(how);
                    }};
    }

    Task<ipc::ResolveAnswer> resolve(ipc::ResolveQuery query) {
        ipc::ResolveAnswer answer;
        answer.status = ipc::ResolveStatus::no_data;
        if (query.type == ipc::RecordType::txt && query.name == "_mta-sts.d.example") {
            answer.status = record_status;
            if (record_status == ipc::ResolveStatus::ok)
                answer.records.emplace_back().data = record;
        } else if (query.type == ipc::RecordType::a && query.name == "mta-sts.d.example") {
            answer.status = ipc::ResolveStatus::ok;
            answer.records.emplace_back().address = *IpAddress::parse("10.0.0.1");
            if (is_public)
                answer.records.emplace_back().address = *IpAddress::parse("192.0.2.80");
        }
        co_return answer;
    }

    Task<Result<HttpsReply>> send(HttpsRequest request) {
        fetched += request.host + request.path + " ";
        for (const IpAddress& address : request.addresses)
            fetched += address.to_string() + " ";
        co_await time.sleep(takes);
        if (!broken.empty())
            co_return Error{broken, error_code};
        co_return reply;
    }

    Task<void> ask(std::string domain, std::string& answer) {
        ipc::PolicyAnswer found = co_await policies.find(std::move(domain));
        answer = !found.known              ? "later"
                 : found.policy.id.empty() ? "none"
                                           : found.policy.id + " " + found.policy.mx.at(0);
    }
    std::string find(const std::string& domain) {
        std::string answer = "(no answer)";
        tasks.spawn(ask(domain, answer));
        time.run();
        for (int i = 0; answer == "(no answer)" && time.advance_to_next_timer(); ++i)
            time.run();
        return answer;
    }

    void publish(const std::string& id, const std::string& text) {
        record_status = ipc::ResolveStatus::ok;
        record = "v=STSv1; id=" + id + ";";
        reply = {200, "text/plain", text};
    }

    test::SimulatedTime time;
    std::string path;
    ipc::ResolveStatus record_status = ipc::ResolveStatus::no_data;
    std::string record;
    bool is_public = true; // one of the addresses of the web server
    HttpsReply reply;
    std::string broken;
    int error_code = 0;
    std::vector<ipc::TlsResult> reported;
    Duration takes{0};
    std::string fetched;
    PolicyStore store;
    Counters counters;
    Policies policies{time, store, world(), counters};
    TaskGroup tasks;
};

// Whoever has a domain does not have us talk to what is on our own networks.
TEST_F(PoliciesTest, FetchesFromPublicAddresses) {
    is_public = false;
    publish("one", good);
    EXPECT_EQ(find("d.example"), "none");
    EXPECT_EQ(fetched, "");
    EXPECT_EQ(reported.size(), 1u);
    is_public = true;
    publish("two", good);
    EXPECT_EQ(find("d.example"), "two mx.d.example");
    EXPECT_EQ(fetched, "mta-sts.d.example/.well-known/mta-sts.txt 192.0.2.80 ");
}

TEST_F(PoliciesTest, FetchesWhatTheRecordAnnounces) {
    EXPECT_EQ(find("d.example"), "none");
    EXPECT_EQ(fetched, "") << "without a record nobody is asked";
    publish("one", good);
    EXPECT_EQ(find("D.Example."), "one mx.d.example");
    EXPECT_EQ(fetched, "mta-sts.d.example/.well-known/mta-sts.txt 192.0.2.80 ");
    EXPECT_EQ(find("d.example"), "one mx.d.example");
    EXPECT_EQ(fetched.size(),
              std::string("mta-sts.d.example/.well-known/mta-sts.txt 192.0.2.80 ").size())
        << "it is kept";
    EXPECT_EQ(find("nobody.example"), "none");
    EXPECT_EQ(find("no domain"), "none");
}

// Whoever cuts the domain off gains nothing (10.2).
TEST_F(PoliciesTest, WhatIsKeptCountsUntilItIsOver) {
    publish("one", good);
    EXPECT_EQ(find("d.example"), "one mx.d.example");
    for (const ipc::ResolveStatus status :
         {ipc::ResolveStatus::no_data, ipc::ResolveStatus::no_domain, ipc::ResolveStatus::temporary,
          ipc::ResolveStatus::bogus}) {
        record_status = status;
        EXPECT_EQ(find("d.example"), "one mx.d.example");
    }
    publish("two", "");
    broken = "connection refused";
    EXPECT_EQ(find("d.example"), "one mx.d.example");
    time.advance(std::chrono::hours(24 * 7));
    EXPECT_EQ(find("d.example"), "none");
}

TEST_F(PoliciesTest, ANewRecordBringsTheNewPolicy) {
    publish("one", good);
    EXPECT_EQ(find("d.example"), "one mx.d.example");
    publish("two", "version: STSv1\nmode: none\nmx: new.d.example\nmax_age: 60\n");
    EXPECT_EQ(find("d.example"), "two new.d.example");
}

// The same record: it is fetched anew once a day, and nobody waits for that.
TEST_F(PoliciesTest, IsRefreshed) {
    publish("one", good);
    EXPECT_EQ(find("d.example"), "one mx.d.example");
    fetched.clear();
    time.advance(23h);
    EXPECT_EQ(find("d.example"), "one mx.d.example");
    EXPECT_EQ(fetched, "");
    time.advance(2h);
    takes = 10s;
    const Duration before = time.elapsed();
    EXPECT_EQ(find("d.example"), "one mx.d.example");
    EXPECT_EQ(time.elapsed(), before);
    EXPECT_NE(fetched, "");
    time.advance(11s);
    EXPECT_EQ(policies.fetching(), 0u);
    time.advance(std::chrono::hours(24 * 6));
    EXPECT_EQ(find("d.example"), "one mx.d.example") << "it holds from when it was fetched last";
}

TEST_F(PoliciesTest, AFailureIsRememberedForItsRecord) {
    using enum ipc::TlsResult; // that the domain is told of (RFC 8460 4.3.2.2)
    struct Row {
        const char* broken;
        HttpsReply reply;
        ipc::TlsResult told = sts_policy_fetch_error;
        int error_code = 0;
    };
    const Row rows[] = {
        {"connection refused", {}},
        {"", {404, "text/plain", good}},
        {"", {301, "text/plain", good}},
        {"", {200, "text/html", good}},
        {"the certificate is another's", {}, sts_webpki_invalid, HttpsClient::not_verified},
        {"", {200, "", good}},
        {"", {200, "text/plain", "version: STSv1\n"}, sts_policy_invalid},
    };
    int id = 0;
    for (const Row& row : rows) {
        publish(std::to_string(++id), good);
        broken = row.broken;
        error_code = row.error_code;
        reply = row.reply;
        EXPECT_EQ(find("d.example"), "none") << id;
        ASSERT_EQ(reported.size(), static_cast<size_t>(id));
        EXPECT_EQ(reported.back(), row.told) << id;
        fetched.clear();
        EXPECT_EQ(find("d.example"), "none") << id;
        EXPECT_EQ(fetched, "") << id;
    }
    EXPECT_EQ(counters["policy.failed"], std::size(rows));
    broken.clear();
    reply = {200, "TEXT/plain; charset=utf-8", good};
    EXPECT_EQ(find("d.example"), "none");
    time.advance(5min);
    EXPECT_EQ(find("d.example"), "7 mx.d.example");
}

// One fetch for all who ask; each has an answer in time.
TEST_F(PoliciesTest, WaitsNoLongerThanItMay) {
    publish("one", good);
    takes = 20s;
    std::string first = "(no answer)", second = first;
    tasks.spawn(ask("d.example", first));
    tasks.spawn(ask("d.example", second));
    time.run();
    EXPECT_EQ(policies.fetching(), 1u);
    time.advance(19s);
    EXPECT_EQ(second, "(no answer)");
    time.advance(1s);
    EXPECT_EQ(first, "one mx.d.example");
    EXPECT_EQ(second, "one mx.d.example");
    EXPECT_EQ(fetched.find("mta-sts", 10), std::string("mta-sts.d.example/.well-known/").size())
        << fetched;

    publish("two", good);
    takes = 10min; // libcurl has a limit of its own; without it there is this one
    first = "(no answer)";
    tasks.spawn(ask("d.example", first));
    time.advance(Policies::answer_limit);
    EXPECT_EQ(first, "one mx.d.example");
}

} // namespace
} // namespace postern::policy
