// The whole process but for its main: questions over a channel, answers back.
#include "smtpd/resolver/service.h"

#include <gtest/gtest.h>

#include <sys/socket.h>

namespace postern {
namespace {

using namespace std::chrono_literals;

class ResolverServiceTest : public testing::Test {
  protected:
    using Client = ipc::Channel<ipc::FromResolver, ipc::ToResolver>;

    ResolverServiceTest() {
        // A name server that never says anything.
        sockaddr_storage address{};
        unsigned size = Endpoint{*IpAddress::parse("127.0.0.1"), 0}.to_sockaddr(address);
        auto* raw = reinterpret_cast<sockaddr*>(&address);
        EXPECT_EQ(bind(silent_.get(), raw, size), 0);
        EXPECT_EQ(getsockname(silent_.get(), raw, &size), 0);
        settings_.mode = ResolverMode::forward;
        settings_.forwarders = {*Endpoint::from_sockaddr(*raw)};
        settings_.timeout = 30s;
        settings_.hosts = "192.0.2.7 listed.test\n";
        const Result<void> done = service_.configure(settings_);
        EXPECT_TRUE(done.ok()) << done.error().message;
        client_ = connect(0);
    }

    std::unique_ptr<Client> connect(uint32_t index) {
        auto [ours, theirs] = ipc::make_pair();
        ipc::Connect connect;
        connect.role = ipc::Role::relay;
        connect.index = index;
        connect.channel = std::move(theirs);
        service_.connect(std::move(connect));
        return std::make_unique<Client>(
            loop_, std::move(ours),
            [this](ipc::FromResolver&& message) {
                answer_ = std::get<ipc::ResolveAnswer>(message);
                loop_.stop();
            },
            [this](const std::string&) {
                ++closed_;
                loop_.stop();
            });
    }
    static void ask(Client& client, const std::string& name) {
        ipc::ResolveQuery query;
        query.request = 5;
        query.name = name;
        client.send(std::move(query));
    }

    FileDescriptor silent_{socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)};
    EventLoop loop_;
    int drained_ = 0, closed_ = 0;
    ipc::ResolverSettings settings_;
    ResolverService service_{loop_, {}, [this] {
                                 ++drained_;
                                 loop_.stop();
                             }};
    std::optional<ipc::ResolveAnswer> answer_;
    std::unique_ptr<Client> client_;
};

TEST_F(ResolverServiceTest, AnswersOverTheChannel) {
    ask(*client_, "listed.test");
    loop_.run();
    ASSERT_TRUE(answer_);
    EXPECT_EQ(answer_->request, 5u);
    EXPECT_EQ(answer_->records.at(0).address.to_string(), "192.0.2.7");
}

TEST_F(ResolverServiceTest, APeerBeyondItsCreditLosesItsChannelAlone) {
    auto other = connect(1);
    for (uint32_t i = 0; i <= ipc::resolution_credit; ++i)
        ask(*client_, "n" + std::to_string(i) + ".test");
    loop_.run();
    EXPECT_EQ(closed_, 1);
    EXPECT_FALSE(answer_);
    ask(*other, "listed.test");
    loop_.run();
    EXPECT_TRUE(answer_);
}

TEST_F(ResolverServiceTest, ANewChannelReplacesTheOldOne) {
    auto successor = connect(0);
    loop_.run();
    EXPECT_EQ(closed_, 1); // the old one
    ask(*successor, "listed.test");
    loop_.run();
    EXPECT_TRUE(answer_);
}

TEST_F(ResolverServiceTest, ABadReloadLeavesTheFormerSettings) {
    ipc::ResolverSettings bad = settings_;
    bad.hosts = "";
    bad.trust_anchor = "nonsense";
    EXPECT_FALSE(service_.configure(bad).ok());
    ask(*client_, "listed.test");
    loop_.run();
    EXPECT_EQ(answer_->status, ipc::ResolveStatus::ok);
}

TEST_F(ResolverServiceTest, AReloadMovesOpenQuestionsToTheNewServers) {
    ask(*client_, "waiting.test");
    ipc::ResolverSettings changed = settings_;
    changed.timeout = 0s; // of new questions
    changed.forwarders.push_back(changed.forwarders.front());
    changed.forwarders.back().port ^= 1;
    EXPECT_TRUE(service_.configure(changed).ok());
    ask(*client_, "new.test");
    loop_.run();
    EXPECT_EQ(answer_->status, ipc::ResolveStatus::temporary);
}

TEST_F(ResolverServiceTest, DrainWaitsForThoseWhoStillAsk) {
    service_.drain(30s);
    ask(*client_, "listed.test");
    loop_.run();
    EXPECT_TRUE(answer_);
    EXPECT_EQ(drained_, 0);
    client_.reset();
    loop_.run();
    EXPECT_EQ(drained_, 1);
}

TEST_F(ResolverServiceTest, DrainHasATimeLimit) {
    service_.drain(0s);
    loop_.run();
    EXPECT_EQ(drained_, 1);
}

} // namespace
} // namespace postern
