// Peers that die, lie or say nothing, have no room, or are to end: no mail is lost with them.
#include "regress/unit/queue/queue_lab.h"

namespace postern::test {
namespace {

using Strings = std::vector<std::string>;

TEST(Peers, WhatADeadRelayHadGoesToTheNextOne) {
    QueueLab lab;
    for (int i = 0; i < 4; ++i)
        lab.accept("a@from.example", {"r" + std::to_string(i) + "@dest.example"});
    ASSERT_EQ(lab.handed_count(), 2u);
    const Handed first = {lab.handed(0).deliverer, {}, false};
    const uint64_t old_delivery = lab.handed(0).deliver.delivery;
    lab.queue->disconnect_deliverer(first.deliverer);
    lab.advance(30s);
    EXPECT_EQ(lab.handed_count(), 2u) << "there is no relay";
    lab.connect_deliverers();
    lab.run();
    ASSERT_EQ(lab.handed_count(), 4u);
    EXPECT_EQ(lab.handed(2).recipients(), Strings{"r0@dest.example"}) << "in the same order";
    EXPECT_EQ(lab.handed(3).recipients(), Strings{"r1@dest.example"});
    for (const auto& entry : lab.show_queue())
        EXPECT_EQ(entry.attempts, 0u);
    ipc::Outcome late;
    late.delivery = old_delivery;
    EXPECT_FALSE(lab.queue->outcome(first.deliverer, std::move(late)))
        << "the new relay cannot know of it";
}

TEST(Peers, ALyingRelayIsFoundOutAndItsMailIsNotLost) {
    QueueLab lab;
    lab.accept("a@from.example", {"b@dest.example"});
    Handed& handed = lab.handed(0);
    const uint16_t other = handed.deliverer == 1 ? 2 : 1;
    struct Lie {
        const char* what;
        uint16_t deliverer;
        uint64_t delivery;
        std::vector<uint32_t> recipients;
    };
    const Lie lies[] = {
        {"a delivery that there is not", handed.deliverer, handed.deliver.delivery + 1, {0}},
        {"a delivery of another relay's", other, handed.deliver.delivery, {0}},
        {"a recipient that there is not", handed.deliverer, handed.deliver.delivery, {1}},
        {"a recipient twice", handed.deliverer, handed.deliver.delivery, {0, 0}},
    };
    for (const Lie& lie : lies) {
        ipc::Outcome outcome;
        outcome.delivery = lie.delivery;
        for (uint32_t index : lie.recipients) {
            outcome.recipients.push_back(delivered());
            outcome.recipients.back().index = index;
        }
        EXPECT_FALSE(lab.queue->outcome(lie.deliverer, std::move(outcome))) << lie.what;
        EXPECT_EQ(lab.show_queue().size(), 1u) << lie.what;
    }
    lab.queue->disconnect_deliverer(handed.deliverer); // as the process does with a liar
    lab.connect_everybody();
    lab.relay = [](const Handed&) { return delivered(); };
    lab.run();
    EXPECT_TRUE(lab.show_queue().empty());
}

// A relay that dies of a message must not be given it for ever, nor for ever at once.
TEST(Peers, AMessageThatItsRelayDiesOfIsPutOffAndExpires) {
    QueueLab lab;
    lab.settings.ttl = 1h;
    lab.queue->configure(lab.settings);
    lab.accept("a@from.example", {"b@dest.example"});
    const auto die_of_it = [&lab] {
        const size_t before = lab.handed_count();
        lab.queue->disconnect_deliverer(lab.handed(before - 1).deliverer);
        lab.connect_everybody();
        lab.run();
        return lab.handed_count() > before;
    };
    EXPECT_TRUE(die_of_it());
    lab.advance(2min); // until its route is old
    EXPECT_TRUE(die_of_it());
    EXPECT_EQ(lab.show_queue()[0].attempts, 0u) << "so far it may have been in bad company";
    EXPECT_FALSE(die_of_it());
    const auto waiting = lab.show_queue();
    ASSERT_EQ(waiting.size(), 1u);
    EXPECT_EQ(waiting[0].state, ipc::RecipientState::deferred);
    EXPECT_EQ(waiting[0].attempts, 1u);
    EXPECT_NE(waiting[0].last_error.find("4.3.0"), std::string::npos);
    for (int i = 0; i < 90 && lab.handed(lab.handed_count() - 1).deliver.reverse_path != ""; ++i) {
        lab.advance(1min);
        while (lab.show_queue()[0].state == ipc::RecipientState::in_flight &&
               lab.handed(lab.handed_count() - 1).deliver.reverse_path != "")
            die_of_it();
    }
    EXPECT_EQ(lab.handed(lab.handed_count() - 1).recipients(), Strings{"a@from.example"})
        << "the sender is told";
    EXPECT_EQ(lab.counters["queue.expired"], 1u);
    EXPECT_LT(lab.handed_count(), 30u);
}

TEST(Peers, NoMoreThanTheCapacityIsOut) {
    QueueLab::Options options;
    options.capacity = 3;
    QueueLab lab(std::move(options));
    for (int i = 0; i < 20; ++i)
        lab.accept("a@from.example", {"b@d" + std::to_string(i) + ".example"});
    std::map<uint16_t, int> open;
    for (const Handed& handed : lab.all_handed)
        ++open[handed.deliverer];
    EXPECT_EQ(open, (std::map<uint16_t, int>{{1, 3}, {2, 3}}));
}

TEST(Peers, WhenLookupDiesItsQuestionsAreAskedAgain) {
    QueueLab lab;
    lab.lookup_silent = true;
    lab.accept("a@from.example", {"b@dest.example"});
    EXPECT_EQ(lab.questions, 1u);
    lab.queue->routing().disconnect();
    lab.advance(10min);
    EXPECT_EQ(lab.questions, 1u);
    lab.lookup_silent = false;
    lab.connect_everybody();
    lab.run();
    EXPECT_EQ(lab.questions, 2u);
    ASSERT_EQ(lab.handed_count(), 1u);
    EXPECT_EQ(lab.show_queue()[0].attempts, 0u);
}

TEST(Peers, ASilentLookupIsATemporaryFailure) {
    QueueLab lab;
    lab.lookup_silent = true;
    lab.accept("a@from.example", {"b@dest.example"});
    lab.advance(59s);
    EXPECT_EQ(lab.show_queue()[0].attempts, 0u);
    lab.advance(2s);
    auto entries = lab.show_queue();
    EXPECT_EQ(entries[0].attempts, 1u);
    EXPECT_EQ(entries[0].last_error, "4.4.3 where it goes cannot be found out at present");
    lab.lookup_silent = false; // the first question is answered after all: too late
    lab.run();
    EXPECT_EQ(lab.handed_count(), 0u);
    lab.advance(301s);
    EXPECT_EQ(lab.handed_count(), 1u);
}

TEST(Peers, ALookupThatAnswersNonsenseIsCutOff) {
    QueueLab lab;
    lab.lookup_silent = true;
    lab.accept("a@from.example", {"b@dest.example"});
    struct Case {
        const char* what;
        std::function<void(ipc::Route&)> make;
    };
    const Case cases[] = {
        {"a relay to nowhere", [](ipc::Route&) {}},
        {"LMTP without a host",
         [](ipc::Route& route) { route.kind = ActionKind::lmtp, route.domain = "x"; }},
        {"a name too long to hand on",
         [](ipc::Route& route) { route.domain = std::string(60'000, 'x'); }},
    };
    for (const Case& c : cases) {
        ipc::RouteAnswer answer;
        answer.request = 1;
        answer.verdict = ipc::RouteVerdict::accepted;
        c.make(answer.route);
        EXPECT_FALSE(lab.queue->routing().answer(std::move(answer))) << c.what;
    }
    ipc::RouteAnswer unknown;
    unknown.request = 4711;
    EXPECT_TRUE(lab.queue->routing().answer(unknown))
        << "an answer that nobody waits for is no crime";
}

// -- The end.

TEST(Peers, ADrainWaitsForWhatIsOut) {
    QueueLab lab;
    for (int i = 0; i < 3; ++i)
        lab.accept("a@from.example", {"r" + std::to_string(i) + "@dest.example"});
    bool drained = false;
    lab.queue->drain(10s, [&] { drained = true; });
    lab.advance(5s);
    EXPECT_FALSE(drained);
    for (size_t i : {0u, 1u})
        lab.answer(lab.handed(i), delivered());
    lab.run();
    EXPECT_TRUE(drained);
    EXPECT_EQ(lab.handed_count(), 2u) << "nothing more is handed out";
}

TEST(Peers, ADrainEndsInTime) {
    QueueLab lab;
    lab.accept("a@from.example", {"b@dest.example"});
    int drained = 0;
    lab.queue->drain(10s, [&] { ++drained; });
    lab.advance(9s);
    EXPECT_EQ(drained, 0);
    lab.advance(1s);
    EXPECT_EQ(drained, 1);
    const uint32_t late = lab.submit("a@from.example", {"c@dest.example"});
    EXPECT_EQ(std::get<ipc::Refused>(lab.answers[late]).enhanced, "4.3.2");
    EXPECT_TRUE(lab.answer(lab.handed(0), delivered()));
    lab.run();
    EXPECT_EQ(drained, 1);
}

} // namespace
} // namespace postern::test
