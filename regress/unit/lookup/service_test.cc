// The whole process but for its main: questions over a channel, answers back.
#include "smtpd/lookup/service.h"

#include <gtest/gtest.h>

#include <vector>

namespace postern {
namespace {

using ipc::RouteVerdict;

class LookupServiceTest : public testing::Test {
  protected:
    using Client = ipc::Channel<ipc::FromLookup, ipc::ToLookup>;

    LookupServiceTest() { EXPECT_TRUE(service_.configure(settings("relay")).ok()); }

    static ipc::LookupSettings settings(const std::string& name) {
        ipc::LookupSettings settings;
        Action action;
        action.name = name;
        settings.actions = {action};
        MatchRule rule;
        Criterion any;
        any.kind = CriterionKind::for_any;
        rule.criteria = {any};
        rule.action = name;
        settings.rules = {rule};
        return settings;
    }

    std::unique_ptr<Client> connect(uint32_t index) {
        auto [ours, theirs] = ipc::make_pair();
        ipc::Connect connect;
        connect.role = ipc::Role::queue;
        connect.index = index;
        connect.channel = std::move(theirs);
        service_.connect(std::move(connect));
        return std::make_unique<Client>(
            loop_, std::move(ours),
            [this](ipc::FromLookup&& message) {
                if (auto* answer = std::get_if<ipc::RouteAnswer>(&message))
                    answers_.push_back(std::move(*answer));
                else
                    changed_after_.push_back(answers_.size());
                if (answers_.size() == expected_)
                    loop_.stop();
            },
            [this](const std::string&) { loop_.stop(); });
    }
    static void ask(Client& client, uint32_t request) {
        ipc::RouteQuery query;
        query.request = request;
        query.recipient = "x@far.test";
        client.send(std::move(query));
    }
    void run_until(size_t answers) {
        expected_ = answers;
        loop_.run();
    }

    EventLoop loop_;
    int drained_ = 0;
    LookupService service_{loop_, [this] {
                               ++drained_;
                               loop_.stop();
                           }};
    std::vector<ipc::RouteAnswer> answers_;
    std::vector<size_t> changed_after_; // so many answers
    size_t expected_ = 0;
};

TEST_F(LookupServiceTest, AnswersEachQuestion) {
    auto client = connect(0);
    for (uint32_t i = 0; i < 1000; ++i)
        ask(*client, i);
    run_until(1000);
    for (uint32_t i = 0; i < 1000; ++i) {
        EXPECT_EQ(answers_[i].request, i);
        EXPECT_EQ(answers_[i].verdict, RouteVerdict::accepted);
    }
}

TEST_F(LookupServiceTest, ReloadChangesRoutesAndABadOneDoesNot) {
    auto client = connect(0);
    ASSERT_TRUE(service_.configure(settings("other")).ok());
    ask(*client, 1);
    run_until(1);
    EXPECT_EQ(answers_.back().route.action, "other");
    ipc::LookupSettings bad = settings("third");
    bad.actions.clear();
    EXPECT_FALSE(service_.configure(bad).ok());
    ask(*client, 2);
    run_until(2);
    EXPECT_EQ(answers_.back().route.action, "other");
}

TEST_F(LookupServiceTest, WhoAsksIsToldWhenAnswersMayChange) {
    auto client = connect(0);
    ask(*client, 1);
    run_until(1);
    EXPECT_TRUE(changed_after_.empty());
    ASSERT_TRUE(service_.configure(settings("other")).ok());
    ask(*client, 2);
    run_until(2);
    EXPECT_EQ(answers_[0].route.action, "relay");
    EXPECT_EQ(answers_[1].route.action, "other");
    EXPECT_EQ(changed_after_, std::vector<size_t>{1}) << "between the old answer and the new one";
    ipc::LookupSettings bad = settings("third");
    bad.actions.clear();
    EXPECT_FALSE(service_.configure(bad).ok());
    ask(*client, 3);
    run_until(3);
    EXPECT_EQ(changed_after_.size(), 1u);
}

TEST_F(LookupServiceTest, DrainWaitsForThoseWhoStillAsk) {
    auto client = connect(0);
    service_.drain(std::chrono::seconds(30));
    ask(*client, 1);
    run_until(1);
    EXPECT_EQ(drained_, 0);
    client.reset();
    loop_.run();
    EXPECT_EQ(drained_, 1);
}

TEST_F(LookupServiceTest, DrainHasATimeLimit) {
    auto client = connect(0);
    service_.drain(std::chrono::seconds(0));
    loop_.run();
    EXPECT_EQ(drained_, 1);
}

TEST_F(LookupServiceTest, WithoutPeersDrainIsDoneAtOnce) {
    service_.drain(std::chrono::seconds(30));
    EXPECT_EQ(drained_, 1);
}

// Together they are more than a peer may leave unread: they are worked out as it reads them.
TEST_F(LookupServiceTest, LongAnswersWaitForTheirReader) {
    constexpr uint32_t questions = 300;
    constexpr size_t members = 2000;
    ipc::LookupSettings settings;
    Action lists;
    lists.name = "lists";
    lists.kind = ActionKind::expand_only;
    lists.aliases = "aliases";
    Action out;
    out.name = "out";
    settings.actions = {lists, out};
    Table aliases;
    aliases.name = "aliases";
    aliases.is_mapping = true;
    for (size_t i = 0; i < members; ++i) {
        for (int j = 0; j < 22; ++j)
            aliases.pairs["all"] += j == 0 ? "x" + std::to_string(i) + "@" : "label-long.";
        aliases.pairs["all"] += "far.test,";
    }
    aliases.pairs["all"].pop_back();
    Table home;
    home.name = "home";
    home.values = {"home.test"};
    settings.tables = {{"aliases", aliases}, {"home", home}};
    MatchRule inside, elsewhere;
    inside.action = "lists";
    inside.criteria = {{CriterionKind::for_domain, false, "home"}};
    elsewhere.action = "out";
    elsewhere.criteria = {{CriterionKind::for_any, false, ""}};
    settings.rules = {inside, elsewhere};
    ASSERT_TRUE(service_.configure(settings).ok());
    auto [ours, theirs] = ipc::make_pair();
    ipc::Connect connect;
    connect.role = ipc::Role::queue;
    connect.channel = std::move(theirs);
    service_.connect(std::move(connect));
    size_t recipients = 0;
    size_t bytes = 0;
    uint32_t answered = 0;
    Client client(
        loop_, std::move(ours),
        [&](ipc::FromLookup&& message) {
            const auto* answer = std::get_if<ipc::RouteAnswer>(&message);
            if (!answer)
                return;
            recipients += answer->expanded.size();
            for (const ipc::ExpandedRecipient& one : answer->expanded)
                bytes += one.recipient.size();
            if (!answer->more && ++answered == questions)
                loop_.stop();
        },
        [this](const std::string&) { loop_.stop(); });
    for (uint32_t i = 0; i < questions; ++i) {
        ipc::RouteQuery query;
        query.request = i;
        query.recipient = "all@home.test";
        client.send(std::move(query));
    }
    loop_.run();
    EXPECT_EQ(answered, questions);
    EXPECT_EQ(recipients, questions * members);
    EXPECT_GT(bytes, 128u << 20);
}

} // namespace
} // namespace postern
