#include "queue/parked_messages.h"

#include <gtest/gtest.h>
#include <malloc.h>
#include <map>
#include <random>

namespace postern::test {
namespace {

// What is due by `now`, in order, taken out.
std::vector<uint64_t> take_due(ParkedMessages& parked, WallTime now) {
    std::vector<uint64_t> result;
    while (const uint64_t id = parked.due(now)) {
        result.push_back(id);
        parked.take(id);
    }
    return result;
}

TEST(ParkedMessages, ComeBackByTime) {
    ParkedMessages parked;
    EXPECT_EQ(parked.next_due(), INT64_MAX);
    for (uint32_t i = 1; i <= 5; ++i)
        parked.park({i, 100 - i, 2});
    EXPECT_EQ(parked.messages(), 5u);
    EXPECT_EQ(parked.recipients(), 10u);
    EXPECT_EQ(parked.next_due(), 95);
    EXPECT_EQ(parked.due(94), 0u);
    EXPECT_EQ(take_due(parked, 97), (std::vector<uint64_t>{5, 4, 3}));
    EXPECT_EQ(parked.next_due(), 98);
    EXPECT_EQ(parked.recipients(), 4u);
}

TEST(ParkedMessages, OneThatIsParkedAgainIsDueAtItsNewTime) {
    ParkedMessages parked;
    parked.park({7, 50, 1});
    EXPECT_EQ(parked.take(7)->due, 50u);
    EXPECT_FALSE(parked.take(7).has_value());
    parked.park({7, 80, 1, 3});
    EXPECT_EQ(parked.due(79), 0u);
    EXPECT_EQ(parked.due(80), 7u);
    EXPECT_EQ(parked.find(7)->destination, 3u);
    parked.forget_destinations();
    EXPECT_EQ(parked.find(7)->destination, 0u);
}

TEST(ParkedMessages, AnOperatorWantsThemAtOnce) {
    ParkedMessages parked;
    for (uint32_t i = 1; i <= 3; ++i)
        parked.park({i, 1000 - i, 1});
    parked.hasten(2);
    parked.hasten(99);
    EXPECT_TRUE(parked.find(2)->at_once);
    EXPECT_EQ(take_due(parked, 1), (std::vector<uint64_t>{2}));
    EXPECT_FALSE(parked.find(3)->at_once);
    parked.hasten_all();
    EXPECT_EQ(take_due(parked, 1), (std::vector<uint64_t>{1, 3}));
}

TEST(ParkedMessages, FollowAClockThatIsSetBack) {
    ParkedMessages parked;
    parked.park({1, 1000, 1});
    parked.park({2, 10, 1});
    parked.turn_back(100);
    EXPECT_EQ(take_due(parked, 1), (std::vector<uint64_t>{2}));
    EXPECT_EQ(parked.due(899), 0u);
    EXPECT_EQ(parked.due(900), 1u);
}

// Against a map, in any order.
TEST(ParkedMessages, AreWhatWasParkedAndNotTaken) {
    std::mt19937_64 random(1);
    ParkedMessages parked;
    std::map<uint64_t, ParkedMessage> expected;
    for (int step = 0; step < 200'000; ++step) {
        const uint64_t id = 1 + random() % 5000;
        if (random() % 2 && !expected.contains(id)) {
            const ParkedMessage one{id, static_cast<uint32_t>(random() % 1000), 1};
            parked.park(one);
            expected[id] = one;
        } else {
            const auto taken = parked.take(id);
            ASSERT_EQ(taken.has_value(), expected.erase(id) > 0);
        }
        const uint64_t from = random() % 5001;
        const ParkedMessage* next = parked.after(from);
        const auto wanted = expected.upper_bound(from);
        ASSERT_EQ(next ? next->id : 0, wanted == expected.end() ? 0 : wanted->first);
    }
    ASSERT_EQ(parked.messages(), expected.size());
    uint32_t last = 0;
    for (const uint64_t id : take_due(parked, 1000)) {
        ASSERT_TRUE(expected.contains(id));
        ASSERT_GE(expected[id].due, last);
        last = expected[id].due;
        expected.erase(id);
    }
    EXPECT_TRUE(expected.empty());
}

// Those of before leave nothing behind.
TEST(ParkedMessages, FirstInFirstOut) {
    const size_t before = mallinfo2().uordblks + mallinfo2().hblkhd;
    ParkedMessages parked;
    for (uint64_t id = 1; id <= 1'000'000; ++id) {
        parked.park({id, static_cast<uint32_t>(id), 1});
        if (id > 5000)
            parked.take(id - 5000);
    }
    EXPECT_LT(mallinfo2().uordblks + mallinfo2().hblkhd - before, 2'000'000u);
    EXPECT_EQ(parked.after(0)->id, 995'001u);
}

TEST(ParkedMessages, TakeFewBytes) {
    const size_t before = mallinfo2().uordblks + mallinfo2().hblkhd;
    constexpr size_t many = 200'000;
    ParkedMessages parked;
    for (uint32_t round = 0; round < 20; ++round) { // they come and go without end
        for (uint64_t i = 0; i < many; ++i) {
            parked.take(i + 1);
            parked.park({i + 1, static_cast<uint32_t>(1'000'000 + round * 1000 + i), 1});
        }
    }
    const size_t bytes = (mallinfo2().uordblks + mallinfo2().hblkhd - before) / many;
    if (bytes == 0)
        GTEST_SKIP() << "this allocator (a sanitizer's) does not count";
    EXPECT_LT(bytes, 100u);
    std::printf("bytes per parked message: %zu\n", bytes);
}

} // namespace
} // namespace postern::test
