// Mail that is not to be delivered before a certain time (RFC 4865).
#include "regress/unit/queue/reports.h"

namespace postern::test {
namespace {

class Held : public ::testing::Test {
  protected:
    uint64_t accept(std::chrono::seconds hold) {
        ipc::Envelope envelope;
        envelope.reverse_path = "a@from.example";
        envelope.recipients = {"b@dest.example"};
        envelope.release_at = lab.time.wall_seconds() + hold.count();
        return lab.accept(std::move(envelope));
    }
    QueueLab lab;
};

TEST_F(Held, IsNotTriedBefore) {
    const uint64_t id = accept(10h);
    EXPECT_EQ(lab.show_queue()[0].state, ipc::RecipientState::deferred);
    EXPECT_EQ(lab.show_queue()[0].next_attempt, lab.time.wall_seconds() + 36000);
    ipc::MessageQuery query;
    query.message = id;
    EXPECT_EQ(lab.ask<ipc::MessagePart>(query).envelope.release_at,
              lab.time.wall_seconds() + 36000);
    lab.advance(10h - 1s);
    EXPECT_EQ(lab.handed_count(), 0u);
    EXPECT_EQ(lab.questions, 0u);
    lab.advance(1s);
    EXPECT_EQ(lab.handed_count(), 1u);
}

TEST_F(Held, LongerThanMailIsOtherwiseKept) {
    lab.settings.warn_delays = {4h};
    lab.queue->configure(lab.settings);
    std::vector<std::string> actions;
    lab.relay = [&](const Handed& handed) {
        if (!handed.deliver.reverse_path.empty())
            return temporary();
        actions.push_back(actions_of(handed).at(0));
        return delivered();
    };
    accept(24h * 5);
    EXPECT_EQ(lab.show_queue()[0].expires_at, lab.time.wall_seconds() + 6 * 86400);
    lab.advance(24h * 5 + 4h - 1s);
    EXPECT_TRUE(actions.empty());
    EXPECT_EQ(lab.show_queue().size(), 1u);
    lab.advance(1s);
    EXPECT_EQ(actions, std::vector<std::string>{"delayed"});
    lab.advance(20h - 2s);
    EXPECT_EQ(actions.size(), 1u);
    lab.advance(2s);
    EXPECT_EQ(actions, (std::vector<std::string>{"delayed", "failed"}));
}

TEST_F(Held, OverARestartAReloadAndAClockSetBack) {
    lab.settings.warn_delays = {1h};
    lab.queue->configure(lab.settings);
    accept(10h);
    lab.advance(1h);
    lab.die();
    lab.start();
    lab.queue->configure(lab.settings);
    lab.advance(1h);
    lab.stop();
    lab.start();
    lab.advance(1h);
    lab.lose_power(1);
    lab.start();
    EXPECT_EQ(lab.handed_count(), 0u);
    const WallTime release = lab.show_queue()[0].next_attempt;
    EXPECT_EQ(release, lab.time.wall_seconds() + 7 * 3600 - 11); // stop() takes that long
    lab.time.set_clock(-86400);
    lab.advance(2min);
    EXPECT_EQ(lab.show_queue()[0].next_attempt, release);
    EXPECT_EQ(lab.handed_count(), 0u);
}

TEST_F(Held, AnOperatorMayRelease) {
    const uint64_t id = accept(10h);
    ipc::Change schedule;
    EXPECT_EQ(lab.ask<ipc::Changed>(schedule).affected, 0u) << "not with all the others";
    EXPECT_EQ(lab.handed_count(), 0u);
    schedule.message = id;
    EXPECT_EQ(lab.ask<ipc::Changed>(schedule).affected, 1u);
    ASSERT_EQ(lab.handed_count(), 1u);
    lab.answer(lab.handed(0), temporary());
    lab.advance(301s);
    EXPECT_EQ(lab.handed_count(), 2u) << "from then on it is mail like any other";
}

} // namespace
} // namespace postern::test
