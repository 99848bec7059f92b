// Where mail goes follows the configuration as lookup has it, wherever the mail waits.
#include "regress/unit/queue/queue_lab.h"

namespace postern::test {
namespace {

// Everything to one relay host.
std::function<ipc::RouteAnswer(const ipc::RouteQuery&)> to_host(const std::string& host) {
    return [host](const ipc::RouteQuery& query) {
        ipc::RouteAnswer answer = verdict(query, ipc::RouteVerdict::accepted);
        answer.route.action = "out";
        answer.route.host.emplace();
        answer.route.host->host = host;
        return answer;
    };
}

std::vector<std::string> hosts(const QueueLab& lab) {
    std::vector<std::string> all;
    for (const Handed& handed : lab.all_handed)
        all.push_back(handed.deliver.route.host ? handed.deliver.route.host->host : "exchanger");
    return all;
}

TEST(Routing, MailThatWaitsForItsTurnFollows) {
    QueueLab lab;
    lab.route = to_host("old.example");
    for (int i = 0; i < 5; ++i)
        lab.accept("a@from.example", {"r" + std::to_string(i) + "@dest.example"});
    ASSERT_EQ(lab.handed_count(), 2u) << "max_per_destination";
    // A reload reaches the queue first, and lookup later.
    lab.queue->configure(lab.settings);
    lab.run();
    lab.route = to_host("new.example");
    lab.queue->routing().changed();
    lab.run();
    EXPECT_EQ(hosts(lab), (std::vector<std::string>{"old.example", "old.example", "new.example",
                                                    "new.example"}));
    lab.relay = [](const Handed&) { return delivered(); };
    lab.run();
    EXPECT_TRUE(lab.show_queue().empty());
    EXPECT_EQ(hosts(lab).back(), "new.example");
    lab.stop();
}

TEST(Routing, MailOfAHeldDestinationFollows) {
    QueueLab lab;
    lab.route = to_host("dead.example");
    for (int i = 0; i < 2500; ++i)
        lab.submit("a@from.example", {"r" + std::to_string(i) + "@dest.example"});
    lab.run();
    for (size_t i : {0u, 1u})
        lab.answer(lab.handed(i), temporary("connection refused"), true);
    lab.run();
    ASSERT_EQ(lab.times_logged("a destination is held"), 1u);
    lab.route = to_host("alive.example");
    lab.relay = [](const Handed&) { return delivered(); };
    lab.queue->routing().changed();
    lab.run();
    // But for the two that failed themselves, which have their own time.
    EXPECT_EQ(lab.show_queue().size(), 2u);
    EXPECT_EQ(lab.handed_count(), 2500u);
    EXPECT_EQ(hosts(lab)[2], "alive.example");
    EXPECT_EQ(lab.handed(2).recipients()[0], "r2@dest.example") << "in order of acceptance";
    lab.stop();
}

TEST(Routing, AHoldOutlivesAChangeThatIsNoneForItsDestination) {
    QueueLab lab;
    lab.route = to_host("dead.example");
    for (int i = 0; i < 5; ++i)
        lab.accept("a@from.example", {"r" + std::to_string(i) + "@dest.example"});
    for (size_t i : {0u, 1u})
        lab.answer(lab.handed(i), temporary("connection refused"), true);
    lab.run();
    lab.queue->routing().changed();
    lab.run();
    EXPECT_EQ(lab.handed_count(), 2u);
    for (const auto& entry : lab.show_queue())
        EXPECT_EQ(entry.state, ipc::RecipientState::deferred);
    lab.relay = [](const Handed&) { return delivered(); };
    lab.advance(11min);
    EXPECT_TRUE(lab.show_queue().empty());
}

// One answer comes from the old rules and one from the new: neither counts.
TEST(Routing, AVerdictOfTheFormerConfigurationDoesNotCount) {
    for (const ipc::RouteVerdict former :
         {ipc::RouteVerdict::refused, ipc::RouteVerdict::no_mailbox, ipc::RouteVerdict::no_rule,
          ipc::RouteVerdict::accepted}) {
        SCOPED_TRACE(static_cast<int>(former));
        QueueLab lab;
        lab.lookup_silent = true;
        lab.accept("a@from.example", {"one@dest.example", "two@dest.example"});
        ASSERT_EQ(lab.questions, 2u);
        lab.route = [&lab, former](const ipc::RouteQuery& query) {
            if (lab.questions == 2) { // those that were asked before
                ipc::RouteAnswer answer = to_host("old.example")(query);
                answer.verdict = former;
                return answer;
            }
            return to_host("new.example")(query);
        };
        lab.queue->routing().changed();
        lab.lookup_silent = false;
        lab.run();
        EXPECT_EQ(lab.questions, 4u);
        EXPECT_EQ(hosts(lab), std::vector<std::string>{"new.example"});
        EXPECT_EQ(lab.times_logged("delivery"), 0u);
        lab.stop();
    }
}

TEST(Routing, ChangesOnTheHeelsOfEachOtherLoseNothing) {
    QueueLab lab;
    int host = 0;
    for (int i = 0; i < 20; ++i)
        lab.submit("a@from.example", {"r" + std::to_string(i) + "@dest.example"});
    for (int i = 0; i < 10; ++i) {
        lab.route = to_host("host" + std::to_string(++host) + ".example");
        lab.queue->routing().changed();
        lab.time.run();
        lab.queue->configure(lab.settings);
    }
    lab.relay = [](const Handed&) { return delivered(); };
    lab.run();
    EXPECT_TRUE(lab.show_queue().empty());
    EXPECT_EQ(lab.handed_count(), 20u);
}

TEST(Routing, AnUrgentJobIsStillUrgentAfterAChange) {
    QueueLab lab;
    lab.route = to_host("dead.example");
    const uint64_t id = lab.accept("a@from.example", {"r@dest.example"});
    lab.answer(lab.handed(0), temporary("connection refused"), true);
    lab.run();
    lab.lookup_silent = true;
    ipc::Change schedule;
    schedule.message = id;
    lab.ask<ipc::Changed>(schedule);
    lab.queue->routing().changed();
    lab.lookup_silent = false;
    lab.run();
    EXPECT_EQ(lab.handed_count(), 2u) << "it ends the hold";
}

} // namespace
} // namespace postern::test
