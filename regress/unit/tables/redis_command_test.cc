#include "smtpd/tables/redis_command.h"

#include <gtest/gtest.h>

namespace postern::tables {
namespace {

TEST(RedisCommandTest, AKeyStaysWithinItsWord) {
    using Words = std::vector<std::string>;
    const std::tuple<const char*, const char*, Words> rows[] = {
        {"GET %s", "bob", {"GET", "bob"}},
        {"  HMGET\tuser:%s   login passwd ", "bob", {"HMGET", "user:bob", "login", "passwd"}},
        {"GET %s:%s", "a", {"GET", "a:a"}},
        {"GET %s", "a b\r\nDEL c", {"GET", "a b\r\nDEL c"}},
        {"GET %s", "%s", {"GET", "%s"}},
        {"GET %s", "", {"GET", ""}},
        {"GET 100%", "bob", {"GET", "100%"}},
        {"", "bob", {}},
    };
    for (const auto& [command, key, words] : rows)
        EXPECT_EQ(redis_words(command, key), words) << command;
}

} // namespace
} // namespace postern::tables
