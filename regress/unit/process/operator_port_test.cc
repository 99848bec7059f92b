// What every process answers to an operator.
#include <gtest/gtest.h>

#include "common/base/log.h"
#include "common/process/operator_port.h"

namespace postern {
namespace {

struct Desk {
    explicit Desk(OperatorPort& port, EventLoop& loop) : loop(loop) {
        auto [ours, theirs] = ipc::make_pair();
        port.connect(std::move(theirs));
        channel = std::make_unique<ipc::Channel<ipc::Answer, ipc::Question>>(
            loop, std::move(ours),
            [this](ipc::Answer&& a) {
                answer = std::move(a);
                this->loop.stop();
            },
            [](const std::string&) {});
    }
    ipc::Answer ask(ipc::Question question) {
        channel->send(std::move(question));
        loop.run();
        return std::move(answer);
    }
    EventLoop& loop;
    ipc::Answer answer;
    std::unique_ptr<ipc::Channel<ipc::Answer, ipc::Question>> channel;
};

TEST(OperatorPort, CountsAndGaugesAreGivenByName) {
    EventLoop loop;
    Counters counters;
    counters["smtp.messages"] = 7;
    OperatorPort port(loop, counters, [](Counters& c) { c["smtp.sessions"] = 3; });
    Desk desk(port, loop);
    ipc::StatsQuery query;
    query.request = 42;
    ipc::Stats stats = std::get<ipc::Stats>(desk.ask(query));
    EXPECT_EQ(stats.request, 42u);
    ASSERT_EQ(stats.counters.size(), 2u);
    EXPECT_EQ(stats.counters[0].name, "smtp.messages");
    EXPECT_EQ(stats.counters[0].value, 7u);
    EXPECT_EQ(stats.counters[1].value, 3u);
}

TEST(OperatorPort, SetsTheLogLevel) {
    EventLoop loop;
    Counters counters;
    OperatorPort port(loop, counters);
    Desk desk(port, loop);
    ipc::LogLevel level;
    level.verbose = true;
    EXPECT_TRUE(std::get<ipc::Done>(desk.ask(level)).ok);
    EXPECT_TRUE(log::verbose());
    level.verbose = false;
    desk.ask(level);
    EXPECT_FALSE(log::verbose());
}

TEST(OperatorPort, RefusesWhatIsNotForThisProcess) {
    EventLoop loop;
    Counters counters;
    OperatorPort port(loop, counters);
    Desk desk(port, loop);
    ipc::QueueQuery query;
    query.request = 5;
    ipc::Done done = std::get<ipc::Done>(desk.ask(query));
    EXPECT_FALSE(done.ok);
    EXPECT_EQ(done.request, 5u);
}

} // namespace
} // namespace postern
