#include "smtpd/lookup/table_cache.h"

#include <gtest/gtest.h>

namespace postern {
namespace {

using ipc::TableVerdict;
using namespace std::chrono_literals;

const TimePoint start = TimePoint() + 1h;
const TableAnswers::Answer found{TableVerdict::found, "value"};
const TableAnswers::Answer not_found{TableVerdict::not_found, ""};

TableKey domain(const std::string& key) { return {"t", TableService::domain, key}; }

TEST(TableCacheTest, KeepsAnswersForATime) {
    const struct {
        TableKey key;
        TableAnswers::Answer answer;
        Duration time;
    } rows[] = {
        {domain("a"), found, TableCache::found_time},
        {domain("b"), not_found, TableCache::not_found_time},
        {{"t", TableService::credentials, "bob"}, found, TableCache::credentials_time},
        {{"t", TableService::credentials, "eve"}, not_found, TableCache::credentials_time},
    };
    for (const auto& row : rows) {
        TableCache cache;
        EXPECT_FALSE(cache.find(row.key, start));
        cache.add(row.key, row.answer, start);
        const auto kept = cache.find(row.key, start + row.time - 1ns);
        ASSERT_TRUE(kept) << row.key.key;
        EXPECT_EQ(kept->verdict, row.answer.verdict);
        EXPECT_EQ(kept->value, row.answer.value);
        EXPECT_FALSE(cache.find(row.key, start + row.time)) << row.key.key;
        EXPECT_EQ(cache.size(), 0u);
    }
}

TEST(TableCacheTest, ThatATableIsAwayIsNoAnswer) {
    TableCache cache;
    cache.add(domain("a"), {}, start);
    EXPECT_FALSE(cache.find(domain("a"), start));
}

TEST(TableCacheTest, ANewAnswerTakesThePlaceOfTheFormer) {
    TableCache cache;
    cache.add(domain("a"), found, start);
    cache.add(domain("a"), not_found, start + 1s);
    EXPECT_EQ(cache.find(domain("a"), start + 2s)->verdict, TableVerdict::not_found);
    EXPECT_EQ(cache.size(), 1u);
    cache.clear();
    EXPECT_FALSE(cache.find(domain("a"), start + 2s));
}

TEST(TableCacheTest, IsBoundedAndForgetsTheOldest) {
    TableCache cache;
    for (size_t i = 0; i <= TableCache::most_entries; ++i)
        cache.add(domain(std::to_string(i)), found, start);
    EXPECT_EQ(cache.size(), TableCache::most_entries);
    EXPECT_FALSE(cache.find(domain("0"), start));
    EXPECT_TRUE(cache.find(domain("1"), start));
    // The same key again and again takes no room either.
    for (size_t i = 0; i < 3 * TableCache::most_entries; ++i)
        cache.add(domain("again"), found, start);
    EXPECT_TRUE(cache.find(domain("again"), start));

    TableCache large;
    const TableAnswers::Answer megabyte{TableVerdict::found, std::string(1 << 20, 'x')};
    for (int i = 0; i < 20; ++i)
        large.add(domain(std::to_string(i)), megabyte, start);
    EXPECT_LT(large.size(), 16u);
    EXPECT_TRUE(large.find(domain("19"), start));
}

// Whether somebody asks again or not.
TEST(TableCacheTest, DropsCredentialsInTime) {
    const auto credentials = [](const char* user) {
        return TableKey{"t", TableService::credentials, user};
    };
    TableCache cache;
    EXPECT_FALSE(cache.next_expiry());
    cache.add(credentials("a"), found, start);
    cache.add(domain("a"), found, start);
    cache.add(credentials("b"), found, start + 1s);
    cache.add(credentials("a"), found, start + 2s);
    EXPECT_EQ(cache.size(), 3u);
    cache.expire(start + 1s);
    EXPECT_EQ(cache.size(), 3u);
    EXPECT_EQ(cache.next_expiry(), start + 1s + TableCache::credentials_time);
    cache.expire(start + 1s + TableCache::credentials_time);
    EXPECT_EQ(cache.size(), 2u);
    EXPECT_EQ(cache.next_expiry(), start + 2s + TableCache::credentials_time);
    cache.expire(start + 1h);
    EXPECT_EQ(cache.size(), 1u) << "others wait until somebody asks";
    EXPECT_FALSE(cache.next_expiry());
}

} // namespace
} // namespace postern
