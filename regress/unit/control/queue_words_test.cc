#include "smtpd/smtpctl/queue_words.h"

#include <gtest/gtest.h>

namespace postern {
namespace {

constexpr int64_t now = 1'000'000;

TEST(QueueWords, Times) {
    struct Row {
        const char* word;
        std::optional<int64_t> seconds;
    };
    const Row rows[] = {
        {"0s", 0},    {"90s", 90},    {"15m", 900},
        {"2h", 7200}, {"4d", 345600}, {"3660d", 3660 * 86400LL},
        {"", {}},     {"s", {}},      {"5", {}},
        {"5w", {}},   {"-5m", {}},    {"5 m", {}},
        {"5mm", {}},  {"4000d", {}},  {"99999999999999999999s", {}},
    };
    for (const Row& row : rows)
        EXPECT_EQ(parse_time(row.word), row.seconds) << row.word;
}

TEST(QueueWords, Numbers) {
    EXPECT_EQ(parse_number("1"), 1u);
    EXPECT_EQ(parse_number("4294967295"), 4294967295u);
    for (const char* word : {"", "0", "-1", "4294967296", "1x", "mta"})
        EXPECT_FALSE(parse_number(word)) << word;
}

TEST(QueueWords, AFilter) {
    std::vector<std::string> words = {"from",  "*@a.example", "to",        "b@*",   "older",
                                      "2h",    "error",       "timed out", "state", "deferred",
                                      "order", "7",           "for",       "1h"};
    const auto filter = take_filter(words, now);
    ASSERT_TRUE(filter);
    EXPECT_EQ(filter->sender, "*@a.example");
    EXPECT_EQ(filter->recipient, "b@*");
    EXPECT_EQ(filter->accepted_before, now - 7200);
    EXPECT_EQ(filter->accepted_after, 0);
    EXPECT_EQ(filter->error, "timed out");
    EXPECT_EQ(filter->state, ipc::RecipientState::deferred);
    EXPECT_EQ(filter->order, 7u);
    EXPECT_EQ(words, (std::vector<std::string>{"for", "1h"})) << "not its own";
}

TEST(QueueWords, AllMeansAll) {
    std::vector<std::string> words = {"all"};
    EXPECT_TRUE(take_filter(words, now));
    EXPECT_TRUE(words.empty());
}

// What might mean everything by mistake means nothing.
TEST(QueueWords, WhatIsWrong) {
    const std::vector<std::string> rows[] = {
        {},
        {"from"},
        {"from", ""},
        {"older", "soon"},
        {"newer", ""},
        {"state", "sleepy"},
        {"order", "0"},
        {"from", "a", "from", "b"},
        {"sender", "a"},
    };
    for (std::vector<std::string> words : rows)
        EXPECT_FALSE(take_filter(words, now)) << (words.empty() ? "nothing" : words[0]);
}

} // namespace
} // namespace postern
