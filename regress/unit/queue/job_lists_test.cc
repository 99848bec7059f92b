// Which job of a destination is the next.
#include "queue/job_lists.h"

#include <algorithm>
#include <deque>
#include <gtest/gtest.h>
#include <map>
#include <set>

namespace postern {
namespace {

class Waiting {
  public:
    Job& add(uint16_t sender, uint8_t rank = 1, bool retry = false, bool front = false) {
        Job& job = jobs_.emplace_back();
        job.sender = sender;
        job.rank = rank;
        job.retry = retry;
        job.expires_at = 1'000'000;
        lists.add(job, front);
        return job;
    }
    void add_many(size_t count, uint16_t sender, uint8_t rank = 1, bool retry = false) {
        for (size_t i = 0; i < count; ++i)
            add(sender, rank, retry);
    }
    // After how many others it goes out.
    size_t others_before(const Job& wanted) {
        size_t count = 0;
        while (&lists.take_next() != &wanted)
            ++count;
        return count;
    }

    JobLists lists;

  private:
    std::deque<Job> jobs_;
};

TEST(JobLists, FirstComeFirstServedWhileTheyAreFew) {
    Waiting waiting;
    std::vector<Job*> expected;
    for (uint16_t i = 0; i < JobLists::many; ++i)
        expected.push_back(&waiting.add(i % 3));
    for (Job* job : expected)
        EXPECT_EQ(&waiting.lists.take_next(), job);
    EXPECT_TRUE(waiting.lists.empty());
}

TEST(JobLists, BulkDoesNotKeepOthersWaiting) {
    struct Case {
        const char* what;
        size_t bulk;
        uint8_t rank; // of it
        bool retry;
        size_t most; // others that go before the one message
    };
    const Case cases[] = {
        {"a hundred thousand", 100'000, 1, false, 2},
        {"as many as are few", JobLists::many, 1, false, JobLists::many},
        {"a hundred thousand that were tried before", 100'000, 1, true, 0},
        {"a hundred thousand of a raised priority", 100'000, 0, false, 4},
        {"a hundred thousand of a lowered one", 100'000, 2, false, 0},
    };
    for (const Case& c : cases) {
        Waiting waiting;
        waiting.add_many(c.bulk, 1, c.rank, c.retry);
        EXPECT_LE(waiting.others_before(waiting.add(2)), c.most) << c.what;
        EXPECT_GE(waiting.lists.size() + c.most, c.bulk) << c.what;
    }
}

TEST(JobLists, SendersTakeTurnsAndEachKeepsItsOrder) {
    Waiting waiting;
    std::map<uint16_t, std::vector<Job*>> of;
    for (uint16_t sender : {1, 2, 3})
        for (int i = 0; i < 100 * sender; ++i)
            of[sender].push_back(&waiting.add(sender));
    std::map<uint16_t, size_t> taken;
    for (int i = 0; i < 600; ++i) {
        const Job& job = waiting.lists.take_next();
        EXPECT_EQ(&job, of[job.sender][taken[job.sender]++]);
        if (i == 299) {
            EXPECT_EQ(taken, (std::map<uint16_t, size_t>{{1, 100}, {2, 100}, {3, 100}}));
        }
    }
    EXPECT_TRUE(waiting.lists.empty());
}

// The order in which ranks are served: 0 first mail of a raised priority, 1 tried mail of it, and
// so on.
std::string order(Waiting& waiting, size_t count) {
    std::string text;
    for (size_t i = 0; i < count; ++i) {
        const Job& job = waiting.lists.take_next();
        text += static_cast<char>('0' + job.rank * 2 + job.retry);
    }
    return text;
}

TEST(JobLists, PriorityThenFreshMailButNoneForEver) {
    for (size_t each : {5u, 50u}) { // few, and many
        Waiting waiting;
        for (uint8_t rank : {2, 1, 0})
            for (bool retry : {true, false})
                waiting.add_many(each, 7, rank, retry);
        EXPECT_EQ(order(waiting, 20), each == 5u ? "00010012111322242335" : "00010002000300040005");
    }
    Waiting endless;
    std::set<const Job*> behind{&endless.add(1, 2, true), &endless.add(1, 2), &endless.add(1, 1)};
    for (int i = 0; i < 40; ++i) { // what is ahead never ends
        endless.add(1, 0);
        endless.add(1, 1, true);
        behind.erase(&endless.lists.take_next());
    }
    EXPECT_TRUE(behind.empty());
}

TEST(JobLists, WhatHadItsTurnGoesBeforeItsEquals) {
    for (size_t others : {3u, 100u}) {
        Waiting waiting;
        waiting.add_many(others, 1);
        waiting.add_many(others, 2);
        Job& late = waiting.add(3, 1, false, true);
        Job& later = waiting.add(3, 1, false, true);
        EXPECT_EQ(&waiting.lists.take_next(), &later);
        EXPECT_EQ(&waiting.lists.take_next(), &late);
    }
}

TEST(JobLists, TheLastAreOfTheLowestRankAndFromTheEnd) {
    for (size_t each : {4u, 100u}) {
        Waiting waiting;
        std::vector<Job*> low;
        waiting.add_many(each, 1, 0);
        waiting.add_many(each, 2, 1);
        for (size_t i = 0; i < each; ++i)
            low.push_back(&waiting.add(static_cast<uint16_t>(1 + i % 2), 2));
        waiting.add_many(each, 3, 1, true);
        const std::vector<Job*> last = waiting.lists.last(each + 1);
        ASSERT_EQ(last.size(), each + 1);
        EXPECT_TRUE(std::equal(low.rbegin(), low.rend(), last.begin()));
        EXPECT_EQ(last.back()->sender, 3);
        EXPECT_EQ(waiting.lists.last(0).size(), 0u);
        const std::vector<Job*> all = waiting.lists.last(1000);
        EXPECT_EQ(std::set<Job*>(all.begin(), all.end()).size(), 4 * each);
        EXPECT_EQ(all.size(), waiting.lists.size());
    }
}

TEST(JobLists, ExpiredJobsAreTakenFromEverywhere) {
    for (size_t each : {2u, 200u}) {
        Waiting waiting;
        std::set<Job*> expected;
        for (size_t i = 0; i < each; ++i)
            for (uint16_t sender : {1, 2, 3}) {
                Job& job = waiting.add(sender, static_cast<uint8_t>(i % 3), i % 2, i % 10 == 9);
                if (sender == 2 || i % 5 == 0) {
                    job.expires_at = 50;
                    expected.insert(&job);
                } else {
                    job.expires_at = 70 + static_cast<uint32_t>(i);
                }
            }
        std::vector<Job*> expired;
        EXPECT_EQ(waiting.lists.take_expired(49, 1000, expired), 50);
        EXPECT_TRUE(expired.empty());
        EXPECT_EQ(waiting.lists.take_expired(50, 1, expired), 50);
        EXPECT_EQ(waiting.lists.take_expired(50, 1000, expired), 71);
        EXPECT_EQ(std::set<Job*>(expired.begin(), expired.end()), expected);
        expired.clear();
        EXPECT_EQ(waiting.lists.take_expired(1000, 1000, expired), INT64_MAX);
        EXPECT_TRUE(waiting.lists.empty());
        Job& next = waiting.add(1);
        EXPECT_EQ(&waiting.lists.take_next(), &next) << "as if nothing had been";
    }
}

// Against a plain set: whatever is done, what was added comes out once, and nothing else does.
TEST(JobLists, LosesAndInventsNothing) {
    uint64_t random = 1;
    const auto below = [&random](uint64_t limit) {
        random = random * 6364136223846793005u + 1442695040888963407u;
        return (random >> 33) % limit;
    };
    Waiting waiting;
    std::vector<Job*> in;
    for (int i = 0; i < 200'000; ++i) {
        const bool growing = (i / 500) % 2 == 0;
        if (in.empty() || below(10) < (growing ? 7 : 3)) {
            in.push_back(&waiting.add(static_cast<uint16_t>(below(6)),
                                      static_cast<uint8_t>(below(3)), below(2), below(8) == 0));
        } else if (below(3) == 0) {
            const size_t which = below(in.size());
            waiting.lists.remove(*in[which]);
            in.erase(in.begin() + static_cast<ptrdiff_t>(which));
        } else {
            const auto found = std::find(in.begin(), in.end(), &waiting.lists.take_next());
            ASSERT_NE(found, in.end());
            in.erase(found);
        }
        ASSERT_EQ(waiting.lists.size(), in.size());
    }
}

} // namespace
} // namespace postern
