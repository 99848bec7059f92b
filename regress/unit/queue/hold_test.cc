// Destinations that cannot be reached: what waits for them, and that nobody else does.
#include "regress/unit/queue/queue_lab.h"

namespace postern::test {
namespace {

TEST(Hold, TheRestOfTheMailWaitsAndOneIsTriedFirst) {
    QueueLab lab;
    for (int i = 0; i < 6; ++i)
        lab.accept("a@from.example", {"r" + std::to_string(i) + "@dead.example"});
    ASSERT_EQ(lab.handed_count(), 2u);
    for (size_t i : {0u, 1u})
        lab.answer(lab.handed(i), temporary("connection refused"), true);
    lab.run();
    EXPECT_EQ(lab.handed_count(), 2u);
    EXPECT_EQ(lab.times_logged("a destination is held"), 1u);
    for (const auto& entry : lab.show_queue()) {
        EXPECT_EQ(entry.state, ipc::RecipientState::deferred);
        EXPECT_GT(entry.next_attempt, lab.time.wall_seconds() + 230);
        EXPECT_NE(entry.last_error.find("connection refused"), std::string::npos);
    }
    lab.advance(301s);
    ASSERT_EQ(lab.handed_count(), 3u) << "one, to see whether it answers";
    lab.answer(lab.handed(2), delivered());
    lab.run();
    EXPECT_EQ(lab.handed_count(), 5u) << "it does";
    lab.relay = [](const Handed&) { return delivered(); };
    lab.run();
    EXPECT_TRUE(lab.show_queue().empty());
}

TEST(Hold, ADestinationThatAnswersBadlyIsNotDown) {
    QueueLab lab;
    for (int i = 0; i < 4; ++i)
        lab.accept("a@from.example", {"r" + std::to_string(i) + "@dest.example"});
    lab.answer(lab.handed(0), temporary());
    lab.run();
    EXPECT_EQ(lab.handed_count(), 3u);
    lab.answer(lab.handed(1), delivered(), true); // contradicts itself
    lab.run();
    EXPECT_EQ(lab.handed_count(), 4u);
}

TEST(Hold, HeldMailExpiresWithoutAnAttemptOfItsOwn) {
    QueueLab lab;
    lab.settings.ttl = 30min;
    lab.queue->configure(lab.settings);
    lab.relay = [](const Handed& handed) -> std::optional<ipc::RecipientOutcome> {
        if (handed.deliver.reverse_path.empty())
            return delivered();
        return std::nullopt;
    };
    std::vector<uint64_t> ids;
    for (int i = 0; i < 10; ++i)
        ids.push_back(lab.accept("a@from.example", {"r" + std::to_string(i) + "@dead.example"}));
    for (int minute = 0; minute < 32; ++minute) {
        for (size_t i = 0; i < lab.handed_count(); ++i)
            if (!lab.handed(i).answered)
                lab.answer(lab.handed(i), temporary("no route to host"), true);
        lab.advance(1min);
    }
    EXPECT_TRUE(lab.show_queue().empty());
    EXPECT_EQ(lab.counters["queue.expired"], 10u);
    size_t attempts = 0;
    for (const Handed& handed : lab.all_handed)
        attempts += !handed.deliver.reverse_path.empty();
    EXPECT_LT(attempts, 14u) << "ten messages were not tried ten times each";
}

TEST(Hold, NewMailForADeadDestinationIsNotTried) {
    QueueLab lab;
    lab.accept("a@from.example", {"b@dead.example"});
    lab.answer(lab.handed(0), temporary(), true);
    lab.accept("a@from.example", {"c@dead.example"});
    EXPECT_EQ(lab.handed_count(), 1u);
    EXPECT_EQ(lab.show_queue()[1].attempts, 0u);
    EXPECT_EQ(lab.show_queue()[1].state, ipc::RecipientState::deferred);
}

TEST(Hold, SchedulingAMessageEndsTheHold) {
    QueueLab lab;
    lab.accept("a@from.example", {"b@dead.example"});
    lab.answer(lab.handed(0), temporary(), true);
    const uint64_t waiting = lab.accept("a@from.example", {"c@dead.example"});
    const uint64_t deferred = lab.show_queue()[0].message;
    ipc::Change one;
    one.message = waiting;
    EXPECT_EQ(lab.ask<ipc::Changed>(one).affected, 1u);
    ASSERT_EQ(lab.handed_count(), 2u);
    EXPECT_EQ(lab.handed(1).deliver.message, waiting);
    lab.answer(lab.handed(1), temporary(), true);
    lab.run();
    one.message = deferred; // it waits for its own time, and its destination is held again
    EXPECT_EQ(lab.ask<ipc::Changed>(one).affected, 1u);
    ASSERT_EQ(lab.handed_count(), 3u);
    EXPECT_EQ(lab.handed(2).deliver.message, deferred);
}

TEST(Hold, SchedulingEverythingTriesADeadDestinationOnce) {
    QueueLab lab;
    lab.relay = [](const Handed&) { return std::nullopt; };
    for (int i = 0; i < 8; ++i)
        lab.accept("a@from.example", {"r" + std::to_string(i) + "@dead.example"});
    const auto fail_all = [&] {
        for (size_t i = 0; i < lab.handed_count(); ++i)
            if (!lab.handed(i).answered)
                lab.answer(lab.handed(i), temporary(), true);
        lab.run();
    };
    fail_all();
    const size_t before = lab.handed_count();
    EXPECT_EQ(lab.ask<ipc::Changed>(ipc::Change{}).affected, 8u);
    fail_all();
    EXPECT_LE(lab.handed_count(), before + lab.settings.max_per_destination);
}

} // namespace
} // namespace postern::test
