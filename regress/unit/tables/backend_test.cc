// What the rows of a data base are as one value.
#include "smtpd/tables/backend.h"

#include <gtest/gtest.h>

#include "common/ipc/tables.h"

namespace postern::tables {
namespace {

TEST(TableValueTest, DependsOnTheService) {
    const struct {
        TableService service;
        std::vector<Row> rows;
        const char* value;
    } rows[] = {
        {TableService::domain, {{"x.example"}}, "x.example"},
        {TableService::domain, {{"x.example", "more"}, {"y.example"}}, "x.example"},
        {TableService::domain, {{}}, ""},
        {TableService::alias, {{"a"}, {"b@x.example"}, {}}, "a, b@x.example"},
        {TableService::mailaddrmap, {{"a@x.example"}, {"@y.example"}}, "a@x.example, @y.example"},
        {TableService::credentials, {{"bob", "$6$hash"}}, "$6$hash"},
        {TableService::credentials, {{"$6$hash"}}, "$6$hash"},
        {TableService::credentials, {{"bob:$6$hash"}}, "$6$hash"},
        {TableService::credentials, {{"Bob:SCRAM-SHA-256$4096:salt"}}, "SCRAM-SHA-256$4096:salt"},
        {TableService::credentials, {{"SCRAM-SHA-256$4096:salt"}}, "SCRAM-SHA-256$4096:salt"},
        {TableService::userinfo, {{"1000", "100", "/home/bob"}}, "1000:100:/home/bob"},
    };
    for (const auto& row : rows) {
        const Result<std::string> value = value_of(row.service, "bob", row.rows);
        ASSERT_TRUE(value.ok());
        EXPECT_EQ(*value, row.value);
    }
}

TEST(TableValueTest, IsBounded) {
    const std::string longest(ipc::table_value_limit, 'x');
    EXPECT_TRUE(value_of(TableService::string, "k", {{longest}}).ok());
    EXPECT_FALSE(value_of(TableService::string, "k", {{longest + "x"}}).ok());
    EXPECT_FALSE(value_of(TableService::alias, "k", {{longest}, {"x"}}).ok());
}

TEST(RowsTest, MoreThanAValueCanHaveIsAnErrorAndNotAPartOfIt) {
    Rows few;
    EXPECT_TRUE(few.add({"a", "b"}));
    EXPECT_TRUE(few.add({}));
    EXPECT_EQ(*few.take(), (std::vector<Row>{{"a", "b"}, {}}));
    Rows many;
    for (size_t i = 0; i < Rows::most_rows; ++i)
        EXPECT_TRUE(many.add({"x"}));
    EXPECT_FALSE(many.add({"x"}));
    EXPECT_FALSE(many.add({"x"}));
    EXPECT_FALSE(many.take().ok());
    Rows large;
    EXPECT_TRUE(large.add({std::string(Rows::most_bytes, 'x')}));
    EXPECT_FALSE(large.add({"", "x"}));
    EXPECT_FALSE(large.take().ok());
}

} // namespace
} // namespace postern::tables
