// libunbound against a real name server: that what it is told and what it answers is what the
// resolver takes it for.
#include "smtpd/resolver/unbound_backend.h"

#include <gtest/gtest.h>

#include <sys/socket.h>

#include "regress/unit/resolver/name_server.h"
#include "smtpd/resolver/resolver.h"

namespace postern {
namespace {

using namespace std::chrono_literals;
using ipc::RecordType;
using ipc::ResolveStatus;

class UnboundTest : public testing::Test {
  protected:
    static void SetUpTestSuite() {
        server_ = new test::NameServer;
        problem_ = new std::string(server_->start());
    }
    static void TearDownTestSuite() {
        delete server_;
        delete problem_;
    }
    void SetUp() override {
        if (problem_->starts_with("no "))
            GTEST_SKIP() << *problem_;
        ASSERT_EQ(*problem_, "");
        use({server_->endpoint()}, server_->trust_anchor());
    }

    void use(std::vector<Endpoint> servers, const std::string& anchor) {
        ipc::ResolverSettings settings;
        settings.mode = ResolverMode::forward;
        settings.forwarders = std::move(servers);
        settings.trust_anchor = anchor;
        auto setup = make_setup(settings, {});
        ASSERT_TRUE(setup.ok()) << setup.error().message;
        auto backend = UnboundBackend::open(
            loop_, *setup,
            [this](uint64_t id, const DnsBackend::Reply& reply) { resolver_->reply(id, reply); });
        ASSERT_TRUE(backend.ok()) << backend.error().message;
        resolver_->use_backend(std::move(*backend));
    }

    // "ok secure 10 mx1.test, 20 mx2.test"; the time limit of the resolver ends every wait.
    std::string ask(RecordType type, const std::string& what) {
        ipc::ResolveQuery query;
        query.type = type;
        query.name = what;
        if (type == RecordType::ptr)
            query.address = *IpAddress::parse(what);
        std::optional<ipc::ResolveAnswer> answer;
        const auto peer = resolver_->add_peer([&](ipc::ResolveAnswer given) {
            answer = std::move(given);
            loop_.stop();
        });
        EXPECT_TRUE(resolver_->ask(peer, query));
        loop_.run();
        resolver_->remove_peer(peer);
        return describe(*answer, type);
    }

    static std::string describe(const ipc::ResolveAnswer& answer, RecordType type) {
        constexpr const char* names[] = {"ok", "no_data", "no_domain", "temporary", "bogus"};
        std::string out = names[static_cast<int>(answer.status)];
        if (answer.secure)
            out += " secure";
        std::vector<std::string> lines;
        for (const auto& record : answer.records) {
            std::string line =
                type == RecordType::mx ? std::to_string(record.preference) + " " : "";
            line += record.address.version ? record.address.to_string() : record.name;
            lines.push_back(line + (type == RecordType::txt ? record.data : ""));
        }
        std::sort(lines.begin(), lines.end());
        for (const std::string& line : lines)
            out += " " + line + ";";
        return out;
    }

    static test::NameServer* server_;
    static std::string* problem_;
    EventLoop loop_;
    Counters counters_;
    std::unique_ptr<Resolver> resolver_ =
        std::make_unique<Resolver>(loop_, counters_, HostsFile{}, 10s);
};
test::NameServer* UnboundTest::server_ = nullptr;
std::string* UnboundTest::problem_ = nullptr;

TEST_F(UnboundTest, AnswersAndValidates) {
    struct {
        RecordType type;
        const char* what;
        const char* expected;
    } const cases[] = {
        {RecordType::mx, "d.test", "ok secure 10 mx1.test; 20 mx2.test;"},
        {RecordType::a, "mx1.test", "ok secure 192.0.2.1;"},
        {RecordType::aaaa, "mx1.test", "ok secure 2001:db8::1;"},
        {RecordType::aaaa, "mx2.test", "no_data secure"},
        {RecordType::mx, "mx1.test", "no_data secure"},
        {RecordType::mx, "absent.test", "no_domain secure"},
        {RecordType::a, "alias.test", "ok secure 192.0.2.1;"},
        {RecordType::cname, "alias.test", "ok secure mx1.test;"},
        {RecordType::a, "dangling.test", "no_domain secure"},
        {RecordType::mx, "nomail.test", "ok secure 0 ;"},
        {RecordType::txt, "d.test", "ok secure v=spf1 -all;"},
        // Signed by nobody.
        {RecordType::mx, "plain.test", "ok 5 host.plain.test;"},
        {RecordType::a, "absent.plain.test", "no_domain"},
        // The address was changed after signing.
        {RecordType::a, "forged.test", "bogus"},
        // Private networks are asked for like others.
        {RecordType::ptr, "10.0.0.1", "ok mx1.test;"},
        // A zone that the server does not have.
        {RecordType::a, "a.invalid", "temporary"},
    };
    for (const auto& c : cases) {
        EXPECT_EQ(ask(c.type, c.what), c.expected) << c.what;
        // From the cache, which answers from inside the question.
        EXPECT_EQ(ask(c.type, c.what), c.expected) << c.what << " again";
    }
}

TEST_F(UnboundTest, GivesTheDataOfTlsaRecords) {
    ipc::ResolveQuery query;
    query.type = RecordType::tlsa;
    query.name = "_25._tcp.mx1.test";
    std::optional<ipc::ResolveAnswer> answer;
    const auto peer = resolver_->add_peer([&](ipc::ResolveAnswer given) {
        answer = std::move(given);
        loop_.stop();
    });
    ASSERT_TRUE(resolver_->ask(peer, query));
    loop_.run();
    ASSERT_EQ(answer->records.size(), 1u);
    EXPECT_TRUE(answer->secure);
    EXPECT_EQ(answer->records[0].data.size(), 35u);
    EXPECT_EQ(answer->records[0].data.substr(0, 3), "\3\1\1");
}

TEST_F(UnboundTest, WithoutATrustAnchorNothingIsSecureOrBogus) {
    use({server_->endpoint()}, "");
    EXPECT_EQ(ask(RecordType::a, "mx1.test"), "ok 192.0.2.1;");
    EXPECT_EQ(ask(RecordType::a, "forged.test"), "ok 192.0.2.67;");
}

TEST_F(UnboundTest, AnswersManyAtOnce) {
    size_t answered = 0;
    constexpr uint32_t questions = 1000;
    const auto peer = resolver_->add_peer([&](ipc::ResolveAnswer answer) {
        EXPECT_EQ(answer.status, ResolveStatus::no_domain);
        if (++answered == questions)
            loop_.stop();
    });
    for (uint32_t i = 0; i < questions; ++i) {
        ipc::ResolveQuery query;
        query.type = RecordType::mx;
        query.name = "n" + std::to_string(i) + ".plain.test";
        ASSERT_TRUE(resolver_->ask(peer, query));
    }
    loop_.run();
    EXPECT_EQ(answered, questions);
    EXPECT_EQ(counters_["resolver.failures"], 0u);
}

// A port where nobody answers: libunbound itself would try for 17 seconds.
TEST_F(UnboundTest, ADeadServerCostsNoMoreThanTheTimeLimit) {
    resolver_->reconfigure(HostsFile{}, 300ms);
    FileDescriptor silent(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    sockaddr_storage address{};
    unsigned size = Endpoint{*IpAddress::parse("127.0.0.1"), 0}.to_sockaddr(address);
    auto* raw = reinterpret_cast<sockaddr*>(&address);
    ASSERT_EQ(bind(silent.get(), raw, size), 0);
    ASSERT_EQ(getsockname(silent.get(), raw, &size), 0);
    use({*Endpoint::from_sockaddr(*raw)}, "");
    const auto start = Clock::now();
    EXPECT_EQ(ask(RecordType::a, "mx1.test"), "temporary");
    EXPECT_LT(Clock::now() - start, 5s);
    // Questions that are open move to the new servers.
    resolver_->reconfigure(HostsFile{}, 10s);
    ipc::ResolveQuery query;
    query.name = "mx2.test";
    std::optional<ipc::ResolveAnswer> answer;
    const auto peer = resolver_->add_peer([&](ipc::ResolveAnswer given) {
        answer = std::move(given);
        loop_.stop();
    });
    ASSERT_TRUE(resolver_->ask(peer, query));
    use({server_->endpoint()}, "");
    loop_.run();
    EXPECT_EQ(describe(*answer, RecordType::a), "ok 192.0.2.2;");
}

TEST(UnboundBackend, FindsWrongSettingsAtOnce) {
    EventLoop loop;
    DnsSetup setup;
    setup.anchors = {"this is no record"};
    EXPECT_FALSE(UnboundBackend::open(loop, setup, [](uint64_t, const auto&) {}).ok());
}

} // namespace
} // namespace postern
