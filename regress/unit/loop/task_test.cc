#include <gtest/gtest.h>

#include <memory>

#include "common/loop/completion.h"
#include "common/loop/task.h"
#include "regress/support/simulated_time.h"

namespace postern {
namespace {

using test::SimulatedTime;

using namespace std::chrono_literals;

// Counts how often it is destroyed while it holds something: a frame must release what it owns
// once.
struct Owned {
    explicit Owned(int& released) : released_(&released) {}
    Owned(Owned&& other) noexcept : released_(std::exchange(other.released_, nullptr)) {}
    ~Owned() {
        if (released_)
            ++*released_;
    }
    int* released_;
};

Task<int> answer() { co_return 42; }
Task<int> doubled() { co_return 2 * co_await answer(); }

TEST(Task, ReturnsItsValueToWhoAwaitsIt) {
    int result = 0;
    TaskGroup group;
    group.spawn([](int& result) -> Task<void> { result = co_await doubled(); }(result));
    EXPECT_EQ(result, 84);
    EXPECT_TRUE(group.empty());
}

TEST(Task, DoesNotRunUnlessAwaited) {
    bool ran = false;
    {
        Task<void> task = [](bool& ran) -> Task<void> {
            ran = true;
            co_return;
        }(ran);
    }
    EXPECT_FALSE(ran);
}

TEST(TaskGroup, DestroyingItReleasesWhatSuspendedTasksOwn) {
    SimulatedTime time;
    int released = 0;
    {
        TaskGroup group;
        for (int i = 0; i < 3; ++i)
            group.spawn([](SimulatedTime& time, Owned) -> Task<void> {
                co_await time.sleep(1h);
            }(time, Owned(released)));
        EXPECT_EQ(group.size(), 3u);
        EXPECT_EQ(released, 0);
    }
    EXPECT_EQ(released, 3);
    EXPECT_EQ(time.until_next_timer(), Duration::max())
        << "a destroyed sleep leaves its timer behind";
}

TEST(TaskGroup, ForgetsATaskThatEnds) {
    SimulatedTime time;
    TaskGroup group;
    group.spawn([](SimulatedTime& time) -> Task<void> { co_await time.sleep(5s); }(time));
    time.advance(4s);
    EXPECT_EQ(group.size(), 1u);
    time.advance(1s);
    EXPECT_TRUE(group.empty());
}

TEST(TaskGroup, ATaskMaySpawnAnother) {
    SimulatedTime time;
    TaskGroup group;
    int done = 0;
    group.spawn([](SimulatedTime& time, TaskGroup& group, int& done) -> Task<void> {
        group.spawn([](SimulatedTime& time, int& done) -> Task<void> {
            co_await time.sleep(1s);
            ++done;
        }(time, done));
        ++done;
        co_return;
    }(time, group, done));
    EXPECT_EQ(done, 1);
    time.advance(1s);
    EXPECT_EQ(done, 2);
    EXPECT_TRUE(group.empty());
}

TEST(Completion, GivesTheValueThatCameFirst) {
    SimulatedTime time;
    TaskGroup group;
    Completion<int> completion(time);
    std::optional<int> got;
    group.spawn([](Completion<int>& completion, std::optional<int>& got) -> Task<void> {
        got = co_await completion.wait(10s);
    }(completion, got));
    completion.complete(1);
    completion.complete(2);
    EXPECT_FALSE(got) << "resumed from inside complete()";
    time.run();
    EXPECT_EQ(got, 1);
    EXPECT_EQ(time.until_next_timer(), Duration::max());
}

TEST(Completion, GivesNothingAfterItsLimit) {
    SimulatedTime time;
    TaskGroup group;
    Completion<int> completion(time);
    std::optional<int> got = 7;
    group.spawn([](Completion<int>& completion, std::optional<int>& got) -> Task<void> {
        got = co_await completion.wait(10s);
    }(completion, got));
    time.advance(10s);
    EXPECT_EQ(got, std::nullopt);
    EXPECT_TRUE(group.empty());
}

TEST(Completion, OutlivesAWaiterThatIsDestroyed) {
    SimulatedTime time;
    Completion<int> completion(time);
    {
        TaskGroup group;
        group.spawn([](Completion<int>& completion) -> Task<void> {
            co_await completion.wait(10s);
        }(completion));
    }
    completion.complete(1);
    time.advance(20s);
    EXPECT_TRUE(completion.completed());
}

TEST(Completion, CanBeUsedAgainOnceTaken) {
    SimulatedTime time;
    TaskGroup group;
    Completion<int> completion(time);
    int sum = 0;
    group.spawn([](Completion<int>& completion, int& sum) -> Task<void> {
        for (int i = 0; i < 3; ++i)
            sum += (co_await completion.wait(1s)).value_or(0);
    }(completion, sum));
    for (int i : {1, 2, 3}) {
        completion.complete(i);
        time.run();
    }
    EXPECT_EQ(sum, 6);
}

} // namespace
} // namespace postern
