// What survives: a killed process, a machine that stops, at any step.
#include "regress/unit/queue/queue_lab.h"

namespace postern::test {
namespace {

// That its first recipient failed, as the queue would write it.
Bounce bounce_of_first(QueueLab& lab, uint64_t id) {
    const StoredMessage original = lab.queue->table().find(id)->read();
    const Reported reported{id, original, "", false};
    return write_bounce(lab.spool->next_id(), reported, {RecipientReport{}}, "gateway.example",
                        lab.time.wall_seconds());
}

TEST(Restart, WhatWasAnsweredForIsInTheQueueExactlyOnce) {
    for (bool power : {false, true}) {
        QueueLab lab;
        std::vector<std::string> expected;
        for (int i = 0; i < 50; ++i) {
            expected.push_back("r" + std::to_string(i) + "@dest.example");
            lab.accept("a@from.example", {expected.back()}, "content " + std::to_string(i));
        }
        if (power)
            lab.lose_power(5);
        else
            lab.die();
        lab.start();
        std::vector<std::string> found;
        for (const auto& entry : lab.show_queue())
            found.push_back(entry.recipient);
        EXPECT_EQ(found, expected);
        EXPECT_EQ(lab.content_of(lab.show_queue()[17].message), "content 17");
        lab.relay = [](const Handed&) { return delivered(); };
        lab.run();
        EXPECT_TRUE(lab.show_queue().empty());
    }
}

TEST(Restart, ProgressSurvivesTheProcess) {
    QueueLab lab;
    lab.accept("a@from.example", {"done@one.example", "later@two.example", "out@three.example"});
    for (Handed& handed : lab.all_handed) {
        if (handed.recipients()[0] == "done@one.example")
            lab.answer(handed, delivered());
        if (handed.recipients()[0] == "later@two.example")
            lab.answer(handed, temporary());
    }
    lab.run();
    const auto before = lab.show_queue();
    ASSERT_EQ(before.size(), 2u);
    lab.die();
    lab.start();
    const auto after = lab.show_queue();
    ASSERT_EQ(after.size(), 2u);
    EXPECT_EQ(after[0].recipient, "later@two.example");
    EXPECT_EQ(after[0].attempts, 1u);
    EXPECT_EQ(after[0].next_attempt, before[0].next_attempt);
    EXPECT_EQ(after[0].last_error, before[0].last_error);
    EXPECT_EQ(after[0].state, ipc::RecipientState::deferred);
    EXPECT_EQ(after[1].recipient, "out@three.example");
    ASSERT_EQ(lab.handed_count(), 1u) << "what was out goes out again; what waited, waits";
    EXPECT_EQ(lab.handed(0).recipients(), std::vector<std::string>{"out@three.example"});
    lab.advance(301s);
    EXPECT_EQ(lab.handed_count(), 2u);
}

TEST(Restart, AfterAnOrderlyEndNothingIsSentTwice) {
    QueueLab lab;
    lab.accept("a@from.example", {"a@one.example"});
    lab.accept("a@from.example", {"b@two.example"});
    lab.answer(lab.handed(0), delivered());
    lab.answer(lab.handed(1), temporary());
    lab.stop();
    lab.start();
    EXPECT_EQ(lab.handed_count(), 0u);
    EXPECT_EQ(lab.show_queue().size(), 1u);
}

TEST(Restart, NoAttemptIsPutOffForEverByAWrongClock) {
    QueueLab lab;
    const uint64_t id = lab.accept("a@from.example", {"b@dest.example"});
    lab.answer(lab.handed(0), temporary());
    lab.run();
    StoredProgress progress; // as recorded by a machine that believed in another year
    progress.recipients.push_back(
        {0, 1, SimulatedTime::default_start + 86400 * 365 * 10, 0, 0, std::nullopt});
    ASSERT_TRUE(lab.spool->append_progress(id, encode(progress), Durability::Durable));
    lab.spool->commit();
    lab.run();
    lab.die();
    lab.start();
    EXPECT_LE(lab.show_queue()[0].next_attempt,
              lab.time.wall_seconds() + lab.settings.retry_max.count());
}

TEST(Restart, ItServesWhileItLoads) {
    QueueLab lab;
    lab.relay = [](const Handed&) -> std::optional<ipc::RecipientOutcome> { return std::nullopt; };
    for (int i = 0; i < 1200; ++i)
        lab.submit("a@from.example", {"old" + std::to_string(i) + "@dest.example"});
    lab.run();
    lab.die();

    QueueLab::Options options;
    options.start = false;
    QueueLab next(std::move(options));
    std::swap(next.files, lab.files);
    next.start();
    next.queue->load();
    next.connect_everybody();
    next.time.run();
    EXPECT_FALSE(next.queue->loaded());
    next.accept("a@from.example", {"new@other.example"});
    EXPECT_FALSE(next.queue->loaded());
    ASSERT_EQ(next.handed_count(), 1u) << "new mail goes out";
    EXPECT_EQ(next.handed(0).recipients(), std::vector<std::string>{"new@other.example"});
    next.advance(1s);
    EXPECT_TRUE(next.queue->loaded());
    EXPECT_EQ(next.show_queue().size(), 1201u);
    EXPECT_EQ(next.handed_count(), 3u);
}

TEST(Restart, ARecordThatCannotBeReadIsLeftAndNamed) {
    QueueLab lab;
    ASSERT_TRUE(lab.spool->append_message(lab.spool->next_id(), "not an envelope", "x"));
    lab.spool->commit();
    lab.accept("a@from.example", {"b@dest.example"});
    lab.die();
    lab.start();
    EXPECT_EQ(lab.times_logged("a message in the spool cannot be read"), 1u);
    EXPECT_EQ(lab.spool->statistics().messages, 2u) << "a newer version may know it";
    std::vector<ipc::EnvelopeEntry> shown = lab.show_queue();
    ASSERT_EQ(shown.size(), 2u);
    EXPECT_EQ(shown[0].state, ipc::RecipientState::unreadable);
    EXPECT_NE(shown[0].last_error.find("cannot be read"), std::string::npos);
    EXPECT_EQ(shown[1].recipient, "b@dest.example");
    ipc::MessageQuery query;
    query.message = shown[0].message;
    auto part = lab.ask<ipc::MessagePart>(query);
    EXPECT_TRUE(part.found);
    EXPECT_EQ(part.entries.size(), 1u);
    lab.advance(2h);
    EXPECT_EQ(lab.times_logged("cannot be read"), 1u) << "it will not get better";
    ipc::Change schedule;
    lab.answer(lab.handed(0), temporary());
    EXPECT_EQ(lab.ask<ipc::Changed>(schedule).affected, 1u) << "b@dest.example";
    schedule.message = shown[0].message;
    EXPECT_EQ(lab.ask<ipc::Changed>(schedule).affected, 0u);

    ipc::Change remove;
    remove.kind = ipc::ChangeKind::remove;
    remove.message = shown[0].message;
    EXPECT_EQ(lab.ask<ipc::Changed>(remove).affected, 1u);
    EXPECT_EQ(lab.show_queue().size(), 1u);
    lab.lose_power(3);
    lab.start();
    EXPECT_EQ(lab.show_queue().size(), 1u);
}

TEST(Restart, WhatCannotBeReadForNowIsShownAndTriedAgain) {
    for (int code : {EIO, EMFILE}) {
        SCOPED_TRACE(code);
        QueueLab lab;
        lab.relay = [](const Handed& handed) -> std::optional<ipc::RecipientOutcome> {
            if (handed.recipients()[0] == "done@one.example")
                return delivered();
            return std::nullopt;
        };
        std::vector<uint64_t> ids;
        for (int i = 0; i < 3; ++i)
            ids.push_back(lab.accept("a@from.example", {"done@one.example", "to-do@two.example"}));
        lab.die();
        lab.open();
        lab.forget_log();
        lab.files.read_error = code;
        lab.queue->load();
        lab.connect_everybody();
        lab.advance(1s);
        EXPECT_EQ(lab.times_logged("cannot be read at present"), 1u) << "not one line for each";
        auto shown = lab.show_queue();
        ASSERT_EQ(shown.size(), 3u);
        for (size_t i = 0; i < 3; ++i) {
            EXPECT_EQ(shown[i].message, ids[i]);
            EXPECT_EQ(shown[i].state, ipc::RecipientState::unreadable);
            EXPECT_GT(shown[i].next_attempt, lab.time.wall_seconds());
        }
        lab.advance(3min);
        EXPECT_EQ(lab.handed_count(), 0u);
        EXPECT_EQ(lab.times_logged("cannot be read at present"), 3u);
        lab.files.read_error = 0;
        if (code == EIO) {
            lab.advance(5min);
        } else {
            ipc::Change all;
            EXPECT_EQ(lab.ask<ipc::Changed>(all).affected, 3u);
        }
        EXPECT_EQ(lab.handed_count(), 2u) << "max_per_destination";
        EXPECT_EQ(lab.show_queue().size(), 3u);
        for (const auto& entry : lab.show_queue())
            EXPECT_EQ(entry.recipient, "to-do@two.example") << "progress counts";
        lab.relay = [](const Handed&) { return delivered(); };
        lab.run();
        EXPECT_TRUE(lab.show_queue().empty());
    }
}

TEST(Restart, ABounceThatIsReadLateStillReportsItsCause) {
    for (bool cause_is_late : {false, true}) {
        SCOPED_TRACE(cause_is_late);
        QueueLab lab;
        const uint64_t id = lab.accept("sender@from.example", {"bad@a.example", "good@b.example"});
        Bounce bounce = bounce_of_first(lab, id);
        ASSERT_TRUE(lab.spool->append_message(lab.spool->next_id(), encode(bounce.message),
                                              bounce.content));
        lab.spool->commit();
        lab.run();
        lab.die();
        lab.open();
        lab.files.read_error = EIO;
        if (cause_is_late)
            lab.files.bad_reads = 1; // the first one, that of the cause
        else
            lab.files.good_reads = 1;
        lab.queue->load();
        lab.advance(1s);
        lab.files.read_error = 0;
        lab.connect_everybody();
        lab.advance(2min);
        std::map<std::string, int> tried;
        for (const Handed& handed : lab.all_handed)
            ++tried[handed.recipients()[0]];
        EXPECT_EQ(tried["good@b.example"], 1);
        EXPECT_EQ(tried["sender@from.example"], 1);
        EXPECT_EQ(tried["bad@a.example"], cause_is_late ? 0 : 1);
        lab.relay = [](const Handed&) { return permanent(); };
        lab.run();
        EXPECT_EQ(lab.times_logged("to=bad@a.example"), 0u) << "it was reported already";
        EXPECT_EQ(lab.queue->table().find(id), nullptr);
    }
}

// The machine stops at every step between the failure of a recipient and the end of its message,
// and comes up again: the sender is told once, neither never nor twice.
TEST(Restart, ABounceIsWrittenBeforeItsCauseIsMarked) {
    size_t stops = 0;
    for (uint64_t step = 1;; ++step) {
        SCOPED_TRACE(step);
        QueueLab lab;
        const uint64_t id = lab.accept("sender@from.example", {"bad@dest.example", "ok@b.example"});
        lab.relay = [](const Handed& handed) -> std::optional<ipc::RecipientOutcome> {
            if (handed.recipients()[0] == "bad@dest.example")
                return permanent();
            return std::nullopt; // the bounce, and the other recipient, stay out
        };
        lab.files.stop_at_step = lab.files.steps() + step;
        lab.run();
        lab.advance(10s);
        const bool stopped = lab.files.stopped();
        stops += stopped;
        lab.lose_power(step);
        size_t bounces = 0;
        lab.relay = [&](const Handed& handed) {
            if (handed.deliver.reverse_path.empty()) {
                ++bounces;
                EXPECT_NE(handed.deliver.content.bytes.find("bad@dest.example"), std::string::npos);
                return delivered();
            }
            return handed.recipients()[0] == "bad@dest.example" ? permanent() : delivered();
        };
        lab.files.stop_at_step = 0;
        lab.start();
        lab.advance(10min);
        EXPECT_EQ(bounces, 1u);
        EXPECT_TRUE(lab.show_queue().empty());
        EXPECT_EQ(lab.queue->table().find(id), nullptr);
        if (!stopped || HasFailure())
            break;
    }
    EXPECT_GE(stops, 2u) << "the test has stopped nowhere";
}

TEST(Restart, ACauseWhoseBounceIsThereIsNotTriedAgain) {
    QueueLab lab;
    const uint64_t id = lab.accept("sender@from.example", {"bad@a.example", "good@b.example"});
    Bounce bounce = bounce_of_first(lab, id);
    ASSERT_TRUE(
        lab.spool->append_message(lab.spool->next_id(), encode(bounce.message), bounce.content));
    lab.spool->commit();
    lab.run();
    lab.die();
    lab.start();
    std::vector<std::string> tried;
    for (const Handed& handed : lab.all_handed)
        tried.push_back(handed.recipients()[0]);
    std::sort(tried.begin(), tried.end());
    EXPECT_EQ(tried, (std::vector<std::string>{"good@b.example", "sender@from.example"}));
}

// An operator is not told that the queue is empty before it has been read; orders stay until what
// they hold can be released.
TEST(Restart, WhatIsNotReadYetIsNotCalledMissing) {
    QueueLab lab;
    lab.accept("a@from.example", {"b@dest.example"});
    const uint32_t number = lab.ask<ipc::OrderList>(ipc::GiveOrder{}).orders.at(0).number;
    EXPECT_FALSE(lab.ask<ipc::QueuePage>(ipc::QueueQuery{}).loading);
    lab.stop();
    lab.open();
    EXPECT_TRUE(lab.ask<ipc::QueuePage>(ipc::QueueQuery{}).loading);
    ipc::EndOrder end;
    end.number = number;
    EXPECT_FALSE(lab.ask<ipc::Done>(end).ok);
    lab.queue->load();
    lab.run();
    EXPECT_FALSE(lab.ask<ipc::QueuePage>(ipc::QueueQuery{}).loading);
    EXPECT_TRUE(lab.ask<ipc::Done>(end).ok);
}

} // namespace
} // namespace postern::test
