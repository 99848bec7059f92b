// Questions that wait for a postern-tables, which is played.
#include "smtpd/lookup/pending_questions.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace postern {
namespace {

class PendingQuestionsTest : public testing::Test {
  protected:
    using Tables = ipc::Channel<ipc::LookupToTables, ipc::TablesToLookup>;

    PendingQuestionsTest() {
        auto [ours, theirs] = ipc::make_pair();
        client_.connect(std::move(theirs));
        tables_ = std::make_unique<Tables>(
            loop_, std::move(ours),
            [this](ipc::LookupToTables&& message) {
                const ipc::TableQuery& query = std::get<ipc::TableQuery>(message);
                most_open_ = std::max(most_open_, client_.open());
                asked_.push_back(query.key);
                ipc::TableAnswer answer;
                answer.request = query.request;
                answer.verdict = ipc::TableVerdict::not_found;
                tables_->send(std::move(answer));
            },
            [](const std::string&) {});
    }

    // Wants all of these, until it knows them.
    void evaluate(const std::shared_ptr<PendingQuestion>& question,
                  const std::vector<std::string>& keys) {
        ++evaluations_[question];
        for (const std::string& key : keys)
            question->answers.value_of("aliases", TableService::alias, key);
        if (!question->answers.wanting()) {
            if (--unanswered_ == 0)
                loop_.stop();
            return;
        }
        EXPECT_EQ(pending_.learn(question, [=, this] { evaluate(question, keys); }),
                  Learned::later);
    }
    std::shared_ptr<PendingQuestion> ask(const std::vector<std::string>& keys) {
        ++unanswered_;
        auto question = pending_.begin<PendingQuestion>({{ipc::Role::queue, 0}, 1});
        evaluate(question, keys);
        return question;
    }

    EventLoop loop_;
    Counters counters_;
    PendingQuestions pending_{loop_, client_};
    TablesClient client_{loop_, counters_}; // what waits for it holds places of `pending_`
    std::unique_ptr<Tables> tables_;
    std::vector<std::string> asked_;
    size_t most_open_ = 0;
    size_t unanswered_ = 0;
    std::map<std::shared_ptr<PendingQuestion>, size_t> evaluations_;
};

TEST_F(PendingQuestionsTest, AListLeavesRoomForOthers) {
    constexpr size_t at_once = PendingQuestions::members_at_once;
    std::vector<std::string> members;
    for (size_t i = 0; i < 3 * at_once; ++i)
        members.push_back("m" + std::to_string(i));
    const auto list = ask(members);
    EXPECT_EQ(client_.open(), at_once);
    const auto other = ask({"other"});
    EXPECT_EQ(client_.open(), at_once + 1);
    loop_.run();
    EXPECT_EQ(most_open_, at_once + 1);
    ASSERT_EQ(asked_.size(), members.size() + 1) << "each once";
    EXPECT_EQ(asked_[at_once], "other") << "asked for before the rest of the list";
    EXPECT_EQ(evaluations_[list], 4u);
    EXPECT_EQ(evaluations_[other], 2u);
}

} // namespace
} // namespace postern
