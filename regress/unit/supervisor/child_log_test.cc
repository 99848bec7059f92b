// Lines of a process on their way to syslog: of one that babbles, and while nobody takes them.
#include <gtest/gtest.h>

#include <sys/socket.h>

#include "common/ipc/packet_channel.h"
#include "regress/support/simulated_time.h"
#include "smtpd/supervisor/child_log.h"

namespace postern {
namespace {

using namespace std::chrono_literals;

TEST(LineBudget, ABurstAndThenARate) {
    test::SimulatedTime time;
    LineBudget budget(time.now());
    int64_t lines = 0;
    const auto take_all = [&] {
        for (; budget.wait(time.now()) == Duration(0); ++lines)
            budget.spend(1, time.now());
        return std::exchange(lines, 0);
    };
    EXPECT_EQ(take_all(), 10'000);
    EXPECT_EQ(budget.wait(time.now()), 100us);
    time.advance(100us);
    EXPECT_EQ(take_all(), 1);
    time.advance(1ms);
    EXPECT_EQ(take_all(), 10);
    time.advance(1h);
    EXPECT_EQ(take_all(), 10'000) << "nothing is saved beyond the burst";
}

TEST(LineBudget, WhatWasTooMuchIsWaitedFor) {
    test::SimulatedTime time;
    LineBudget budget(time.now());
    budget.spend(20'000, time.now());
    EXPECT_EQ(budget.wait(time.now()), 1s + 100us);
    time.advance(1s + 100us);
    EXPECT_EQ(budget.wait(time.now()), 0s);
}

struct ChildLogTest : testing::Test {
    ChildLogTest() {
        auto [ours, theirs] = ipc::make_pair();
        end = std::move(theirs);
        log.emplace(loop, std::move(ours), "postern-queue[4711]",
                    [this](const std::string& sender, const log::Line& line) {
                        EXPECT_EQ(sender, "postern-queue[4711]");
                        if (refused > 0) {
                            --refused;
                            return false;
                        }
                        lines.push_back(line.text);
                        return true;
                    });
    }
    bool say(std::string_view packet) {
        return ::send(end.get(), packet.data(), packet.size(), MSG_NOSIGNAL) >= 0;
    }
    size_t say_until_full(std::string_view packet) {
        size_t packets = 0;
        while (say(packet))
            ++packets;
        return packets;
    }
    // Turns of the loop, until `done` at the end of one.
    void run_until(std::function<bool()> done) {
        struct Turn final : Callback {
            Turn(EventLoop& loop, std::function<bool()>& done) : loop_(loop), done_(done) {}
            void call() override {
                if (done_())
                    loop_.stop();
                else
                    loop_.schedule(*this);
            }
            EventLoop& loop_;
            std::function<bool()>& done_;
        } turn(loop, done);
        loop.schedule(turn);
        loop.run();
    }

    EventLoop loop;
    FileDescriptor end;
    std::vector<std::string> lines;
    int refused = 0; // so many times
    std::optional<ChildLog> log;
};

TEST_F(ChildLogTest, AFloodLeavesTheLoopItsTurns) {
    std::string packet;
    while (packet.size() < 256 * 1024)
        packet += "a\n";
    size_t most = 0, before = 0;
    say_until_full(packet);
    const TimePoint start = Clock::now();
    run_until([&] {
        most = std::max(most, lines.size() - before);
        before = lines.size();
        say_until_full(packet);
        return Clock::now() - start > 100ms;
    });
    EXPECT_GT(lines.size(), 16u);
    EXPECT_LE(most, ChildLog::lines_per_event + log::packet_lines + 1);
}

TEST_F(ChildLogTest, AFloodIsHeldToItsRate) {
    const TimePoint start = Clock::now();
    Duration passed{};
    run_until([&] {
        say_until_full("<6>a\n<6>b");
        passed = Clock::now() - start;
        return passed > 300ms;
    });
    const auto rate = LineBudget::lines_per_second;
    EXPECT_GE(lines.size(), static_cast<size_t>(rate / 2));
    EXPECT_LE(lines.size(), static_cast<size_t>(rate + passed * rate / 1s + 16));
}

TEST_F(ChildLogTest, WhatIsTooMuchOfAPacketIsCounted) {
    std::string packet = "<6>";
    for (int i = 0; i < 20; ++i)
        packet += "a\n";
    say(packet);
    run_until([&] { return lines.size() == log::packet_lines + 1; });
    EXPECT_EQ(lines.back(), "warning: log lines were lost process=postern-queue[4711] lines=4");
}

TEST_F(ChildLogTest, WhatNobodyTakesIsOfferedAgain) {
    refused = 3;
    say("<6>a\nb");
    say("<6>c");
    run_until([&] { return lines.size() == 3; });
    EXPECT_EQ(lines, (std::vector<std::string>{"a", "b", "c"}));
    EXPECT_EQ(refused, 0);
}

TEST_F(ChildLogTest, AnEmptyPacketIsNotTheEnd) {
    say("");
    say("<6>a");
    run_until([&] { return lines.size() == 1; });
    say("<6>b");
    run_until([&] { return lines.size() == 2; });
    say("");
    say("<6>c");
    end.reset();
    log->read_rest();
    EXPECT_EQ(lines, (std::vector<std::string>{"a", "b", "c"}));
}

TEST_F(ChildLogTest, LastWordsHaveAnEnd) {
    int size = 8 << 20; // more than what is read of it
    if (::setsockopt(end.get(), SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof size) < 0)
        GTEST_SKIP() << "needs root";
    const size_t said = say_until_full("<6>a");
    ASSERT_GT(said, ChildLog::last_lines);
    end.reset();
    log->read_rest();
    ASSERT_EQ(lines.size(), ChildLog::last_lines + 1);
    EXPECT_EQ(lines.back(), "warning: log lines were lost process=postern-queue[4711] lines=" +
                                std::to_string(said - ChildLog::last_lines));
}

TEST_F(ChildLogTest, LastWordsThatNobodyTakesAreLost) {
    refused = 1;
    say("<6>a");
    say("<6>b");
    end.reset();
    log->read_rest();
    EXPECT_EQ(lines, std::vector<std::string>{
                         "warning: log lines were lost process=postern-queue[4711] lines=2"});
}

} // namespace
} // namespace postern
