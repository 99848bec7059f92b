// What goes out when: rates, turns, and when failed mail is tried again.
#include "regress/unit/queue/queue_lab.h"

namespace postern::test {
namespace {

size_t handed_to(QueueLab& lab, const std::string& domain) {
    size_t count = 0;
    for (const Handed& handed : lab.all_handed)
        count += handed.deliver.route.domain == domain;
    return count;
}

TEST(Flow, ARateHoldsOneDestinationBackAndNoOther) {
    QueueLab lab;
    lab.settings.limits = {{{{"slow.example"}}, 0, 60, 60s}};
    lab.queue->configure(lab.settings);
    lab.relay = [](const Handed&) { return delivered(); };
    for (int i = 0; i < 200; ++i)
        lab.submit("a@from.example", {"r" + std::to_string(i) + "@slow.example"});
    lab.run();
    EXPECT_LE(handed_to(lab, "slow.example"), 1u);
    for (int i = 0; i < 50; ++i)
        lab.submit("a@from.example", {"r" + std::to_string(i) + "@fast.example"});
    lab.run();
    EXPECT_EQ(handed_to(lab, "fast.example"), 50u);
    // All of it waits for so long that its routes are found anew, and nothing counts twice.
    size_t before = handed_to(lab, "slow.example");
    for (int minute = 0; minute < 3; ++minute) {
        lab.advance(60s);
        const size_t now = handed_to(lab, "slow.example");
        EXPECT_LE(now - before, 60u);
        EXPECT_GE(now - before, 58u);
        before = now;
    }
    lab.advance(30s);
    EXPECT_EQ(handed_to(lab, "slow.example"), 200u);
    EXPECT_TRUE(lab.show_queue().empty());
}

TEST(Flow, ARateIsKeptWhenTheConfigurationIsReadAgain) {
    QueueLab lab;
    lab.settings.limits = {{{{"slow.example"}}, 0, 2, 60s}};
    lab.queue->configure(lab.settings);
    lab.relay = [](const Handed&) { return delivered(); };
    for (int i = 0; i < 10; ++i)
        lab.submit("a@from.example", {"r" + std::to_string(i) + "@slow.example"});
    for (int i = 0; i < 19; ++i) {
        lab.advance(3s);
        lab.queue->configure(lab.settings);
    }
    EXPECT_LE(lab.handed_count(), 2u);
    EXPECT_GE(lab.handed_count(), 1u);
}

// Half of the domains' mail leaves from an address that has a limit.
class SourceLab : public QueueLab {
  public:
    explicit SourceLab(const ipc::SourceLimit& limit) {
        settings.source_limits = {limit};
        queue->configure(settings);
        route = [](const ipc::RouteQuery& query) {
            ipc::RouteAnswer answer = to_exchanger(query);
            if (answer.route.domain.starts_with("s"))
                answer.route.sources = {{*IpAddress::parse("192.0.2.7")}};
            return answer;
        };
    }
    void submit_to(const std::string& domain, int count) {
        for (int i = 0; i < count; ++i)
            submit("a@from.example", {"r" + std::to_string(i) + "@" + domain});
    }
    void answer_all() {
        for (size_t i = 0; i < handed_count(); ++i)
            if (!handed(i).answered)
                answer(handed(i), delivered());
        run();
    }
    size_t out(const std::string& domains) {
        size_t count = 0;
        for (const Handed& handed : all_handed)
            count += !handed.answered && handed.deliver.route.domain.starts_with(domains);
        return count;
    }
};

TEST(Flow, ASourceHasSoManyDeliveriesOverAllItsDestinations) {
    SourceLab lab({*IpAddress::parse("192.0.2.7"), 3, 0, 1s});
    for (int i = 0; i < 10; ++i) {
        lab.submit_to("s" + std::to_string(i) + ".example", 5);
        lab.submit_to("other" + std::to_string(i) + ".example", 1);
    }
    lab.run();
    EXPECT_EQ(lab.out("s"), 3u);
    EXPECT_EQ(lab.out("other"), 10u);
    // All of it goes, and the destinations take turns.
    std::map<std::string, size_t> sent;
    for (int round = 0; round < 17; ++round) {
        EXPECT_LE(lab.out("s"), 3u);
        lab.answer_all();
    }
    for (size_t i = 0; i < 30; ++i)
        ++sent[lab.handed(i).deliver.route.domain];
    for (const auto& [domain, count] : sent)
        EXPECT_LE(count, 4u) << domain;
    EXPECT_TRUE(lab.show_queue().empty());
}

TEST(Flow, ASourceHasARate) {
    SourceLab lab({*IpAddress::parse("192.0.2.7"), 0, 60, 60s});
    lab.relay = [](const Handed&) { return delivered(); };
    for (int i = 0; i < 20; ++i)
        lab.submit_to("s" + std::to_string(i) + ".example", 10);
    lab.submit_to("other.example", 50);
    lab.run();
    EXPECT_EQ(handed_to(lab, "other.example"), 50u);
    size_t before = lab.handed_count();
    EXPECT_LE(before, 51u);
    for (int minute = 0; minute < 3; ++minute) {
        if (minute == 1)
            lab.queue->configure(lab.settings); // nor does a reload let more through
        lab.advance(60s);
        EXPECT_LE(lab.handed_count() - before, 60u);
        EXPECT_GE(lab.handed_count() - before, 57u);
        before = lab.handed_count();
    }
    // Without the limit what waits goes at once.
    lab.settings.source_limits.clear();
    lab.queue->configure(lab.settings);
    lab.run();
    EXPECT_TRUE(lab.show_queue().empty());
}

// One that had its turn and needs it no more is in nobody's way.
TEST(Flow, WhoWaitsForASourceIsNotForgotten) {
    SourceLab lab({*IpAddress::parse("192.0.2.7"), 1, 0, 1s});
    std::vector<uint64_t> ids;
    for (int i = 0; i < 6; ++i)
        ids.push_back(lab.accept("a@from.example", {"r@s" + std::to_string(i) + ".example"}));
    lab.run();
    ASSERT_EQ(lab.handed_count(), 1u);
    ipc::Pause pause;
    lab.ask<ipc::Done>(pause); // so that the next one waits in its ring
    lab.answer_all();
    ipc::Change remove;
    remove.kind = ipc::ChangeKind::remove;
    for (int i = 1; i < 5; ++i) {
        remove.message = ids[i];
        lab.ask<ipc::Changed>(remove);
    }
    pause.paused = false;
    lab.ask<ipc::Done>(pause);
    ASSERT_EQ(lab.handed_count(), 2u);
    EXPECT_EQ(lab.handed(1).recipients()[0], "r@s5.example");
    // Nor where the limit goes while some wait, or comes while some are out.
    lab.submit_to("s7.example", 2);
    lab.submit_to("s8.example", 2);
    lab.run();
    EXPECT_EQ(lab.out("s"), 1u);
    auto limits = std::exchange(lab.settings.source_limits, {});
    lab.queue->configure(lab.settings);
    lab.run();
    EXPECT_EQ(lab.out("s"), 5u);
    lab.settings.source_limits = limits;
    lab.queue->configure(lab.settings);
    lab.submit_to("s9.example", 1);
    lab.run();
    EXPECT_EQ(lab.out("s"), 5u);
    lab.answer_all();
    EXPECT_EQ(lab.out("s"), 1u);
    lab.answer_all();
    EXPECT_TRUE(lab.show_queue().empty());
}

// What is routed anew has other numbers for its destinations: no source serves another's.
TEST(Flow, SourcesAreKeptApartWhenMailIsRoutedAnew) {
    QueueLab lab;
    const IpAddress first = *IpAddress::parse("192.0.2.7"), second = *IpAddress::parse("192.0.2.8");
    lab.settings.source_limits = {{first, 1, 0, 1s}, {second, 1, 60, 60s}};
    lab.queue->configure(lab.settings);
    lab.route = [&](const ipc::RouteQuery& query) {
        ipc::RouteAnswer answer = to_exchanger(query);
        answer.route.sources = {{answer.route.domain.starts_with("f") ? first : second}};
        return answer;
    };
    for (int i = 0; i < 12; ++i)
        for (const char* where : {"@f", "@s"})
            lab.accept("a@from.example",
                       {"r" + std::to_string(i) + where + std::to_string(i % 4) + ".example"});
    lab.run();
    for (int round = 0; round < 60; ++round) {
        std::map<bool, size_t> out;
        for (Handed& handed : lab.all_handed)
            if (!handed.answered)
                ++out[handed.deliver.route.domain.starts_with("f")];
        EXPECT_LE(out[true], 1u);
        EXPECT_LE(out[false], 1u);
        lab.queue->orders_changed();
        lab.run();
        for (Handed& handed : lab.all_handed)
            if (!handed.answered)
                lab.answer(handed, delivered());
        lab.advance(2s);
    }
    EXPECT_TRUE(lab.show_queue().empty());
}

// Routes become old while mail waits for its source. To find one anew takes no turn.
TEST(Flow, WhoIsRoutedAnewHasItsTurnStill) {
    SourceLab lab({*IpAddress::parse("192.0.2.7"), 0, 20, 60s});
    lab.relay = [](const Handed&) { return delivered(); };
    for (int i = 0; i < 100; ++i)
        lab.submit_to("s" + std::to_string(i) + ".example", 2);
    lab.run();
    lab.advance(120s);
    const size_t before = lab.questions, sent = lab.handed_count();
    lab.advance(120s);
    EXPECT_GE(lab.handed_count() - sent, 38u);
    EXPECT_LE(lab.questions - before, 2 * (lab.handed_count() - sent));
}

// A relay that can take no more does not keep from the others what a source may send.
TEST(Flow, ARelayThatIsBusyKeepsNoSource) {
    SourceLab lab({*IpAddress::parse("192.0.2.7"), 4, 0, 1s});
    ipc::Capacity none;
    lab.queue->capacity(1, none);
    for (int i = 0; i < 40; ++i)
        lab.submit_to("s" + std::to_string(i) + ".example", 1);
    lab.run();
    EXPECT_EQ(lab.out("s"), 4u);
    for (const Handed& handed : lab.all_handed)
        EXPECT_EQ(handed.deliverer, 2u);
    for (int round = 0; round < 20; ++round)
        lab.answer_all();
    EXPECT_FALSE(lab.show_queue().empty());
    ipc::Capacity some;
    some.deliveries = 10;
    lab.queue->capacity(1, some);
    for (int round = 0; round < 20; ++round)
        lab.answer_all();
    EXPECT_TRUE(lab.show_queue().empty());
}

// Nor is it forgotten while a relay is full of other mail: it goes as soon as that has room.
TEST(Flow, ASourcesMailGoesWhenOthersMakeRoom) {
    SourceLab lab({*IpAddress::parse("192.0.2.7"), 2, 0, 1s});
    lab.grant_capacity(3);
    for (int i = 0; i < 10; ++i)
        lab.submit_to("other" + std::to_string(i) + ".example", 1);
    lab.run();
    ASSERT_EQ(lab.out("other"), 6u);
    for (int i = 0; i < 40; ++i)
        lab.submit_to("s" + std::to_string(i) + ".example", 1);
    lab.run();
    EXPECT_EQ(lab.out("s"), 0u);
    for (size_t i = 0; i < 6; ++i)
        lab.answer(lab.handed(i), delivered());
    lab.run();
    EXPECT_EQ(lab.out("s"), 2u);
    for (int round = 0; round < 30; ++round)
        lab.answer_all();
    EXPECT_TRUE(lab.show_queue().empty());
}

// What the relay has and nobody has answered yet: answered, one after the other.
std::vector<std::string> senders_in_order(QueueLab& lab, size_t count) {
    std::vector<std::string> senders;
    for (size_t i = 0; i < lab.handed_count() && senders.size() < count; ++i) {
        if (lab.handed(i).answered)
            continue;
        senders.push_back(lab.handed(i).deliver.reverse_path);
        lab.answer(lab.handed(i), delivered());
        lab.run();
    }
    return senders;
}

TEST(Flow, OneSendersBulkDoesNotKeepAnothersMailWaiting) {
    QueueLab lab;
    for (int i = 0; i < 5000; ++i)
        lab.submit("bulk+" + std::to_string(i) + "@from.example",
                   {"r" + std::to_string(i) + "@dest.example"});
    lab.run();
    lab.accept("alice@from.example", {"bob@dest.example"});
    const std::vector<std::string> order = senders_in_order(lab, 5);
    EXPECT_NE(std::find(order.begin(), order.end(), "alice@from.example"), order.end());
}

TEST(Flow, FreshMailGoesBeforeWhatWasTriedBefore) {
    QueueLab lab;
    for (int i = 0; i < 10; ++i)
        lab.accept("old@from.example", {"r" + std::to_string(i) + "@dest.example"});
    for (size_t i = 0; i < 10; ++i) {
        lab.answer(lab.handed(i), temporary());
        lab.run();
    }
    lab.advance(301s); // two of them are out again, the others wait
    for (int i = 0; i < 2; ++i)
        lab.accept("new@from.example", {"n" + std::to_string(i) + "@dest.example"});
    const std::vector<std::string> order = senders_in_order(lab, 5);
    EXPECT_EQ(std::count(order.begin(), order.end(), "new@from.example"), 2);
}

WallTime wait_after(QueueLab& lab, const std::string& to, const std::string& enhanced,
                    const std::string& reply) {
    const size_t index = lab.handed_count();
    lab.accept("a@from.example", {to});
    ipc::RecipientOutcome outcome = temporary(reply);
    outcome.enhanced = enhanced;
    lab.answer(lab.handed(index), outcome);
    lab.run();
    return lab.show_queue().back().next_attempt - lab.time.wall_seconds();
}

TEST(Flow, RetriesAreByDomainAndFailure) {
    QueueLab lab;
    lab.settings.retries = {
        {{{"*.example"}}, {FailureClass::throttled}, 60s, 600s},
        {{{"far.example"}}, {}, 1000s, 2000s},
    };
    lab.queue->configure(lab.settings);
    struct Case {
        const char* to;
        const char* enhanced;
        const char* reply;
        WallTime least, most;
    };
    const Case cases[] = {
        {"a@one.example", "4.7.1", "450 4.7.1 not now", 48, 60},
        {"b@two.example", "4.2.2", "452 4.2.2 full", 240, 300},
        {"c@far.example", "4.7.1", "450 4.7.1 not now", 48, 60},
        {"d@far.example", "4.2.2", "452 4.2.2 full", 800, 1000},
        {"e@one.org", "4.7.1", "450 4.7.1 not now", 240, 300},
        {"f@six.example", "4.7.1", "450 4.7.1 Greylisted, try again in 120 seconds", 121, 133},
        {"g@six.org", "4.2.0", "450 4.2.0 Greylisted for 00:10:00", 601, 661},
        {"h@nine.example", "4.7.1", "450 4.7.1 try again in 2 hours", 480, 600},
    };
    for (const Case& c : cases) {
        const WallTime wait = wait_after(lab, c.to, c.enhanced, c.reply);
        EXPECT_GE(wait, c.least) << c.to << " " << c.reply;
        EXPECT_LE(wait, c.most) << c.to << " " << c.reply;
    }
}

TEST(Flow, AnAnnouncedWaitDoesNotOutlastTheMail) {
    QueueLab lab;
    lab.settings.ttl = 10min;
    lab.queue->configure(lab.settings);
    EXPECT_EQ(wait_after(lab, "b@dest.example", "4.7.1", "450 4.7.1 try again in 50 minutes"), 600);
}

// A next hop that says "at once" for ever is not obeyed for ever.
TEST(Flow, AnAnnouncedWaitDoesNotMakeUsSpin) {
    QueueLab lab;
    lab.relay = [](const Handed& handed) {
        return handed.deliver.reverse_path.empty()
                   ? delivered()
                   : temporary("451 4.3.0 please retry in 1 second");
    };
    lab.accept("a@from.example", {"b@dest.example"});
    lab.advance(23h);
    EXPECT_LT(lab.handed_count(), 40u);
}

// It may be the mail that it does not like: others' goes on, though not much at once.
TEST(Flow, AHostThatTurnsMailAwayGetsOneAtATime) {
    QueueLab lab;
    lab.settings.max_per_destination = 20;
    lab.queue->configure(lab.settings);
    for (int i = 0; i < 50; ++i)
        lab.submit("a@from.example", {"r" + std::to_string(i) + "@busy.example"});
    lab.run();
    const auto out = [&] {
        size_t count = 0;
        for (const Handed& handed : lab.all_handed)
            count += !handed.answered;
        return count;
    };
    EXPECT_EQ(out(), 5u);
    ipc::RecipientOutcome outcome = temporary("421 4.7.0 too many messages");
    outcome.enhanced = "4.7.0";
    for (size_t i = 0; i < 20; ++i) {
        lab.answer(lab.handed(i), outcome);
        lab.run();
    }
    EXPECT_EQ(out(), 1u);
    EXPECT_EQ(lab.times_logged("a destination is held"), 0u);
    lab.relay = [](const Handed&) { return delivered(); };
    lab.answer(lab.handed(lab.handed_count() - 1), delivered());
    lab.run();
    EXPECT_EQ(lab.counters["queue.delivered"], 30u);
}

} // namespace
} // namespace postern::test
