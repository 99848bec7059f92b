// What external tables are asked, and what is made of the answers.
#include "smtpd/lookup/table_answers.h"

#include <gtest/gtest.h>

namespace postern {
namespace {

using ipc::TableVerdict;

const TableAnswers::Answer found{TableVerdict::found, "value"};
const TableAnswers::Answer not_found{TableVerdict::not_found, ""};
const TableAnswers::Answer away{};

TEST(TableAnswersTest, AsksForAllKeysAtOnceAndThenKnows) {
    TableAnswers answers;
    EXPECT_FALSE(answers.has_any("t", TableService::domain, {"a.b", "*.b"}));
    EXPECT_TRUE(answers.undecided());
    const std::vector<TableKey> wanted = answers.take_wanted();
    ASSERT_EQ(wanted.size(), 2u);
    EXPECT_EQ(wanted[0], (TableKey{"t", TableService::domain, "*.b"}));
    EXPECT_EQ(wanted[1], (TableKey{"t", TableService::domain, "a.b"}));
    EXPECT_FALSE(answers.wanting());
    answers.learn(wanted[0], not_found);
    answers.learn(wanted[1], found);
    EXPECT_TRUE(answers.has_any("t", TableService::domain, {"a.b", "*.b"}));
    EXPECT_FALSE(answers.undecided());
    // Another table, or another kind of key, is another question.
    EXPECT_FALSE(answers.has_any("u", TableService::domain, {"a.b"}));
    EXPECT_FALSE(answers.has_any("t", TableService::string, {"a.b"}));
    EXPECT_EQ(answers.take_wanted().size(), 2u);
}

// `f`ound, `n`ot found, `a`way, `?` not known: of two keys of one criterion.
TEST(TableAnswersTest, OneKeyThatIsFoundSettlesIt) {
    const struct {
        const char* known;
        bool has, wanting, is_away;
    } rows[] = {
        {"nn", false, false, false}, {"fn", true, false, false}, {"nf", true, false, false},
        {"f?", true, false, false},  {"n?", false, true, false}, {"fa", true, false, false},
        {"af", true, false, false},  {"na", false, false, true}, {"aa", false, false, true},
        {"a?", false, true, true},
    };
    for (const auto& row : rows) {
        TableAnswers answers;
        const std::vector<std::string> keys{"first", "second"};
        for (size_t i = 0; i < 2; ++i)
            if (row.known[i] != '?')
                answers.learn({"t", TableService::string, keys[i]}, row.known[i] == 'f'   ? found
                                                                     : row.known[i] == 'n' ? not_found
                                                                                           : away);
        EXPECT_EQ(answers.has_any("t", TableService::string, keys), row.has) << row.known;
        EXPECT_EQ(answers.wanting(), row.wanting) << row.known;
        EXPECT_EQ(answers.away(), row.is_away) << row.known;
    }
}

TEST(TableAnswersTest, WhatNoTableCanHaveIsNotAskedFor) {
    TableAnswers answers;
    EXPECT_FALSE(answers.has_any("t", TableService::string,
                                 {"", std::string("a\0b", 3), "\xff", std::string(513, 'x')}));
    EXPECT_FALSE(answers.undecided());
    EXPECT_FALSE(answers.has_any("t", TableService::string, {std::string(512, 'x')}));
    EXPECT_TRUE(answers.wanting());
}

TEST(TableAnswersTest, ValuesOfAllKindsOfMappings) {
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
    const std::map<std::string, Table> tables = {{"plain", plain}, {"cidr", cidr},
                                                 {"regex", regex}, {"external", external},
                                                 {"list", list}};
    TableAnswers answers;
    const auto value = [&](const char* table, const char* key) {
        return find_value(tables, table, TableService::alias, key, answers).value_or("-");
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
    EXPECT_EQ(value("list", "bob"), "-");
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

} // namespace
} // namespace postern
