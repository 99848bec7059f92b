#include "smtpd/lookup/paced.h"

#include <gtest/gtest.h>

#include <memory>
#include <vector>

#include "regress/support/simulated_time.h"

namespace postern {
namespace {

using namespace std::chrono_literals;

TEST(Paced, GoesOnAsFarAsTheReaderKeepsUp) {
    test::SimulatedTime time;
    std::vector<int> done;
    size_t room = 3;
    Paced paced(time, [&] { return done.size() < room; });
    for (int i = 0; i < 10; ++i)
        paced.add([&, i] { done.push_back(i); });
    time.advance(1s);
    EXPECT_EQ(done, (std::vector<int>{0, 1, 2}));
    EXPECT_EQ(paced.waiting(), 7u);
    room = 5;
    time.advance(1s);
    EXPECT_EQ(done, (std::vector<int>{0, 1, 2, 3, 4}));
    room = 100;
    time.advance(1s);
    EXPECT_EQ(done.size(), 10u);
    EXPECT_EQ(paced.waiting(), 0u);
    paced.add([&] { done.push_back(10); });
    time.advance(1s);
    EXPECT_EQ(done.back(), 10);
}

TEST(Paced, WhatIsAddedMeanwhileComesLast) {
    test::SimulatedTime time;
    std::vector<int> done;
    Paced paced(time, [] { return true; });
    paced.add([&] {
        paced.add([&] { done.push_back(2); });
        done.push_back(1);
    });
    time.advance(1s);
    EXPECT_EQ(done, (std::vector<int>{1, 2}));
}

TEST(Paced, MayBeDestroyedByItsWork) {
    test::SimulatedTime time;
    int done = 0;
    auto paced = std::make_unique<Paced>(time, [&] { return done >= 0; });
    paced->add([&] {
        ++done;
        paced->add([&] { ++done; });
        paced.reset();
    });
    time.advance(1s);
    EXPECT_EQ(done, 1);
}

} // namespace
} // namespace postern
