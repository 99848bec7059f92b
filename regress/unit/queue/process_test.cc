// postern-queue itself, started as the supervisor starts it, on a real spool and a real clock.
#include <filesystem>
#include <gtest/gtest.h>

#include "regress/support/queue_process.h"

namespace postern::test {
namespace {

// The supervisor, and all other processes.
struct World : QueueProcess {
    World() : QueueProcess(POSTERN_QUEUE, std::filesystem::temp_directory_path()) {}
};

TEST(QueueProcess, AMessageSurvivesIt) {
    World world;
    ASSERT_TRUE(world.start());
    world.connect_everybody();
    world.submit(1);
    ASSERT_TRUE(world.until([&] { return world.answers.size() == 1; }));
    const auto* durable = std::get_if<ipc::Durable>(&world.answers[0]);
    ASSERT_NE(durable, nullptr);
    const uint64_t id = durable->message;
    ASSERT_TRUE(world.until([&] { return world.handed.size() == 1; }));
    EXPECT_EQ(world.handed[0].message, id);
    world.kill_queue();

    ASSERT_TRUE(world.start());
    world.connect_everybody();
    ASSERT_TRUE(world.until([&] { return world.handed.size() == 1; }));
    EXPECT_EQ(world.handed[0].message, id);
    EXPECT_EQ(world.handed[0].content.bytes, "Subject: x\r\n\r\nhello\r\n");

    ipc::QueueQuery query;
    query.request = 9;
    world.control->send(query);
    ASSERT_TRUE(world.until([&] { return world.reports.size() == 1; }));
    const auto& page = std::get<ipc::QueuePage>(world.reports[0]);
    EXPECT_EQ(page.request, 9u);
    ASSERT_EQ(page.entries.size(), 1u);
    EXPECT_EQ(page.entries[0].state, ipc::RecipientState::in_flight);

    world.answer(world.handed[0], ipc::RecipientStatus::delivered);
    world.supervisor->send(ipc::Drain{5});
    ASSERT_TRUE(world.until([&] { return world.gone; }));
    EXPECT_EQ(world.wait_for_queue(), 0) << "it has ended in order";
    world.forget_channels();

    ASSERT_TRUE(world.start());
    world.connect_everybody();
    world.submit(2); // in the queue behind whatever was there
    ASSERT_TRUE(world.until([&] { return world.handed.size() == 1; }));
    EXPECT_NE(world.handed[0].message, id) << "what was delivered is gone";
}

TEST(QueueProcess, WhatWasPausedIsPausedFromTheStart) {
    World world;
    ipc::Orders orders;
    orders.mta_paused = true;
    ASSERT_TRUE(world.start(orders));
    world.connect_everybody();
    world.submit(1);
    ipc::QueueQuery query;
    auto state = [&] {
        for (const ipc::Answer& report : std::exchange(world.reports, {}))
            for (const auto& entry : std::get<ipc::QueuePage>(report).entries)
                return std::optional(entry.state);
        world.control->send(query);
        return std::optional<ipc::RecipientState>();
    };
    ASSERT_TRUE(world.until([&] { return state() == ipc::RecipientState::paused; }));
    EXPECT_TRUE(world.handed.empty());
    ipc::Pause resume;
    resume.paused = false;
    world.control->send(resume);
    ASSERT_TRUE(world.until([&] { return world.handed.size() == 1; }));
}

TEST(QueueProcess, WhoBreaksTheProtocolIsCutOffAndOthersAreServed) {
    World world;
    ASSERT_TRUE(world.start());
    world.connect_everybody();
    ipc::Outcome lie;
    lie.delivery = 4711;
    world.relay->send(std::move(lie));
    ASSERT_TRUE(world.until([&] { return world.relay_lost; }));
    ipc::Submit forged;
    forged.envelope.origin.internal = true;
    world.listener->send(std::move(forged));
    ASSERT_TRUE(world.until([&] { return world.listener_lost; }));
    world.connect_everybody();
    world.submit(1);
    ASSERT_TRUE(world.until([&] { return world.handed.size() == 1; }));
    world.answer(world.handed[0], ipc::RecipientStatus::delivered);

    ipc::StatsQuery query;
    uint64_t delivered = 0;
    ASSERT_TRUE(world.until([&] {
        for (const ipc::Answer& report : std::exchange(world.reports, {}))
            for (const ipc::Counter& counter : std::get<ipc::Stats>(report).counters)
                if (counter.name == "queue.delivered")
                    delivered = counter.value;
        world.control->send(query);
        return delivered == 1;
    }));
}

} // namespace
} // namespace postern::test
