// Questions of the queue that depend on an external table, through lookup, to a postern-tables that
// is played.
#include "smtpd/lookup/service.h"

#include <gtest/gtest.h>

namespace postern {
namespace {

using ipc::RouteVerdict;
using ipc::TableVerdict;

class TablesClientTest : public testing::Test {
  protected:
    using Client = ipc::Channel<ipc::FromLookup, ipc::ToLookup>;
    using Tables = ipc::Channel<ipc::LookupToTables, ipc::TablesToLookup>;

    TablesClientTest() {
        EXPECT_TRUE(service_.configure(settings()).ok());
        auto [ours, theirs] = ipc::make_pair();
        service_.connect(ipc::Connect{ipc::Role::queue, 0, std::move(theirs)});
        client_ = std::make_unique<Client>(
            loop_, std::move(ours),
            [this](ipc::FromLookup&& message) {
                if (auto* answer = std::get_if<ipc::RouteAnswer>(&message))
                    answers_.push_back(std::move(*answer));
                if (answers_.size() == expected_)
                    loop_.stop();
            },
            [this](const std::string&) { loop_.stop(); });
    }
    // Relays for domains of the table "domains", and otherwise for senders of the table "senders".
    static ipc::LookupSettings settings() {
        ipc::LookupSettings settings;
        Action action;
        action.name = "out";
        settings.actions = {action};
        const auto rule = [](CriterionKind kind, const char* table) {
            Criterion from, one;
            from.kind = CriterionKind::from_any;
            one.kind = kind;
            one.table = table;
            MatchRule rule;
            rule.criteria = {from, one};
            rule.action = "out";
            return rule;
        };
        settings.rules = {rule(CriterionKind::for_domain, "domains"),
                          rule(CriterionKind::mail_from, "senders")};
        for (const char* name : {"domains", "senders"}) {
            settings.tables[name].name = name;
            settings.tables[name].kind = TableKind::external;
        }
        return settings;
    }
    // Asks one table after another, and accepts if one has it.
    static ipc::LookupSettings settings_of(const std::vector<std::string>& tables) {
        ipc::LookupSettings all = settings();
        const MatchRule rule = all.rules.front();
        all.rules.clear();
        for (const std::string& name : tables) {
            all.rules.push_back(rule);
            all.rules.back().criteria.back().table = name;
            all.tables[name].name = name;
            all.tables[name].kind = TableKind::external;
        }
        return all;
    }
    void answer(const ipc::TableQuery& query) {
        ipc::TableAnswer answer;
        answer.request = query.request;
        const auto known = content_.find(query.table + " " + query.key);
        answer.verdict = known == content_.end() ? TableVerdict::not_found : known->second;
        tables_->send(std::move(answer));
    }
    void answer_all() {
        for (const ipc::TableQuery& query : std::exchange(asked_, {}))
            answer(query);
    }
    void connect_tables() {
        auto [ours, theirs] = ipc::make_pair();
        service_.connect(ipc::Connect{ipc::Role::tables, 0, std::move(theirs)});
        tables_ = std::make_unique<Tables>(
            loop_, std::move(ours),
            [this](ipc::LookupToTables&& message) {
                asked_.push_back(std::get<ipc::TableQuery>(message));
                const ipc::TableQuery& query = asked_.back();
                if (silent_) {
                    if (asked_.size() == expected_questions_)
                        loop_.stop();
                    return;
                }
                answer(query);
            },
            [](const std::string&) {});
    }
    void ask(uint32_t request, const std::string& recipient) {
        ipc::RouteQuery query;
        query.request = request;
        query.recipient = recipient;
        query.reverse_path = "s@src.test";
        client_->send(std::move(query));
    }
    RouteVerdict verdict(const char* recipient) {
        answers_.clear();
        expected_ = 1;
        ask(1, recipient);
        loop_.run();
        return answers_.empty() ? RouteVerdict::accepted : answers_[0].verdict;
    }
    std::vector<std::string> keys() const {
        std::vector<std::string> keys;
        for (const ipc::TableQuery& query : asked_)
            keys.push_back(query.table + " " + service_name(query.service) + " " + query.key);
        return keys;
    }

    EventLoop loop_;
    LookupService service_{loop_, [] {}};
    std::unique_ptr<Client> client_;
    std::unique_ptr<Tables> tables_;
    std::map<std::string, TableVerdict> content_;
    std::vector<ipc::TableQuery> asked_;
    std::vector<ipc::RouteAnswer> answers_;
    bool silent_ = false;
    size_t expected_ = 1;
    size_t expected_questions_ = 0;
};

TEST_F(TablesClientTest, AsksOnlyWhatItNeedsAndOnlyOnce) {
    connect_tables();
    content_["domains in.test"] = TableVerdict::found;
    EXPECT_EQ(verdict("a@in.test"), RouteVerdict::accepted);
    EXPECT_EQ(keys(),
              (std::vector<std::string>{"domains domain *.test", "domains domain in.test"}));
    asked_.clear();
    EXPECT_EQ(verdict("b@in.test"), RouteVerdict::accepted);
    EXPECT_TRUE(asked_.empty()) << "it is known";
    // The second rule is asked about when the first does not hold.
    EXPECT_EQ(verdict("a@out.test"), RouteVerdict::no_rule);
    EXPECT_EQ(keys(),
              (std::vector<std::string>{"domains domain out.test", "senders mailaddr @src.test",
                                        "senders mailaddr s", "senders mailaddr s@src.test"}));
}

TEST_F(TablesClientTest, ATableThatIsAwayMakesItTemporary) {
    EXPECT_EQ(verdict("a@in.test"), RouteVerdict::temporary) << "there is no such process yet";
    connect_tables();
    content_["domains in.test"] = TableVerdict::away;
    EXPECT_EQ(verdict("a@in.test"), RouteVerdict::temporary);
    content_["domains in.test"] = TableVerdict::found;
    EXPECT_EQ(verdict("a@in.test"), RouteVerdict::accepted) << "that it was away is not remembered";
}

TEST_F(TablesClientTest, WhatAProcessThatDiedWasAskedIsTemporary) {
    silent_ = true;
    expected_questions_ = 2;
    connect_tables();
    for (const uint32_t request : {1u, 2u, 3u})
        ask(request, "a@in.test");
    loop_.run();
    EXPECT_EQ(asked_.size(), 2u) << "questions that are the same are asked once";
    tables_.reset();
    expected_ = 3;
    loop_.run();
    ASSERT_EQ(answers_.size(), 3u);
    for (const ipc::RouteAnswer& answer : answers_)
        EXPECT_EQ(answer.verdict, RouteVerdict::temporary);
    silent_ = false;
    connect_tables();
    content_["domains in.test"] = TableVerdict::found;
    EXPECT_EQ(verdict("a@in.test"), RouteVerdict::accepted);
}

TEST_F(TablesClientTest, AReloadForgetsWhatIsKnown) {
    connect_tables();
    content_["domains in.test"] = TableVerdict::found;
    EXPECT_EQ(verdict("a@in.test"), RouteVerdict::accepted);
    content_.clear();
    EXPECT_TRUE(service_.configure(settings()).ok());
    EXPECT_EQ(verdict("a@in.test"), RouteVerdict::no_rule);
}

TEST_F(TablesClientTest, WhatWasAskedBeforeAReloadIsNotRemembered) {
    silent_ = true;
    expected_questions_ = 2;
    connect_tables();
    ask(1, "a@in.test");
    loop_.run();
    EXPECT_TRUE(service_.configure(settings()).ok());
    expected_questions_ = 4;
    ask(2, "a@in.test");
    loop_.run();
    EXPECT_EQ(asked_.size(), 4u) << "asked anew";
    content_["domains in.test"] = TableVerdict::found;
    const std::vector<ipc::TableQuery> former(asked_.begin(), asked_.begin() + 2);
    asked_.clear();
    for (const ipc::TableQuery& query : former)
        answer(query);
    loop_.run();
    ASSERT_EQ(answers_.size(), 1u);
    EXPECT_EQ(answers_[0].request, 1u);
    EXPECT_EQ(answers_[0].verdict, RouteVerdict::accepted);
    // Those of the second question, which another one joins meanwhile, are what counts.
    tables_.reset();
    silent_ = false;
    expected_ = 2;
    loop_.run();
    content_.clear();
    connect_tables();
    EXPECT_EQ(verdict("a@in.test"), RouteVerdict::no_rule);
}

TEST_F(TablesClientTest, WhatIsBeyondTheCreditWaitsForItsTurn) {
    constexpr uint32_t many = 3 * ipc::tables_credit;
    silent_ = true;
    expected_questions_ = ipc::tables_credit;
    connect_tables();
    for (uint32_t i = 0; i < many; ++i) {
        const std::string domain = "d" + std::to_string(i) + ".test";
        content_["domains " + domain] = TableVerdict::found;
        ask(i, "a@" + domain);
    }
    loop_.run();
    EXPECT_EQ(asked_.size(), ipc::tables_credit);
    silent_ = false;
    answer_all();
    expected_ = many;
    loop_.run();
    ASSERT_EQ(answers_.size(), many);
    for (const ipc::RouteAnswer& answer : answers_)
        EXPECT_EQ(answer.verdict, RouteVerdict::accepted) << answer.request;
}

TEST_F(TablesClientTest, AsManyTablesAsTheRulesHaveAreAskedInTurn) {
    std::vector<std::string> names;
    for (int i = 100; i < 200; ++i)
        names.push_back("t" + std::to_string(i));
    EXPECT_TRUE(service_.configure(settings_of(names)).ok());
    connect_tables();
    content_["t199 in.test"] = TableVerdict::found;
    EXPECT_EQ(verdict("a@in.test"), RouteVerdict::accepted);
    EXPECT_EQ(verdict("a@in.test"), RouteVerdict::accepted) << "with all of it known";
}

TEST_F(TablesClientTest, APeerThatHasTooManyWaitingIsToldToComeBack) {
    silent_ = true;
    connect_tables();
    for (uint32_t i = 1; i <= ipc::routing_credit + 1; ++i)
        ask(i, "a@in.test");
    loop_.run();
    ASSERT_EQ(answers_.size(), 1u);
    EXPECT_EQ(answers_[0].request, ipc::routing_credit + 1);
    EXPECT_EQ(answers_[0].verdict, RouteVerdict::temporary);
    content_["domains in.test"] = TableVerdict::found;
    answer_all();
    expected_ = ipc::routing_credit + 1;
    loop_.run();
    ASSERT_EQ(answers_.size(), ipc::routing_credit + 1);
    EXPECT_EQ(answers_[1].verdict, RouteVerdict::accepted);
}

TEST_F(TablesClientTest, AnswersForAPeerThatHasGoneAreForNobody) {
    silent_ = true;
    expected_questions_ = 2;
    connect_tables();
    ask(7, "a@in.test");
    loop_.run();
    // Another queue in its place, with the same numbers.
    auto [ours, theirs] = ipc::make_pair();
    service_.connect(ipc::Connect{ipc::Role::queue, 0, std::move(theirs)});
    std::vector<ipc::RouteAnswer> got;
    Client second(
        loop_, std::move(ours),
        [&](ipc::FromLookup&& message) {
            if (auto* answer = std::get_if<ipc::RouteAnswer>(&message))
                got.push_back(std::move(*answer));
            if (got.size() == 1)
                loop_.stop();
        },
        [](const std::string&) {});
    for (const ipc::TableQuery& query : asked_) {
        ipc::TableAnswer answer;
        answer.request = query.request;
        answer.verdict = TableVerdict::found;
        tables_->send(std::move(answer));
    }
    silent_ = false;
    ipc::RouteQuery query;
    query.request = 8;
    query.recipient = "a@other.test";
    second.send(std::move(query));
    loop_.run(); // until the former queue learns that it has gone
    if (got.empty())
        loop_.run();
    ASSERT_EQ(got.size(), 1u);
    EXPECT_EQ(got[0].request, 8u);
}

} // namespace
} // namespace postern
