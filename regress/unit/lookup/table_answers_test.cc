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
    EXPECT_FALSE(answers.knows(wanted[0]));
    answers.learn(wanted[0], away);
    EXPECT_FALSE(answers.knows(wanted[0]));
    answers.learn(wanted[0], not_found);
    EXPECT_TRUE(answers.knows(wanted[0]));
    EXPECT_TRUE(answers.knows({"t", TableService::domain, ""})) << "it is in none";
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
                answers.learn({"t", TableService::string, keys[i]}, row.known[i] == 'f' ? found
                                                                    : row.known[i] == 'n'
                                                                        ? not_found
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

} // namespace
} // namespace postern
