// Signatures for a relay, from a keyholder that may die in between.
#include "deliver/relay/keyholder_client.h"

#include <gtest/gtest.h>

#include "regress/unit/listener/loop_support.h"

namespace postern::relay {
namespace {

using namespace std::chrono_literals;
using listener::test::run_until;

// The keyholder's end.
struct Keyholder {
    using Channel = ipc::Channel<ipc::ListenerToKeyholder, ipc::KeyholderToListener>;
    Keyholder(EventLoop& loop, KeyholderClient& client, const std::string& signature) {
        auto [ours, theirs] = ipc::make_pair();
        channel = std::make_unique<Channel>(
            loop, std::move(ours),
            [this, signature](ipc::ListenerToKeyholder&& message) {
                ++asked;
                ipc::Signature answer;
                answer.request = std::get<ipc::SignQuery>(message).request;
                answer.signature = signature;
                if (signature != "silence")
                    channel->send(std::move(answer));
            },
            [](const std::string&) {});
        client.connect(std::move(theirs));
    }
    std::unique_ptr<Channel> channel;
    int asked = 0;
};

struct KeyholderClientTest : testing::Test {
    EventLoop loop;
    KeyholderClient client{loop};
    std::optional<std::string> signature;
    TaskGroup tasks;

    void ask(Duration limit) {
        tasks.spawn([](KeyholderClientTest& test, Duration limit) -> Task<void> {
            ipc::SignQuery query;
            test.signature = co_await test.client.sign(std::move(query), limit);
        }(*this, limit));
    }
};

TEST_F(KeyholderClientTest, IsAskedAgainWhenItHasBeenStartedAgain) {
    ask(10s);
    EXPECT_FALSE(signature) << "there is none so far";
    auto first = std::make_unique<Keyholder>(loop, client, "silence");
    ASSERT_TRUE(run_until(loop, [&] { return first->asked == 1; }));
    first.reset();
    Keyholder second(loop, client, "signed");
    ASSERT_TRUE(run_until(loop, [&] { return signature.has_value(); }));
    EXPECT_EQ(signature, "signed");
}

TEST_F(KeyholderClientTest, IsNotWaitedForForEver) {
    ask(300ms);
    ASSERT_TRUE(run_until(loop, [&] { return signature.has_value(); }));
    EXPECT_EQ(signature, "");
}

TEST_F(KeyholderClientTest, ARefusalIsAnAnswer) {
    Keyholder keyholder(loop, client, "");
    ask(10s);
    ASSERT_TRUE(run_until(loop, [&] { return signature.has_value(); }));
    EXPECT_EQ(signature, "");
    EXPECT_EQ(keyholder.asked, 1);
}

} // namespace
} // namespace postern::relay
