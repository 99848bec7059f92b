// Real SQLite files.
#include <gtest/gtest.h>

#include <filesystem>
#include <sqlite3.h>

#include "smtpd/tables/backend.h"

namespace postern::tables {
namespace {

class SqliteTest : public testing::Test {
  protected:
    SqliteTest() {
        std::string pattern = testing::TempDir() + "/postern-sqlite-XXXXXX";
        directory_ = ::mkdtemp(pattern.data());
        table_.backend = TableBackend::sqlite;
        table_.location = directory_ + "/lists.db";
        table_.queries[TableService::domain].text = "SELECT domain FROM d WHERE domain = ?;";
        table_.queries[TableService::credentials].text =
            "SELECT name, hash FROM users WHERE name = ?1";
        table_.queries[TableService::alias].text = "SELECT target FROM a WHERE name = ? ORDER BY 1";
        table_.queries[TableService::netaddr].text = "SELECT 1 FROM d";
        table_.queries[TableService::source].text = "SELECT FROM";
        execute("CREATE TABLE d (domain); INSERT INTO d VALUES ('x.example');"
                "CREATE TABLE users (name, hash); INSERT INTO users VALUES ('bob', '$6$');"
                "CREATE TABLE a (name, target); INSERT INTO a VALUES ('s', 'b'), ('s', 'a')");
    }
    ~SqliteTest() override { std::filesystem::remove_all(directory_); }

    void execute(const char* sql) const {
        sqlite3* database = nullptr;
        ASSERT_EQ(sqlite3_open(table_.location.c_str(), &database), SQLITE_OK);
        EXPECT_EQ(sqlite3_exec(database, sql, nullptr, nullptr, nullptr), SQLITE_OK)
            << sqlite3_errmsg(database);
        sqlite3_close(database);
    }

    std::string directory_;
    ExternalTable table_;
};

TEST_F(SqliteTest, RowsOfAKey) {
    const auto backend = make_sqlite(table_);
    EXPECT_FALSE(backend->connected());
    ASSERT_TRUE(backend->connect().ok());
    for (int again = 0; again < 2; ++again) {
        EXPECT_EQ(*backend->find(TableService::domain, "x.example"),
                  (std::vector<Row>{{"x.example"}}));
        EXPECT_TRUE(backend->find(TableService::domain, "y.example")->empty());
        EXPECT_TRUE(backend->find(TableService::domain, "' OR '1'='1")->empty());
        EXPECT_EQ(*backend->find(TableService::credentials, "bob"),
                  (std::vector<Row>{{"bob", "$6$"}}));
        EXPECT_EQ(*backend->find(TableService::alias, "s"), (std::vector<Row>{{"a"}, {"b"}}));
    }
    execute("INSERT INTO d VALUES ('y.example')");
    EXPECT_EQ(backend->find(TableService::domain, "y.example")->size(), 1u);
}

TEST_F(SqliteTest, NothingButNullIsNoRow) {
    table_.queries[TableService::domain].text = "SELECT max(domain) FROM d WHERE domain = ?";
    table_.queries[TableService::credentials].text = "SELECT name, NULL FROM users WHERE name = ?";
    const auto backend = make_sqlite(table_);
    ASSERT_TRUE(backend->connect().ok());
    EXPECT_EQ(backend->find(TableService::domain, "x.example")->size(), 1u);
    EXPECT_TRUE(backend->find(TableService::domain, "y.example")->empty());
    EXPECT_EQ(*backend->find(TableService::credentials, "bob"), (std::vector<Row>{{"bob", ""}}));
}

TEST_F(SqliteTest, MoreRowsThanAValueCanHaveAreAnError) {
    table_.queries[TableService::alias].text =
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1 + 0) "
        "SELECT i FROM n";
    const auto backend = make_sqlite(table_);
    ASSERT_TRUE(backend->connect().ok());
    EXPECT_EQ(backend->find(TableService::alias, "1000")->size(), 1000u);
    EXPECT_FALSE(backend->find(TableService::alias, "1001").ok());
    EXPECT_TRUE(backend->connected());
    EXPECT_EQ(backend->find(TableService::alias, "3")->size(), 3u);
}

TEST_F(SqliteTest, WhatIsWrongWithAQuestionLosesNoConnection) {
    const auto backend = make_sqlite(table_);
    ASSERT_TRUE(backend->connect().ok());
    EXPECT_EQ(backend->find(TableService::netaddr, "x").error().message,
              "the query has to have one parameter, ? or ?1");
    EXPECT_NE(backend->find(TableService::source, "x").error().message.find("syntax error"),
              std::string::npos);
    EXPECT_FALSE(backend->find(TableService::string, "x").ok()) << "there is no query";
    EXPECT_TRUE(backend->connected());
}

TEST_F(SqliteTest, AFileThatGoesAndOneInItsPlace) {
    const auto backend = make_sqlite(table_);
    ASSERT_TRUE(backend->connect().ok());
    std::filesystem::rename(table_.location, directory_ + "/away");
    EXPECT_FALSE(backend->connected());
    EXPECT_FALSE(backend->find(TableService::domain, "x.example").ok());
    EXPECT_FALSE(backend->connect().ok());
    EXPECT_FALSE(std::filesystem::exists(table_.location)) << "none is made";
    execute("CREATE TABLE d (domain); INSERT INTO d VALUES ('z.example')");
    ASSERT_TRUE(backend->connect().ok());
    EXPECT_EQ(backend->find(TableService::domain, "z.example")->size(), 1u);
}

TEST_F(SqliteTest, NothingIsWritten) {
    table_.queries[TableService::domain].text = "DELETE FROM d WHERE domain = ? RETURNING domain";
    const auto backend = make_sqlite(table_);
    ASSERT_TRUE(backend->connect().ok());
    EXPECT_FALSE(backend->find(TableService::domain, "x.example").ok());
}

TEST_F(SqliteTest, AQueryThatTakesTooLongIsBrokenOff) {
    table_.queries[TableService::domain].text =
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) "
        "SELECT max(i) FROM n WHERE i <> ?";
    const auto backend = make_sqlite(table_);
    ASSERT_TRUE(backend->connect().ok());
    const auto begin = std::chrono::steady_clock::now();
    EXPECT_FALSE(backend->find(TableService::domain, "x").ok());
    EXPECT_LT(std::chrono::steady_clock::now() - begin, 4 * answer_limit);
}

} // namespace
} // namespace postern::tables
