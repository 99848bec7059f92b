// Domains that ask for their mail (ETRN).
#include "regress/unit/queue/queue_lab.h"

namespace postern::test {
namespace {

class WakerTest : public testing::Test {
  protected:
    // Mail that has failed once and waits for its next attempt.
    void put_off(const std::string& recipient) {
        const size_t before = lab.handed_count();
        lab.accept("a@from.example", {recipient});
        ASSERT_EQ(lab.handed_count(), before + 1);
        lab.answer(lab.handed(before), temporary());
        lab.run();
    }
    ipc::Woken wake(const std::string& domain, bool subdomains = false) {
        ipc::Wake question;
        question.request = next_request_++;
        question.domain = domain;
        question.subdomains = subdomains;
        EXPECT_TRUE(lab.queue->intake().handle(0, question));
        lab.run();
        const auto* woken = std::get_if<ipc::Woken>(&lab.answers[question.request]);
        EXPECT_TRUE(woken) << "there was no answer";
        return woken ? *woken : ipc::Woken();
    }

    QueueLab lab;
    uint32_t next_request_ = 100'000;
};

TEST_F(WakerTest, MailForTheDomainIsTriedNow) {
    put_off("one@dest.example");
    put_off("two@dest.example");
    put_off("other@other.example");
    put_off("sub@sub.dest.example");
    put_off("like@notdest.example");
    const size_t before = lab.handed_count();
    const ipc::Woken woken = wake("dest.example");
    EXPECT_EQ(woken.result, ipc::WakeResult::started);
    EXPECT_EQ(woken.messages, 2u);
    ASSERT_EQ(lab.handed_count(), before + 2);
    EXPECT_EQ(lab.handed(before).recipients(), std::vector<std::string>{"one@dest.example"});
    EXPECT_EQ(lab.handed(before + 1).recipients(), std::vector<std::string>{"two@dest.example"});
}

TEST_F(WakerTest, SubdomainsIfAskedFor) {
    put_off("one@dest.example");
    put_off("sub@sub.dest.example");
    put_off("like@notdest.example");
    EXPECT_EQ(wake("dest.example", true).messages, 2u);
}

TEST_F(WakerTest, OnlyTheRecipientsThere) {
    lab.accept("a@from.example", {"one@dest.example", "two@other.example"});
    for (size_t i : {0u, 1u})
        lab.answer(lab.handed(i), temporary());
    lab.run();
    EXPECT_EQ(wake("other.example").messages, 1u);
    ASSERT_EQ(lab.handed_count(), 3u);
    EXPECT_EQ(lab.handed(2).recipients(), std::vector<std::string>{"two@other.example"});
}

TEST_F(WakerTest, NothingWaits) {
    lab.accept("a@from.example", {"one@dest.example"}); // it is on its way already
    EXPECT_EQ(wake("dest.example").result, ipc::WakeResult::nothing);
    EXPECT_EQ(wake("other.example").result, ipc::WakeResult::nothing);
}

// Its host was away. One message finds out whether it is back, and the others follow.
TEST_F(WakerTest, EndsTheHoldOfADestination) {
    for (int i = 0; i < 5; ++i)
        lab.accept("a@from.example", {"r" + std::to_string(i) + "@dead.example"});
    for (size_t i : {0u, 1u})
        lab.answer(lab.handed(i), temporary("connection refused"), true);
    lab.run();
    ASSERT_EQ(lab.handed_count(), 2u);
    EXPECT_EQ(wake("dead.example").messages, 5u);
    ASSERT_GT(lab.handed_count(), 2u);
    lab.relay = [](const Handed&) { return delivered(); };
    for (size_t i = 2; i < lab.handed_count(); ++i)
        if (!lab.handed(i).answered)
            lab.answer(lab.handed(i), delivered());
    lab.run();
    EXPECT_TRUE(lab.show_queue().empty());
}

TEST_F(WakerTest, NotAgainWithinAMinute) {
    put_off("one@dest.example");
    EXPECT_EQ(wake("dest.example").result, ipc::WakeResult::started);
    EXPECT_EQ(wake("dest.example").result, ipc::WakeResult::too_soon);
    EXPECT_EQ(wake("other.example").result, ipc::WakeResult::nothing) << "that is another one";
    lab.advance(59s);
    EXPECT_EQ(wake("dest.example").result, ipc::WakeResult::too_soon);
    lab.advance(1s);
    EXPECT_NE(wake("dest.example").result, ipc::WakeResult::too_soon);
}

TEST_F(WakerTest, HoweverManyDomainsAreMadeUp) {
    for (size_t i = 0; i < Waker::max_domains; ++i)
        EXPECT_EQ(wake("d" + std::to_string(i) + ".example").result, ipc::WakeResult::nothing);
    EXPECT_EQ(wake("more.example").result, ipc::WakeResult::too_soon);
    lab.advance(1min);
    EXPECT_EQ(wake("more.example").result, ipc::WakeResult::nothing);
}

// More than is looked at in one turn.
TEST_F(WakerTest, ALongQueue) {
    lab.route = [](const ipc::RouteQuery& query) {
        return verdict(query, ipc::RouteVerdict::temporary);
    };
    const size_t count = 2 * Waker::cost_per_turn + 10;
    for (size_t i = 0; i < count; ++i)
        lab.submit("a@from.example", {"x@dest.example"});
    lab.run();
    ASSERT_EQ(lab.show_queue().size(), count);
    EXPECT_EQ(wake("dest.example").messages, count);
}

TEST_F(WakerTest, AListenerThatAsksForNothingIsFoundOut) {
    ipc::Wake question;
    EXPECT_FALSE(lab.queue->intake().handle(0, question));
    question.domain = std::string(256, 'x');
    EXPECT_FALSE(lab.queue->intake().handle(0, question));
}

// What a listener may have open counts all together.
TEST_F(WakerTest, AQuestionTakesAListenersCredit) {
    Intake& intake = lab.queue->intake();
    ipc::Wake question;
    question.request = 5000;
    question.domain = "dest.example";
    EXPECT_TRUE(intake.handle(0, question));
    EXPECT_FALSE(intake.handle(0, question)) << "it is open already";
    ipc::ContentFileRequest file;
    for (file.request = 6000; file.request < 6000 + ipc::submission_credit - 1; ++file.request)
        ASSERT_TRUE(intake.handle(0, file));
    EXPECT_FALSE(intake.handle(0, file));
    question.request = 5001;
    EXPECT_FALSE(intake.handle(0, question));
    lab.run(); // the first has its answer
    EXPECT_EQ(lab.answers.count(5000), 1u);
    question.request = 5000;
    question.domain = "other.example";
    EXPECT_TRUE(intake.handle(0, question)) << "another one, under a number that is free again";
    EXPECT_FALSE(intake.handle(0, file));
}

// The queue that answers is another one by then.
TEST_F(WakerTest, AListenerThatDiesGetsNoAnswer) {
    ipc::Wake question;
    question.request = 77;
    question.domain = "dest.example";
    EXPECT_TRUE(lab.queue->intake().handle(0, question));
    lab.queue->intake().disconnect(0);
    lab.run();
    EXPECT_EQ(lab.answers.count(77), 0u);
}

} // namespace
} // namespace postern::test
