// The threads of a table, over a back-end that is played.
#include "smtpd/tables/workers.h"

#include <gtest/gtest.h>

#include <atomic>
#include <condition_variable>
#include <mutex>

namespace postern::tables {
namespace {

using ipc::TableVerdict;

// What all connections share: whether the server is there, and what it has.
struct Server {
    std::mutex mutex;
    std::condition_variable changed;
    bool up = true;
    bool holds = false; // answers come only when it lets go
    int held = 0;
    std::map<std::string, std::vector<Row>> content;
    std::string complaint; // about the question
    int generation = 0;    // of its life: connections to a former one are lost
    std::atomic<int> connects = 0;
};

class Played final : public Backend {
  public:
    explicit Played(Server& server) : server_(server) {}
    Result<void> connect() override {
        const std::lock_guard lock(server_.mutex);
        ++server_.connects;
        generation_ = -1;
        if (!server_.up)
            return Error{"refused"};
        generation_ = server_.generation;
        return {};
    }
    bool connected() const override { return generation_ >= 0; }
    Result<std::vector<Row>> find(TableService, const std::string& key) override {
        std::unique_lock lock(server_.mutex);
        ++server_.held;
        server_.changed.notify_all();
        server_.changed.wait(lock, [&] { return !server_.holds; });
        --server_.held;
        if (!server_.complaint.empty())
            return Error{server_.complaint};
        if (!server_.up || generation_ != server_.generation) {
            generation_ = -1;
            return Error{"connection reset"};
        }
        return server_.content[key];
    }

  private:
    Server& server_;
    int generation_ = -1;
};

class WorkersTest : public testing::Test {
  protected:
    WorkersTest() {
        limits_.threads = 1;
        limits_.first_pause = std::chrono::milliseconds(1);
        limits_.longest_pause = std::chrono::milliseconds(1);
        server_->content["known"] = {{"value"}};
    }
    void start() {
        workers_ = std::make_unique<Workers>(
            loop_, "t", [server = server_] { return std::make_unique<Played>(*server); },
            [this](ipc::TableAnswer answer) {
                answers_.push_back(std::move(answer));
                if (answers_.size() >= expected_)
                    loop_.stop();
            },
            limits_);
    }
    void ask(const std::string& key) {
        ipc::TableQuery query;
        query.request = ++asked_;
        query.key = key;
        workers_->ask(std::move(query));
    }
    TableVerdict verdict(const std::string& key) {
        answers_.clear();
        expected_ = 1;
        ask(key);
        if (answers_.empty())
            loop_.run();
        return answers_.at(0).verdict;
    }
    void hold(bool holds) {
        const std::lock_guard lock(server_->mutex);
        server_->holds = holds;
        server_->changed.notify_all();
    }

    EventLoop loop_;
    std::shared_ptr<Server> server_ = std::make_shared<Server>(); // threads outlive us
    WorkerLimits limits_;
    std::unique_ptr<Workers> workers_;
    std::vector<ipc::TableAnswer> answers_;
    size_t expected_ = 1;
    uint32_t asked_ = 0;
};

TEST_F(WorkersTest, ConnectsOnceAndAnswers) {
    start();
    EXPECT_EQ(server_->connects, 0) << "not before somebody asks";
    EXPECT_EQ(verdict("known"), TableVerdict::found);
    EXPECT_EQ(answers_[0].value, "value");
    EXPECT_EQ(answers_[0].request, asked_);
    EXPECT_EQ(verdict("unknown"), TableVerdict::not_found);
    EXPECT_EQ(server_->connects, 1);
}

TEST_F(WorkersTest, AConnectionThatWasLostMeanwhileIsMadeAnew) {
    start();
    EXPECT_EQ(verdict("known"), TableVerdict::found);
    ++server_->generation;
    EXPECT_EQ(verdict("known"), TableVerdict::found);
    EXPECT_EQ(server_->connects, 2);
}

TEST_F(WorkersTest, IsAwayAndComesBack) {
    start();
    server_->up = false;
    EXPECT_EQ(verdict("known"), TableVerdict::away);
    server_->up = true;
    for (int i = 0; i < 1000 && verdict("known") == TableVerdict::away; ++i)
        ;
    EXPECT_EQ(answers_[0].verdict, TableVerdict::found);
}

TEST_F(WorkersTest, IsNotTriedAgainBeforeAWhile) {
    limits_.first_pause = limits_.longest_pause = std::chrono::hours(1);
    start();
    server_->up = false;
    for (int i = 0; i < 10; ++i)
        EXPECT_EQ(verdict("known"), TableVerdict::away);
    EXPECT_EQ(server_->connects, 1);
}

TEST_F(WorkersTest, AComplaintAboutTheQuestionLosesNoConnection) {
    start();
    server_->complaint = "no such column";
    EXPECT_EQ(verdict("known"), TableVerdict::away);
    server_->complaint.clear();
    EXPECT_EQ(verdict("known"), TableVerdict::found);
    EXPECT_EQ(server_->connects, 1);
}

TEST_F(WorkersTest, OneThatHoldsOnKeepsABoundedNumberWaiting) {
    limits_.questions = 2;
    expected_ = 4;
    start();
    hold(true);
    ask("known");
    {
        std::unique_lock lock(server_->mutex);
        server_->changed.wait(lock, [&] { return server_->held == 1; });
    }
    EXPECT_GT(workers_->longest_running().count(), 0);
    ask("known");
    ask("known");
    EXPECT_TRUE(answers_.empty());
    ask("known");
    ASSERT_EQ(answers_.size(), 1u) << "no place: at once";
    EXPECT_EQ(answers_[0].verdict, TableVerdict::away);
    EXPECT_EQ(answers_[0].request, 4u);
    hold(false);
    loop_.run();
    ASSERT_EQ(answers_.size(), 4u);
    for (size_t i = 1; i < 4; ++i)
        EXPECT_EQ(answers_[i].verdict, TableVerdict::found);
}

TEST_F(WorkersTest, WhatIsForgottenKeepsNobodyWaiting) {
    limits_.questions = 2;
    expected_ = 2;
    start();
    hold(true);
    ask("known");
    {
        std::unique_lock lock(server_->mutex);
        server_->changed.wait(lock, [&] { return server_->held == 1; });
    }
    ask("known");
    ask("known");
    workers_->forget();
    ask("known");
    EXPECT_TRUE(answers_.empty()) << "there is a place for it";
    hold(false);
    loop_.run();
    ASSERT_EQ(answers_.size(), 2u);
    EXPECT_EQ(answers_[0].request, 1u);
    EXPECT_EQ(answers_[1].request, 4u);
}

TEST_F(WorkersTest, WhoHasWaitedTooLongIsNotAskedFor) {
    limits_.waiting = std::chrono::milliseconds(0);
    start();
    EXPECT_EQ(verdict("known"), TableVerdict::away);
    EXPECT_EQ(server_->connects, 0);
}

TEST_F(WorkersTest, EndsWithoutWaitingForALibrary) {
    start();
    hold(true);
    ask("known");
    {
        std::unique_lock lock(server_->mutex);
        server_->changed.wait(lock, [&] { return server_->held == 1; });
    }
    workers_.reset();
    hold(false);
}

} // namespace
} // namespace postern::tables
