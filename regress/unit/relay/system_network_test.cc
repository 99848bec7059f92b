// What deliveries get from the processes that a relay asks, which come and go, and from the system.
#include "deliver/relay/system_network.h"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include "common/net/socket.h"
#include "regress/unit/listener/loop_support.h"

namespace postern::relay {
namespace {

using namespace std::chrono_literals;
using listener::test::run_until;

// A peer's end of a channel, which sends what `answer` makes of a message; nothing: it does not.
template <class FromRelay, class ToRelay, class Answer> struct Peer {
    using Channel = ipc::Channel<FromRelay, ToRelay>;
    Peer(EventLoop& loop, std::function<std::optional<Answer>(FromRelay)> answer) {
        auto [ours, others] = ipc::make_pair();
        theirs = std::move(others);
        channel = std::make_unique<Channel>(
            loop, std::move(ours),
            [this, answer](FromRelay&& message) {
                ++asked;
                if (std::optional<Answer> reply = answer(std::move(message)))
                    channel->send(std::move(*reply));
            },
            [](const std::string&) {});
    }
    FileDescriptor theirs;
    std::unique_ptr<Channel> channel;
    int asked = 0;
};

using Lookup = Peer<ipc::RelayToLookup, ipc::LookupToRelay, ipc::CredentialAnswer>;
using Policy = Peer<ipc::ToPolicy, ipc::FromPolicy, ipc::PolicyAnswer>;

std::optional<ipc::CredentialAnswer> silence(ipc::RelayToLookup) { return std::nullopt; }
std::optional<ipc::CredentialAnswer> secrets(ipc::RelayToLookup message) {
    const auto& query = std::get<ipc::CredentialQuery>(message);
    ipc::CredentialAnswer answer;
    answer.request = query.request;
    answer.found = query.table == "secrets" && query.label == "me";
    if (answer.found) {
        answer.user = "bob";
        answer.password = Secret("pa:ss");
    }
    return answer;
}

struct SystemNetworkTest : testing::Test {
    EventLoop loop;
    SystemNetwork network{loop};
    std::optional<Result<SaslCredentials>> credentials;
    std::optional<Network::Connected> connected;
    std::optional<ipc::PolicyAnswer> policy;
    TaskGroup tasks;

    void ask(const std::string& label) {
        credentials.reset();
        tasks.spawn([](SystemNetworkTest& test, std::string label) -> Task<void> {
            test.credentials = co_await test.network.credentials("secrets", label);
        }(*this, label));
    }
    void connect(Endpoint peer, std::optional<IpAddress> source) {
        connected.reset();
        tasks.spawn([](SystemNetworkTest& test, Endpoint peer,
                       std::optional<IpAddress> source) -> Task<void> {
            test.connected = co_await test.network.connect(peer, source, 5s);
        }(*this, peer, source));
        run_until(loop, [&] { return connected.has_value(); });
    }
};

Endpoint endpoint_of(const FileDescriptor& socket, bool peers) {
    sockaddr_storage storage{};
    socklen_t length = sizeof storage;
    auto* address = reinterpret_cast<sockaddr*>(&storage);
    (peers ? getpeername : getsockname)(socket.get(), address, &length);
    return Endpoint::from_sockaddr(*address).value_or(Endpoint());
}

TEST_F(SystemNetworkTest, LookupKnowsAPasswordOrHasNone) {
    Lookup lookup(loop, secrets);
    network.connect_lookup(std::move(lookup.theirs));
    ask("me");
    ASSERT_TRUE(run_until(loop, [&] { return credentials.has_value(); }));
    ASSERT_TRUE(credentials->ok());
    EXPECT_EQ((*credentials)->user, "bob");
    EXPECT_EQ((*credentials)->password.view(), "pa:ss");
    ask("you");
    ASSERT_TRUE(run_until(loop, [&] { return credentials.has_value(); }));
    ASSERT_FALSE(credentials->ok());
    EXPECT_EQ(credentials->error().code, 0) << "which is for good";
    EXPECT_EQ(credentials->error().message, "there is no password for you");
}

TEST_F(SystemNetworkTest, ALookupThatDiesIsAskedAgainWhenItIsBack) {
    ask("me");
    auto first = std::make_unique<Lookup>(loop, silence);
    network.connect_lookup(std::move(first->theirs));
    ASSERT_TRUE(run_until(loop, [&] { return first->asked == 1; }));
    first.reset();
    Lookup second(loop, secrets);
    network.connect_lookup(std::move(second.theirs));
    ASSERT_TRUE(run_until(loop, [&] { return credentials.has_value(); }));
    EXPECT_TRUE(credentials->ok());
}

TEST_F(SystemNetworkTest, PolicyAnswersAndIsTold) {
    Policy peer(loop, [](ipc::ToPolicy message) -> std::optional<ipc::PolicyAnswer> {
        const auto* query = std::get_if<ipc::PolicyQuery>(&message);
        if (!query)
            return std::nullopt;
        ipc::PolicyAnswer answer;
        answer.request = query->request;
        answer.known = true;
        answer.policy.mode = ipc::StsMode::enforce;
        return answer;
    });
    network.connect_policy(std::move(peer.theirs));
    tasks.spawn([](SystemNetworkTest& test) -> Task<void> {
        test.policy = co_await test.network.find_policy("d.example");
    }(*this));
    ASSERT_TRUE(run_until(loop, [&] { return policy.has_value(); }));
    EXPECT_TRUE(policy->known);
    EXPECT_EQ(policy->policy.mode, ipc::StsMode::enforce);
    network.report(ipc::SessionResult());
    EXPECT_TRUE(run_until(loop, [&] { return peer.asked == 2; }));
}

TEST_F(SystemNetworkTest, ConnectsFromTheSource) {
    Result<FileDescriptor> listening = listen_on({*IpAddress::parse("127.0.0.1"), 0}, 4);
    ASSERT_TRUE(listening.ok());
    const Endpoint place = endpoint_of(*listening, false);
    connect(place, IpAddress::parse("127.0.0.7"));
    ASSERT_TRUE(connected && connected->ok());
    FileDescriptor accepted(accept(listening->get(), nullptr, nullptr));
    EXPECT_EQ(endpoint_of(accepted, true).address.to_string(), "127.0.0.7");

    connect(place, IpAddress::parse("192.0.2.1")); // which is nobody's
    ASSERT_TRUE(connected && !connected->ok());
    EXPECT_EQ(connected->error().code, EADDRNOTAVAIL);

    *listening = FileDescriptor();
    connect(place, std::nullopt);
    ASSERT_TRUE(connected && !connected->ok());
    EXPECT_EQ(connected->error().code, ECONNREFUSED);
}

} // namespace
} // namespace postern::relay
