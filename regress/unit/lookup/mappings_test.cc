#include "smtpd/lookup/mappings.h"

#include <gtest/gtest.h>

#include "table_features.h"

namespace postern {
namespace {

using ipc::TableVerdict;

const TableAnswers::Answer found{TableVerdict::found, "value"};
const TableAnswers::Answer away{};

TEST(MappingsTest, ValuesOfAllKindsOfTables) {
    if (!POSTERN_WITH_REGEX)
        GTEST_SKIP() << "this build has no regular expressions";
    Table plain, cidr, regex, external, list;
    plain.is_mapping = cidr.is_mapping = regex.is_mapping = true;
    plain.pairs = {{"bob", "robert"}};
    cidr.kind = TableKind::cidr;
    cidr.values = {"192.0.2.1", "192.0.2.0/24"};
    cidr.results = {"one", "all"};
    regex.kind = TableKind::regex;
    regex.values = {"^sales-[0-9]+@", "@x\\.example$"};
    regex.results = {"sales", "rest"};
    external.kind = TableKind::external;
    list.values = {"bob"};
    const std::map<std::string, Table> tables = {
        {"plain", plain}, {"cidr", cidr}, {"regex", regex}, {"external", external}, {"list", list}};
    const auto mappings = Mappings::prepare(tables, {"plain", "cidr", "regex", "external"});
    ASSERT_TRUE(mappings.ok());
    TableAnswers answers;
    const auto value = [&](const char* table, const char* key) {
        return mappings->find(table, TableService::alias, key, answers).value_or("-");
    };
    EXPECT_EQ(value("plain", "Bob"), "robert");
    EXPECT_EQ(value("plain", "carol"), "-");
    EXPECT_EQ(value("cidr", "192.0.2.1"), "one");
    EXPECT_EQ(value("cidr", "192.0.2.2"), "all");
    EXPECT_EQ(value("cidr", "192.0.3.1"), "-");
    EXPECT_EQ(value("cidr", "bob"), "-");
    EXPECT_EQ(value("regex", "SALES-12@x.example"), "sales");
    EXPECT_EQ(value("regex", "sales@x.example"), "rest");
    EXPECT_EQ(value("regex", "sales@y.example"), "-");
    EXPECT_EQ(value("none", "bob"), "-");
    EXPECT_FALSE(answers.undecided());
    EXPECT_EQ(value("external", "Bob"), "-");
    EXPECT_EQ(answers.take_wanted(),
              (std::vector<TableKey>{{"external", TableService::alias, "bob"}}));
    answers.learn({"external", TableService::alias, "bob"}, found);
    EXPECT_EQ(value("external", "Bob"), "value");
    EXPECT_FALSE(answers.undecided());
    answers.learn({"external", TableService::alias, "carol"}, away);
    EXPECT_EQ(value("external", "carol"), "-");
    EXPECT_TRUE(answers.away());
}

TEST(MappingsTest, WhatIsNone) {
    Table list, empty;
    list.values = {"bob"};
    EXPECT_FALSE(Mappings::prepare({{"list", list}}, {"list"}).ok());
    EXPECT_FALSE(Mappings::prepare({{"list", list}}, {"none"}).ok());
    EXPECT_TRUE(Mappings::prepare({{"list", list}, {"empty", empty}}, {"empty"}).ok());
}

} // namespace
} // namespace postern
