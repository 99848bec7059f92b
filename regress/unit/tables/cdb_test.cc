// Real CDB files.
#include <gtest/gtest.h>

#include <cdb.h>
#include <fcntl.h>
#include <filesystem>
#include <fstream>

#include "smtpd/tables/backend.h"

namespace postern::tables {
namespace {

class CdbTest : public testing::Test {
  protected:
    CdbTest() {
        std::string pattern = testing::TempDir() + "/postern-cdb-XXXXXX";
        directory_ = ::mkdtemp(pattern.data());
        table_.location = directory_ + "/table.cdb";
    }
    ~CdbTest() override { std::filesystem::remove_all(directory_); }

    // As cdb(1) does: a new file takes the place of the old one.
    void write(const std::string& key, const std::string& value) const {
        const std::string fresh = table_.location + ".tmp";
        const int fd = ::open(fresh.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
        cdb_make make;
        ASSERT_EQ(cdb_make_start(&make, fd), 0);
        ASSERT_EQ(cdb_make_add(&make, key.data(), static_cast<unsigned>(key.size()), value.data(),
                               static_cast<unsigned>(value.size())),
                  0);
        ASSERT_EQ(cdb_make_finish(&make), 0);
        ::close(fd);
        std::filesystem::rename(fresh, table_.location);
    }

    std::string directory_;
    ExternalTable table_;
};

TEST_F(CdbTest, ValuesOfKeys) {
    write("bob@x.example", "a value");
    const auto backend = make_cdb(table_);
    EXPECT_FALSE(backend->connected());
    ASSERT_TRUE(backend->connect().ok());
    EXPECT_EQ(*backend->find(TableService::mailaddr, "bob@x.example"),
              (std::vector<Row>{{"a value"}}));
    EXPECT_TRUE(backend->find(TableService::mailaddr, "bob")->empty());
    EXPECT_TRUE(backend->connected());
}

TEST_F(CdbTest, AnotherFileInItsPlaceIsNoticed) {
    write("old", "1");
    const auto backend = make_cdb(table_);
    ASSERT_TRUE(backend->connect().ok());
    write("new", "2");
    EXPECT_FALSE(backend->connected());
    ASSERT_TRUE(backend->connect().ok());
    EXPECT_EQ(*backend->find(TableService::domain, "new"), (std::vector<Row>{{"2"}}));
    std::filesystem::remove(table_.location);
    EXPECT_FALSE(backend->connected());
    EXPECT_FALSE(backend->connect().ok());
}

TEST_F(CdbTest, WhatIsNoTableIsAnError) {
    const auto backend = make_cdb(table_);
    EXPECT_FALSE(backend->connect().ok()) << "there is no file";
    std::ofstream(table_.location) << "short";
    EXPECT_FALSE(backend->connect().ok());
    table_.location = directory_;
    EXPECT_FALSE(make_cdb(table_)->connect().ok()) << "a directory";
    // Pointers to nowhere.
    table_.location = directory_ + "/garbage.cdb";
    std::ofstream(table_.location) << std::string(4096, '\x41');
    const auto garbage = make_cdb(table_);
    EXPECT_TRUE(!garbage->connect().ok() || !garbage->find(TableService::domain, "x").ok());
}

} // namespace
} // namespace postern::tables
