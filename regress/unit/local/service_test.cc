// The whole process but for its main, with a queue at the other end of a channel.
#include "deliver/local/service.h"

#include <gtest/gtest.h>

#include <optional>

namespace postern {
namespace {

using namespace std::chrono_literals;

class LocalServiceTest : public testing::Test {
  protected:
    using Queue = ipc::Channel<ipc::DelivererToQueue, ipc::QueueToDeliverer>;

    LocalServiceTest() : queue_(connect()) {}

    std::unique_ptr<Queue> connect() {
        auto [ours, theirs] = ipc::make_pair();
        ipc::Connect connect;
        connect.role = ipc::Role::queue;
        connect.channel = std::move(theirs);
        service_.connect(std::move(connect));
        return std::make_unique<Queue>(
            loop_, std::move(ours),
            [this](ipc::DelivererToQueue&& message) {
                if (auto* capacity = std::get_if<ipc::Capacity>(&message))
                    capacity_ = capacity->deliveries;
                else
                    outcome_ = std::get<ipc::Outcome>(message);
                loop_.stop();
            },
            [this](const std::string&) {
                ++closed_;
                loop_.stop();
            });
    }
    static void deliver(Queue& queue, uint64_t id) {
        ipc::Deliver order;
        order.delivery = id;
        order.route.kind = ActionKind::maildir;
        order.content.bytes = "x\r\n";
        order.recipients.push_back({0, "a@here.test", {}, {}});
        queue.send(std::move(order));
    }
    // What the supervisor is asked to start, it says has succeeded, while `answering_`.
    void to_supervisor(ipc::ToSupervisor message) {
        auto* spawn = std::get_if<ipc::Spawn>(&message);
        if (!spawn)
            return;
        open_ = spawn->request;
        if (!answering_)
            return loop_.stop();
        ipc::Exited exited;
        exited.request = spawn->request;
        service_.exited(std::move(exited));
    }

    EventLoop loop_;
    bool answering_ = true;
    std::optional<uint32_t> open_;
    std::optional<uint32_t> capacity_;
    std::optional<ipc::Outcome> outcome_;
    int closed_ = 0;
    LocalService service_{loop_, ipc::LocalSettings{2},
                          [this](ipc::ToSupervisor message) { to_supervisor(std::move(message)); }};
    std::unique_ptr<Queue> queue_;
};

TEST_F(LocalServiceTest, DeliversForTheQueue) {
    loop_.run();
    EXPECT_EQ(capacity_, 2u);
    deliver(*queue_, 9);
    loop_.run();
    ASSERT_TRUE(outcome_);
    EXPECT_EQ(outcome_->delivery, 9u);
    EXPECT_EQ(outcome_->recipients.at(0).status, ipc::RecipientStatus::delivered);
}

TEST_F(LocalServiceTest, AQueueBeyondTheCapacityLosesItsChannel) {
    answering_ = false;
    for (uint64_t i = 1; i <= 3; ++i)
        deliver(*queue_, i);
    while (closed_ == 0)
        loop_.run();
    EXPECT_FALSE(outcome_);
    // The next one starts afresh.
    capacity_.reset();
    queue_ = connect();
    loop_.run();
    EXPECT_EQ(capacity_, 2u);
}

TEST_F(LocalServiceTest, AReloadTellsTheNewCapacity) {
    loop_.run();
    service_.configure(ipc::LocalSettings{7});
    loop_.run();
    EXPECT_EQ(capacity_, 7u);
    service_.configure(ipc::LocalSettings{0}); // none would mean never
    loop_.run();
    EXPECT_EQ(capacity_, 1u);
}

TEST_F(LocalServiceTest, DrainFinishesWhatIsUnderWay) {
    answering_ = false;
    deliver(*queue_, 1);
    while (!open_)
        loop_.run(); // the capacity first
    int drained = 0;
    service_.drain(30s, [&] { ++drained; });
    EXPECT_EQ(drained, 0);
    ipc::Exited exited;
    exited.request = *open_;
    service_.exited(std::move(exited));
    loop_.run();
    EXPECT_EQ(drained, 1);
    EXPECT_TRUE(outcome_);
}

TEST_F(LocalServiceTest, DrainHasATimeLimit) {
    answering_ = false;
    deliver(*queue_, 1);
    while (!open_)
        loop_.run();
    int drained = 0;
    service_.drain(0s, [&] {
        ++drained;
        loop_.stop();
    });
    while (drained == 0)
        loop_.run();
    EXPECT_FALSE(outcome_);
}

} // namespace
} // namespace postern
