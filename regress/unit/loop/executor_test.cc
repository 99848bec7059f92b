#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "regress/support/simulated_time.h"

namespace postern {
namespace {

using test::SimulatedTime;

using namespace std::chrono_literals;

struct Note final : Callback {
    Note(std::string& log, char name) : log_(log), name_(name) {}
    void call() override { log_ += name_; }
    std::string& log_;
    char name_;
};

struct Alarm final : Timer {
    Alarm(std::string& log, char name) : log_(log), name_(name) {}
    void expired() override { log_ += name_; }
    std::string& log_;
    char name_;
};

TEST(Executor, CallsInTheOrderOfSchedulingAndOnceEach) {
    SimulatedTime time;
    std::string log;
    Note a(log, 'a'), b(log, 'b');
    time.schedule(b);
    time.schedule(a);
    time.schedule(b);
    time.run();
    EXPECT_EQ(log, "ba");
    time.run();
    EXPECT_EQ(log, "ba");
}

TEST(Executor, ADestroyedCallbackIsNotCalled) {
    SimulatedTime time;
    std::string log;
    {
        Note a(log, 'a');
        time.schedule(a);
    }
    time.run();
    EXPECT_EQ(log, "");
}

TEST(Executor, FlushesComeLast) {
    SimulatedTime time;
    std::string log;
    Note flush(log, 'f'), a(log, 'a');
    time.flush_soon(flush);
    time.schedule(a);
    time.run();
    EXPECT_EQ(log, "af");
}

TEST(Timer, ExpireInTheirOrderAndCanBeMovedAndDisarmed) {
    SimulatedTime time;
    std::string log;
    Alarm a(log, 'a'), b(log, 'b'), c(log, 'c');
    a.arm(time, time.now() + 3s);
    b.arm(time, time.now() + 1s);
    c.arm(time, time.now() + 2s);
    c.disarm();
    a.arm(time, time.now() + 2s);
    EXPECT_EQ(time.until_next_timer(), Duration(1s));
    time.advance(10s);
    EXPECT_EQ(log, "ba");
}

} // namespace
} // namespace postern
