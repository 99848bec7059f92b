#include <gtest/gtest.h>

#include <csignal>
#include <unistd.h>

#include "common/base/file_descriptor.h"
#include "common/loop/completion.h"
#include "common/loop/event_loop.h"
#include "common/loop/task.h"

namespace postern {
namespace {

using namespace std::chrono_literals;

TEST(EventLoop, ResumesASleeperInTime) {
    EventLoop loop;
    TaskGroup group;
    TimePoint start = Clock::now();
    group.spawn([](EventLoop& loop) -> Task<void> {
        co_await loop.sleep(20ms);
        loop.stop();
    }(loop));
    loop.run();
    EXPECT_GE(Clock::now() - start, 20ms);
}

TEST(EventLoop, ReportsReadinessOfADescriptor) {
    EventLoop loop;
    int fds[2];
    ASSERT_EQ(pipe(fds), 0);
    FileDescriptor reader(fds[0]), writer(fds[1]);
    std::string got;
    Watch watch(loop, reader.get(), [&](short) {
        char buffer[8];
        ssize_t size = read(reader.get(), buffer, sizeof buffer);
        got.assign(buffer, static_cast<size_t>(size));
        loop.stop();
    });
    watch.want(Watch::readable);
    ASSERT_EQ(write(writer.get(), "hello", 5), 5);
    loop.run();
    EXPECT_EQ(got, "hello");
}

TEST(EventLoop, ReportsSignals) {
    EventLoop loop;
    int calls = 0;
    SignalWatch watch(loop, SIGUSR1, [&] {
        ++calls;
        loop.stop();
    });
    raise(SIGUSR1);
    loop.run();
    EXPECT_EQ(calls, 1);
}

TEST(EventLoop, ACallbackThatSchedulesItselfDoesNotKeepItFromDescriptors) {
    struct Endless final : Callback {
        explicit Endless(EventLoop& loop) : loop_(loop) {}
        void call() override { loop_.schedule(*this); }
        EventLoop& loop_;
    };
    EventLoop loop;
    int fds[2];
    ASSERT_EQ(pipe(fds), 0);
    FileDescriptor reader(fds[0]), writer(fds[1]);
    Watch watch(loop, reader.get(), [&](short) { loop.stop(); });
    watch.want(Watch::readable);
    Endless endless(loop);
    loop.schedule(endless);
    ASSERT_EQ(write(writer.get(), "x", 1), 1);
    loop.run(); // comes back
}

TEST(EventLoop, CanRunAgainAfterAStop) {
    EventLoop loop;
    TaskGroup group;
    int turns = 0;
    for (int i = 0; i < 2; ++i) {
        group.spawn([](EventLoop& loop, int& turns) -> Task<void> {
            co_await loop.sleep(1ms);
            ++turns;
            loop.stop();
        }(loop, turns));
        loop.run();
    }
    EXPECT_EQ(turns, 2);
}

} // namespace
} // namespace postern
