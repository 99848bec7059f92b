// What operators do to mail that waits, whether it is in memory or on disk alone.
#include "regress/unit/queue/queue_lab.h"

namespace postern::test {
namespace {

using ipc::ChangeKind;

// Some of the queue is parked, or none of it.
class ChangeLab : public QueueLab {
  public:
    explicit ChangeLab(bool park) {
        settings.max_in_memory = park ? 2 : 1'000'000;
        queue->configure(settings);
        relay = [](const Handed&) { return temporary("451 4.7.1 greylisted"); };
        for (int i = 0; i < 20; ++i)
            accept(i % 2 ? "odd@from.example" : "even@from.example",
                   {"r" + std::to_string(i) + "@dest.example"});
        run();
        collect();
        run();
    }
    // All pieces of it. How many it reached.
    uint32_t change(ipc::Change change) {
        uint32_t affected = 0;
        for (bool last = false; !last;) {
            const auto changed = ask<ipc::Changed>(change);
            affected += changed.affected;
            change.after_message = changed.after_message;
            last = changed.last;
        }
        return affected;
    }
    uint32_t change(ChangeKind kind, const std::string& sender, const std::string& reason = "") {
        ipc::Change question;
        question.kind = kind;
        question.filter.sender = sender;
        question.reason = reason;
        return change(question);
    }
    size_t count(ipc::RecipientState state) {
        size_t count = 0;
        for (const auto& entry : show_queue())
            count += entry.state == state;
        return count;
    }
};

class ChangesTo : public testing::TestWithParam<bool> {};
INSTANTIATE_TEST_SUITE_P(InMemoryAndParked, ChangesTo, testing::Bool());

TEST_P(ChangesTo, ThoseThatAreMeantAreListed) {
    ChangeLab lab(GetParam());
    ipc::QueueQuery query;
    query.filter.sender = "odd@*";
    query.limit = 3;
    std::vector<std::string> seen;
    for (bool last = false; !last;) {
        const auto page = lab.ask<ipc::QueuePage>(query);
        for (const auto& entry : page.entries)
            seen.push_back(entry.recipient);
        query.after_message = page.after_message;
        query.after_index = page.after_index;
        last = page.last;
    }
    ASSERT_EQ(seen.size(), 10u);
    for (size_t i = 0; i < 10; ++i)
        EXPECT_EQ(seen[i], "r" + std::to_string(2 * i + 1) + "@dest.example");
}

TEST_P(ChangesTo, AQueryIsTriedNow) {
    ChangeLab lab(GetParam());
    const size_t before = lab.handed_count();
    lab.relay = [](const Handed&) { return delivered(); };
    EXPECT_EQ(lab.change(ChangeKind::schedule, "odd@*"), 10u);
    lab.advance(2s);
    EXPECT_EQ(lab.handed_count(), before + 10);
    EXPECT_EQ(lab.show_queue().size(), 10u);
}

TEST_P(ChangesTo, AQueryIsRemovedForGood) {
    ChangeLab lab(GetParam());
    EXPECT_EQ(lab.change(ChangeKind::remove, "odd@*"), 10u);
    EXPECT_EQ(lab.show_queue().size(), 10u);
    EXPECT_EQ(lab.change(ChangeKind::remove, "odd@*"), 0u);
    lab.lose_power(4);
    lab.start();
    EXPECT_EQ(lab.show_queue().size(), 10u) << "it was answered for";
}

TEST_P(ChangesTo, AQueryIsGivenUpAndItsSendersAreTold) {
    ChangeLab lab(GetParam());
    size_t told = 0;
    lab.relay = [&](const Handed& handed) -> std::optional<ipc::RecipientOutcome> {
        EXPECT_EQ(handed.recipients()[0], "odd@from.example");
        EXPECT_NE(handed.deliver.content.bytes.find("given up by the postmaster: a wrong list"),
                  std::string::npos);
        ++told;
        return delivered();
    };
    EXPECT_EQ(lab.change(ChangeKind::bounce, "odd@*", "a wrong list\r\nX-Forged: yes"), 10u);
    lab.run();
    EXPECT_EQ(told, 10u);
    EXPECT_EQ(lab.show_queue().size(), 10u);
}

// Whenever the machine stops: what an operator was told to be given up does not come back, and its
// sender is told, if there is one.
TEST(Changes, ABounceIsAnsweredForWhenItIsOnDisk) {
    for (const std::string sender : {"a@from.example", ""}) {
        size_t stops = 0, answers = 0;
        for (uint64_t step = 1;; ++step) {
            SCOPED_TRACE(sender + " " + std::to_string(step));
            QueueLab lab;
            lab.relay = [](const Handed& handed) -> std::optional<ipc::RecipientOutcome> {
                return handed.deliver.reverse_path.empty() && handed.recipients()[0][0] == 'a'
                           ? std::nullopt // the report stays out
                           : std::optional(temporary());
            };
            ipc::Change bounce;
            bounce.kind = ChangeKind::bounce;
            bounce.message = lab.accept(sender, {"b@dest.example"});
            bool answered = false;
            Admin admin(*lab.queue, [&](const ipc::Answer& answer) {
                answered = std::holds_alternative<ipc::Changed>(answer);
            });
            ipc::Question question = bounce;
            lab.files.stop_at_step = lab.files.steps() + step;
            answered = admin.ask(question).has_value();
            if (!answered)
                lab.run();
            const bool stopped = lab.files.stopped();
            stops += stopped;
            answers += answered;
            lab.lose_power(step);
            size_t attempts = 0, reports = 0;
            lab.relay = [&](const Handed& handed) {
                ++(handed.recipients()[0] == "b@dest.example" ? attempts : reports);
                return delivered();
            };
            lab.files.stop_at_step = 0;
            lab.start();
            lab.advance(1h);
            EXPECT_EQ(reports, attempts == 0 && !sender.empty() ? 1u : 0u);
            EXPECT_FALSE(answered && attempts != 0) << "it came back";
            EXPECT_TRUE(lab.show_queue().empty());
            if (!stopped || ::testing::Test::HasFailure())
                break;
        }
        EXPECT_GE(stops, 1u) << "the test has stopped nowhere";
        EXPECT_GE(answers, 1u);
    }
}

TEST(Changes, ABounceThatTheDiskRefusesIsNotAnsweredWithDone) {
    QueueLab lab;
    lab.relay = [](const Handed&) { return temporary(); };
    ipc::Change bounce;
    bounce.kind = ChangeKind::bounce;
    bounce.message = lab.accept("a@from.example", {"b@dest.example"});
    lab.files.sync_failure = 1;
    const auto done = lab.ask<ipc::Done>(bounce);
    EXPECT_FALSE(done.ok);
    EXPECT_NE(done.error.find("done, but not recorded"), std::string::npos) << done.error;
    lab.files.sync_failure = 0;
    lab.advance(61s);
    ASSERT_FALSE(lab.all_handed.empty());
    EXPECT_EQ(lab.all_handed.back().recipients()[0], "a@from.example") << "the report, after all";
}

// Nor does what was held go out, if the machine stops before the report is on disk.
TEST(Changes, AHoldEndsWithTheReportAndNotBefore) {
    QueueLab lab;
    lab.relay = [](const Handed&) { return temporary(); };
    const uint64_t id = lab.accept("a@from.example", {"b@dest.example"});
    ipc::Change change;
    change.message = id;
    change.kind = ChangeKind::hold;
    lab.run();
    EXPECT_EQ(lab.ask<ipc::Changed>(change).affected, 1u);
    lab.run();
    lab.files.sync_failure = 1;
    change.kind = ChangeKind::bounce;
    EXPECT_FALSE(lab.ask<ipc::Done>(change).ok);
    change.kind = ChangeKind::release;
    EXPECT_EQ(lab.ask<ipc::Changed>(change).affected, 0u) << "it is given up";
    lab.files.sync_failure = 0; // what is known of the recipient is written, the report is not yet
    lab.collect();
    lab.collect();
    lab.lose_power(3);
    lab.start();
    ASSERT_EQ(lab.show_queue().size(), 1u);
    EXPECT_EQ(lab.show_queue()[0].state, ipc::RecipientState::held);
    EXPECT_EQ(lab.handed_count(), 0u);
}

TEST_P(ChangesTo, WhatIsHeldWaitsUntilItIsReleased) {
    ChangeLab lab(GetParam());
    lab.relay = [](const Handed&) { return delivered(); };
    EXPECT_EQ(lab.change(ChangeKind::hold, "odd@*", "under suspicion"), 10u);
    const auto entries = lab.show_queue();
    ASSERT_EQ(entries.size(), 20u);
    EXPECT_EQ(entries[1].state, ipc::RecipientState::held);
    EXPECT_EQ(entries[1].next_attempt, 0);
    EXPECT_NE(entries[1].last_error.find("under suspicion"), std::string::npos);
    // Neither time nor an operator in a hurry moves it, and nobody is warned.
    lab.ask<ipc::Changed>(ipc::Change{});
    for (int i = 0; i < 48; ++i)
        lab.advance(1h);
    EXPECT_EQ(lab.counters["queue.delivered"], 10u);
    EXPECT_EQ(lab.counters["queue.notices"], 0u);
    EXPECT_EQ(lab.count(ipc::RecipientState::held), 10u);
    // A new process knows of it.
    lab.run();
    lab.collect();
    lab.lose_power(9);
    lab.start();
    EXPECT_EQ(lab.count(ipc::RecipientState::held), 10u);
    EXPECT_EQ(lab.change(ChangeKind::release, "*"), 10u);
    EXPECT_EQ(lab.change(ChangeKind::release, "*"), 0u);
    lab.advance(2s);
    EXPECT_TRUE(lab.show_queue().empty());
}

TEST_P(ChangesTo, AHoldEndsAtItsTime) {
    ChangeLab lab(GetParam());
    lab.relay = [](const Handed&) { return delivered(); };
    ipc::Change hold;
    hold.kind = ChangeKind::hold;
    hold.until = lab.time.wall_seconds() + 7200;
    EXPECT_EQ(lab.change(hold), 20u);
    lab.advance(7190s);
    EXPECT_EQ(lab.count(ipc::RecipientState::held), 20u);
    lab.advance(12s);
    EXPECT_TRUE(lab.show_queue().empty());
}

// Its sender wants it later: that holds as well.
TEST(Changes, AHoldDoesNotSendEarlierThanTheSenderWants) {
    for (const bool released : {false, true}) {
        QueueLab lab;
        lab.relay = [](const Handed&) { return delivered(); };
        ipc::Envelope envelope;
        envelope.reverse_path = "a@from.example";
        envelope.recipients = {"b@dest.example"};
        envelope.release_at = lab.time.wall_seconds() + 86400;
        lab.accept(envelope);
        ipc::Change change;
        change.kind = ChangeKind::hold;
        change.until = lab.time.wall_seconds() + 3600;
        change.filter.recipient = "b@*";
        EXPECT_EQ(lab.ask<ipc::Changed>(change).affected, 1u);
        change.kind = ChangeKind::release;
        if (released) {
            EXPECT_EQ(lab.ask<ipc::Changed>(change).affected, 1u);
        }
        for (int i = 0; i < 23; ++i)
            lab.advance(1h);
        EXPECT_EQ(lab.handed_count(), 0u);
        lab.advance(2h);
        EXPECT_EQ(lab.handed_count(), 1u);
    }
}

// Its sender hears of the delay when it goes on, if it still waits then.
TEST(Changes, NoticesComeAfterAHold) {
    for (const bool released : {false, true}) {
        QueueLab lab;
        lab.settings.warn_delays = {1h};
        lab.queue->configure(lab.settings);
        lab.relay = [](const Handed& handed) {
            return handed.deliver.reverse_path.empty() ? delivered() : temporary();
        };
        lab.accept("a@from.example", {"b@dest.example"});
        ipc::Change change;
        change.kind = ChangeKind::hold;
        change.until = lab.time.wall_seconds() + 4 * 3600;
        change.filter.sender = "a@*";
        EXPECT_EQ(lab.ask<ipc::Changed>(change).affected, 1u);
        lab.advance(3h);
        EXPECT_EQ(lab.counters["queue.notices"], 0u);
        change.kind = ChangeKind::release;
        if (released) {
            EXPECT_EQ(lab.ask<ipc::Changed>(change).affected, 1u);
        }
        for (int i = 0; i < 90; ++i)
            lab.advance(1min);
        lab.queue->refresh_counters();
        EXPECT_EQ(lab.counters["queue.notices"], 1u) << released;
    }
}

TEST(Changes, WhatIsHeldIsNotGivenUpAtItsTime) {
    QueueLab lab;
    lab.relay = [](const Handed&) { return temporary(); };
    ipc::Envelope envelope;
    envelope.reverse_path = "a@from.example";
    envelope.recipients = {"b@dest.example"};
    envelope.parameters.deliver_by = DeliverBy{1800, true, false};
    lab.accept(envelope);
    ipc::Change change;
    change.kind = ChangeKind::hold;
    change.filter.sender = "a@*";
    EXPECT_EQ(lab.ask<ipc::Changed>(change).affected, 1u);
    lab.advance(3h);
    ASSERT_EQ(lab.show_queue().size(), 1u);
    EXPECT_EQ(lab.show_queue()[0].state, ipc::RecipientState::held);
}

TEST(Changes, WhatTheyDoNotReachStaysOnDisk) {
    ChangeLab lab(true);
    const size_t before = lab.queue->table().messages();
    EXPECT_EQ(lab.change(ChangeKind::release, "*"), 0u);
    EXPECT_EQ(lab.queue->table().messages(), before);
}

TEST(Changes, AreRefusedUntilAllIsRead) {
    QueueLab lab;
    lab.accept("a@from.example", {"b@dest.example"});
    lab.die();
    lab.open();
    EXPECT_FALSE(lab.ask<ipc::Done>(ipc::Change{}).ok);
}

TEST(Changes, WhatWaitsForADeadDestinationIsReached) {
    for (const auto kind : {ChangeKind::hold, ChangeKind::bounce, ChangeKind::remove}) {
        QueueLab lab;
        for (int i = 0; i < 10; ++i)
            lab.accept("", {"r" + std::to_string(i) + "@dead.example"});
        for (size_t i = 0; i < lab.handed_count(); ++i)
            lab.answer(lab.handed(i), temporary("connection refused"), true);
        lab.run();
        ipc::Change change;
        change.kind = kind;
        change.filter.recipient = "*@dead.example";
        EXPECT_EQ(lab.ask<ipc::Changed>(change).affected, 10u);
        EXPECT_EQ(lab.queue->table().recipients(Stage::ready), 0u);
        EXPECT_EQ(lab.show_queue().size(), kind == ChangeKind::hold ? 10u : 0u);
    }
}

TEST(Changes, OneRecipientOfAMessage) {
    QueueLab lab;
    lab.relay = [](const Handed&) { return temporary(); };
    const uint64_t id = lab.accept("a@from.example", {"b@dest.example", "c@dest.example"});
    ipc::Change hold;
    hold.kind = ChangeKind::hold;
    hold.message = id;
    hold.index = 1;
    EXPECT_EQ(lab.ask<ipc::Changed>(hold).affected, 1u);
    const auto entries = lab.show_queue();
    EXPECT_EQ(entries[0].state, ipc::RecipientState::deferred);
    EXPECT_EQ(entries[1].state, ipc::RecipientState::held);
    hold.index = 2;
    EXPECT_FALSE(lab.ask<ipc::Done>(hold).ok);
    hold.message = id + 1;
    EXPECT_FALSE(lab.ask<ipc::Done>(hold).ok);
}

} // namespace
} // namespace postern::test
