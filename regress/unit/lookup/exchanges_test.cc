// The exchanges of one listener, in simulated time: what is kept, for how long, and how many.
#include "smtpd/lookup/exchanges.h"

#include <gtest/gtest.h>

#include <optional>
#include <vector>

#include "regress/support/simulated_time.h"

namespace postern {
namespace {

using namespace std::chrono_literals;
using ipc::SaslVerdict;

// Echoes: the verdict is the first letter of a message, the challenge all of it. "w" waits.
class Echo final : public SaslServer {
  public:
    Echo(int& alive, Done& waiting) : alive_(alive), waiting_(waiting) { ++alive_; }
    ~Echo() override { --alive_; }
    void respond(Secret message, Done done) override {
        Outcome outcome;
        outcome.challenge = message.view();
        switch (message.view().at(0)) {
        case 'c':
            outcome.verdict = SaslVerdict::challenge;
            break;
        case 'o':
            outcome.verdict = SaslVerdict::ok;
            outcome.user = "user";
            break;
        case 'f':
            outcome.verdict = SaslVerdict::failed;
            break;
        case 'w':
            waiting_ = std::move(done);
            return;
        default:
            break;
        }
        done(std::move(outcome));
    }

  private:
    int& alive_;
    Done& waiting_;
};

class ExchangesTest : public testing::Test {
  protected:
    void start(uint64_t exchange, const char* message) {
        ipc::SaslStart start;
        start.request = ++request_;
        start.exchange = exchange;
        start.response = Secret(message);
        exchanges_->start(std::move(start), std::make_unique<Echo>(alive_, waiting_));
    }
    void respond(uint64_t exchange, const char* message) {
        ipc::SaslResponse response;
        response.request = ++request_;
        response.exchange = exchange;
        response.response = Secret(message);
        exchanges_->respond(std::move(response));
    }
    // Of the last question; nothing: it has no answer yet.
    std::optional<SaslVerdict> verdict() const {
        if (answers_.empty() || answers_.back().request != request_)
            return std::nullopt;
        return answers_.back().verdict;
    }

    test::SimulatedTime time_;
    std::vector<ipc::SaslAnswer> answers_;
    std::unique_ptr<Exchanges> exchanges_ = std::make_unique<Exchanges>(
        time_, [this](ipc::SaslAnswer answer) { answers_.push_back(std::move(answer)); });
    uint32_t request_ = 0;
    int alive_ = 0;
    SaslServer::Done waiting_;
};

TEST_F(ExchangesTest, AChallengeKeepsItAndAVerdictEndsIt) {
    start(7, "c1");
    EXPECT_EQ(verdict(), SaslVerdict::challenge);
    EXPECT_EQ(answers_.back().challenge, "c1");
    EXPECT_EQ(exchanges_->open(), 1u);
    start(8, "c2");
    respond(7, "ok");
    EXPECT_EQ(verdict(), SaslVerdict::ok);
    EXPECT_EQ(answers_.back().user, "user");
    EXPECT_EQ(alive_, 1);
    respond(8, "failed");
    EXPECT_EQ(verdict(), SaslVerdict::failed);
    respond(8, "ok");
    EXPECT_EQ(verdict(), SaslVerdict::temporary) << "it is over";
    respond(9, "ok");
    EXPECT_EQ(verdict(), SaslVerdict::temporary) << "there has never been one";
    EXPECT_EQ(alive_, 0);
}

TEST_F(ExchangesTest, AnAnswerMayComeLater) {
    start(7, "wait");
    EXPECT_EQ(verdict(), std::nullopt);
    SaslServer::Outcome outcome;
    outcome.verdict = SaslVerdict::challenge;
    waiting_(outcome);
    EXPECT_EQ(verdict(), SaslVerdict::challenge);
    respond(7, "wait");
    outcome.verdict = SaslVerdict::ok;
    waiting_(outcome);
    EXPECT_EQ(verdict(), SaslVerdict::ok);
    EXPECT_EQ(exchanges_->open(), 0u);
}

// A server that answers for what is over is not heard, whatever has its place by then.
TEST_F(ExchangesTest, AnAnswerForWhatIsOver) {
    SaslServer::Outcome outcome;
    outcome.verdict = SaslVerdict::ok;
    start(7, "wait");
    const SaslServer::Done cancelled = waiting_;
    exchanges_->cancel({7});
    cancelled(outcome);
    EXPECT_TRUE(answers_.empty());
    start(7, "wait");
    cancelled(outcome);
    EXPECT_TRUE(answers_.empty());
    EXPECT_EQ(exchanges_->open(), 1u);
    const SaslServer::Done forgotten = waiting_;
    exchanges_.reset();
    forgotten(outcome);
    EXPECT_TRUE(answers_.empty());
}

TEST_F(ExchangesTest, AMessageBeforeTheLastOneHasItsAnswer) {
    start(7, "wait");
    respond(7, "ok");
    EXPECT_EQ(verdict(), SaslVerdict::temporary);
    EXPECT_EQ(alive_, 0);
}

TEST_F(ExchangesTest, CancelledOrBegunAnew) {
    start(7, "c");
    exchanges_->cancel({7});
    EXPECT_EQ(alive_, 0);
    exchanges_->cancel({7});
    start(7, "c");
    start(7, "c");
    EXPECT_EQ(alive_, 1);
    exchanges_.reset();
    EXPECT_EQ(alive_, 0);
}

TEST_F(ExchangesTest, IsForgottenWhenTheClientTakesTooLong) {
    start(7, "c");
    time_.advance(Exchanges::patience - 1s);
    respond(7, "c");
    EXPECT_EQ(verdict(), SaslVerdict::challenge);
    time_.advance(Exchanges::patience - 1s);
    EXPECT_EQ(exchanges_->open(), 1u);
    time_.advance(1s);
    EXPECT_EQ(exchanges_->open(), 0u);
    respond(7, "ok");
    EXPECT_EQ(verdict(), SaslVerdict::temporary);
}

TEST_F(ExchangesTest, StepsAreBounded) {
    start(7, "c");
    for (uint32_t i = 1; i < Exchanges::most_steps; ++i) {
        respond(7, "c");
        EXPECT_EQ(verdict(), SaslVerdict::challenge);
    }
    respond(7, "ok");
    EXPECT_EQ(verdict(), SaslVerdict::temporary);
    EXPECT_EQ(alive_, 0);
}

TEST_F(ExchangesTest, TheirNumberIsBounded) {
    for (uint64_t i = 0; i < Exchanges::limit; ++i) {
        start(i, "c");
        ASSERT_EQ(verdict(), SaslVerdict::challenge);
    }
    start(Exchanges::limit, "ok");
    EXPECT_EQ(verdict(), SaslVerdict::temporary);
    respond(0, "ok");
    EXPECT_EQ(verdict(), SaslVerdict::ok);
    start(Exchanges::limit, "ok");
    EXPECT_EQ(verdict(), SaslVerdict::ok);
}

TEST_F(ExchangesTest, WithoutAServer) {
    ipc::SaslStart start;
    start.request = ++request_;
    exchanges_->start(std::move(start), nullptr);
    EXPECT_EQ(verdict(), SaslVerdict::temporary);
}

} // namespace
} // namespace postern
