// More mail than the queue keeps in memory: the rest waits on disk, and nobody notices.
#include <set>

#include "regress/unit/queue/queue_lab.h"

namespace postern::test {
namespace {

class ParkingLab : public QueueLab {
  public:
    explicit ParkingLab(uint32_t limit) {
        settings.max_in_memory = limit;
        queue->configure(settings);
        run();
    }
    size_t in_memory() const { return queue->table().messages(); }
    size_t parked() const { return queue->parked().messages(); }
    size_t waiting() { // recipients, wherever they are
        queue->refresh_counters();
        return counters["queue.recipients"];
    }
    // Each is tried once, and fails.
    void defer(size_t messages, const std::string& domain = "dest.example") {
        relay = [](const Handed&) { return temporary(); };
        for (size_t i = 0; i < messages; ++i)
            accept("a@from.example", {"r" + std::to_string(i) + "@" + domain});
        run();
        collect();
        run();
        relay = nullptr;
    }
};

TEST(Parking, WhatWaitsForItsTimeWaitsOnDisk) {
    ParkingLab lab(10);
    lab.defer(100);
    EXPECT_LE(lab.in_memory(), 10u);
    EXPECT_EQ(lab.in_memory() + lab.parked(), 100u);
    EXPECT_EQ(lab.waiting(), 100u);
    const size_t before = lab.handed_count();
    lab.relay = [](const Handed&) { return delivered(); };
    lab.advance(2min);
    EXPECT_EQ(lab.handed_count(), before) << "too early";
    lab.advance(10min);
    EXPECT_EQ(lab.handed_count(), before + 100);
    EXPECT_EQ(lab.waiting(), 0u);
}

TEST(Parking, ItIsNotTriedLessOftenForIt) {
    ParkingLab lab(10), ample(1'000'000);
    for (ParkingLab* one : {&lab, &ample}) {
        one->defer(50);
        one->relay = [](const Handed&) { return temporary(); };
        for (int i = 0; i < 6 * 60; ++i)
            one->advance(1min);
    }
    EXPECT_GT(lab.parked(), 0u);
    EXPECT_EQ(lab.handed_count(), ample.handed_count());
}

TEST(Parking, ItExpiresAndItsSenderIsTold) {
    ParkingLab lab(10);
    lab.defer(40);
    std::map<std::string, int> told;
    lab.relay = [&](const Handed& handed) -> std::optional<ipc::RecipientOutcome> {
        if (!handed.deliver.reverse_path.empty())
            return temporary();
        ++told[handed.deliver.content.bytes.find("Action: failed") == std::string::npos ? "delayed"
                                                                                        : "failed"];
        return delivered();
    };
    for (int i = 0; i < 25 * 60; ++i)
        lab.advance(1min);
    EXPECT_EQ(told["failed"], 40);
    EXPECT_EQ(lab.waiting(), 0u);
}

TEST(Parking, ItsSenderIsWarnedInTime) {
    ParkingLab lab(10);
    lab.settings.warn_delays = {1h};
    lab.queue->configure(lab.settings);
    lab.defer(40);
    EXPECT_GT(lab.parked(), 20u);
    size_t warnings = 0;
    lab.relay = [&](const Handed& handed) -> std::optional<ipc::RecipientOutcome> {
        if (!handed.deliver.reverse_path.empty())
            return temporary();
        ++warnings;
        return delivered();
    };
    for (int i = 0; i < 58; ++i)
        lab.advance(1min);
    EXPECT_EQ(warnings, 0u);
    for (int i = 0; i < 5; ++i)
        lab.advance(1min);
    EXPECT_EQ(warnings, 40u);
    for (int i = 0; i < 5 * 60; ++i)
        lab.advance(1min);
    EXPECT_EQ(warnings, 40u) << "each is warned once";
}

// Behind the one that finds out whether the destination is back.
TEST(Parking, MailForADeadDestinationWaitsOnDisk) {
    ParkingLab lab(10);
    bool dead = true;
    lab.relay = [&](const Handed& handed) -> std::optional<ipc::RecipientOutcome> {
        if (!dead || handed.recipients()[0].ends_with("alive.example"))
            return delivered();
        return std::nullopt;
    };
    for (int i = 0; i < 200; ++i)
        lab.accept("a@from.example", {"r" + std::to_string(i) + "@dead.example"});
    const auto fail_all = [&] {
        for (size_t i = 0; i < lab.handed_count(); ++i)
            if (!lab.handed(i).answered)
                lab.answer(lab.handed(i), temporary("connection refused"), true);
        lab.run();
    };
    fail_all();
    for (int i = 200; i < 400; ++i)
        lab.accept("a@from.example", {"r" + std::to_string(i) + "@dead.example"});
    lab.run();
    EXPECT_GT(lab.parked(), 150u);
    // Operators see why it waits, and others do not wait for it.
    const auto entries = lab.show_queue();
    ASSERT_EQ(entries.size(), 400u);
    for (const auto& entry : entries) {
        EXPECT_EQ(entry.state, ipc::RecipientState::deferred);
        EXPECT_NE(entry.last_error.find("connection refused"), std::string::npos);
    }
    lab.accept("a@from.example", {"b@alive.example"});
    EXPECT_EQ(lab.waiting(), 400u);
    // It stays dead for a while: one try, every now and then.
    const size_t tried = lab.handed_count();
    for (int i = 0; i < 60; ++i) {
        lab.advance(1min);
        fail_all();
    }
    EXPECT_LT(lab.handed_count(), tried + 220) << "those tried before, and the probes";
    EXPECT_EQ(lab.waiting(), 400u);
    // When it answers, all of it goes out, at once but for what was tried before.
    dead = false;
    for (int i = 0; i < 70; ++i)
        lab.advance(1min);
    EXPECT_EQ(lab.waiting(), 0u);
    EXPECT_EQ(lab.counters["queue.delivered"], 401u);
}

// While the disk takes nothing, what is parked comes back as it was left.
TEST(Parking, NothingIsForgottenThatIsNotWrittenYet) {
    ParkingLab lab(1);
    lab.settings.max_per_destination = 100;
    lab.queue->configure(lab.settings);
    for (int i = 0; i < 5; ++i)
        lab.accept("a@from.example", {"done@one.example", "later@two.example"});
    ASSERT_EQ(lab.handed_count(), 10u);
    lab.files.sync_failure = lab.files.write_failure = 1;
    lab.relay = [](const Handed& handed) {
        return handed.recipients()[0] == "done@one.example" ? delivered() : temporary();
    };
    for (int i = 0; i < 60; ++i)
        lab.advance(1min);
    std::map<std::string, size_t> tried;
    for (const Handed& handed : lab.all_handed)
        ++tried[handed.recipients()[0]];
    EXPECT_EQ(tried["done@one.example"], 5u) << "each is delivered once";
    EXPECT_GT(tried["later@two.example"], 10u);
}

// More recipients than travel together: two jobs of one message wait at the same destination.
TEST(Parking, MoreThanOneJobAtADeadDestination) {
    ParkingLab lab(2);
    std::vector<std::string> recipients;
    for (int i = 0; i < 250; ++i)
        recipients.push_back("r" + std::to_string(i) + "@dead.example");
    for (int i = 0; i < 20; ++i)
        lab.accept("a@from.example", recipients);
    for (size_t i = 0; i < lab.handed_count(); ++i)
        lab.answer(lab.handed(i), temporary("connection refused"), true);
    lab.run();
    EXPECT_GT(lab.parked(), 10u);
    EXPECT_EQ(lab.waiting(), 20u * 250u);
    lab.relay = [](const Handed&) { return delivered(); };
    for (int i = 0; i < 70; ++i)
        lab.advance(1min);
    EXPECT_EQ(lab.waiting(), 0u);
    EXPECT_EQ(lab.counters["queue.delivered"], 20u * 250u);
}

TEST(Parking, ARecipientAtEachOfTwoDeadDestinations) {
    ParkingLab lab(10);
    for (int i = 0; i < 100; ++i) {
        lab.accept("a@from.example", {"x@one.example", "y@two.example"});
        for (size_t k = 0; k < lab.handed_count(); ++k)
            if (!lab.handed(k).answered)
                lab.answer(lab.handed(k), temporary("connection refused"), true);
        lab.run();
    }
    EXPECT_GT(lab.parked(), 80u);
    EXPECT_EQ(lab.waiting(), 200u);
    lab.relay = [](const Handed&) { return delivered(); };
    for (int i = 0; i < 70; ++i)
        lab.advance(1min);
    EXPECT_EQ(lab.waiting(), 0u);
    EXPECT_EQ(lab.counters["queue.delivered"], 200u);
}

TEST(Parking, ASlowDestinationTakesWhatItLeftBehind) {
    ParkingLab lab(10);
    std::deque<size_t> open;
    for (int i = 0; i < 3000; ++i)
        lab.accept("a@from.example", {"r" + std::to_string(i) + "@slow.example"});
    lab.run();
    EXPECT_GT(lab.parked(), 1000u);
    EXPECT_LT(lab.in_memory(), 1100u);
    // In the order of acceptance, and without a pause.
    size_t next = 0;
    for (int i = 0; i < 3000; ++i) {
        ASSERT_LT(next, lab.handed_count()) << "it waits for nothing";
        EXPECT_EQ(lab.handed(next).recipients()[0], "r" + std::to_string(i) + "@slow.example");
        lab.answer(lab.handed(next++), delivered());
        lab.run();
    }
    EXPECT_EQ(lab.waiting(), 0u);
}

TEST(Parking, AReloadReachesWhatIsParked) {
    ParkingLab lab(10);
    for (int i = 0; i < 100; ++i)
        lab.accept("a@from.example", {"r" + std::to_string(i) + "@dead.example"});
    for (size_t i = 0; i < lab.handed_count(); ++i)
        lab.answer(lab.handed(i), temporary("connection refused"), true);
    for (int i = 100; i < 200; ++i)
        lab.accept("a@from.example", {"r" + std::to_string(i) + "@dead.example"});
    lab.run();
    EXPECT_GT(lab.parked(), 50u);
    // There is another way to it now.
    lab.route = [](const ipc::RouteQuery& query) {
        ipc::RouteAnswer answer = to_exchanger(query);
        answer.route.domain = "elsewhere.example";
        return answer;
    };
    lab.relay = [](const Handed&) { return delivered(); };
    lab.queue->routing().changed();
    lab.run();
    for (int i = 0; i < 10; ++i)
        lab.advance(1min);
    EXPECT_EQ(lab.waiting(), 0u);
}

TEST(Parking, OperatorsReachWhatIsParked) {
    ParkingLab lab(10);
    lab.defer(100);
    const auto entries = lab.show_queue();
    ASSERT_EQ(entries.size(), 100u);
    EXPECT_TRUE(std::is_sorted(entries.begin(), entries.end(),
                               [](const auto& a, const auto& b) { return a.message < b.message; }));
    for (const auto& entry : entries) {
        EXPECT_EQ(entry.attempts, 1u);
        EXPECT_NE(entry.last_error.find("try later"), std::string::npos);
    }
    // Shown, and still parked.
    const size_t parked = lab.parked();
    EXPECT_NE(lab.content_of(entries[99].message), "");
    EXPECT_EQ(lab.parked(), parked);

    ipc::Change remove;
    remove.kind = ipc::ChangeKind::remove;
    remove.message = entries[99].message;
    EXPECT_EQ(lab.ask<ipc::Changed>(remove).affected, 1u);
    EXPECT_FALSE(lab.ask<ipc::Done>(remove).ok) << "it is gone";
    EXPECT_EQ(lab.waiting(), 99u);

    const size_t before = lab.handed_count();
    lab.relay = [](const Handed&) { return delivered(); };
    ipc::Change one;
    one.message = entries[98].message;
    EXPECT_EQ(lab.ask<ipc::Changed>(one).affected, 1u);
    EXPECT_EQ(lab.handed_count(), before + 1);
    EXPECT_EQ(lab.ask<ipc::Changed>(ipc::Change{}).affected, 98u);
    lab.advance(2s);
    EXPECT_EQ(lab.handed_count(), before + 99);
    EXPECT_EQ(lab.waiting(), 0u);
}

TEST(Parking, TheDomainAsksForWhatIsParked) {
    ParkingLab lab(10);
    lab.defer(100);
    lab.relay = [](const Handed&) { return delivered(); };
    std::optional<uint32_t> messages;
    Waker waker(*lab.queue);
    ipc::Wake question;
    question.domain = "dest.example";
    waker.wake(question, [&](ipc::WakeResult, uint32_t count) { messages = count; });
    lab.advance(2s);
    EXPECT_EQ(messages, 100u);
    EXPECT_EQ(lab.waiting(), 0u);
}

TEST(Parking, AStartParksWhatItFinds) {
    for (const bool power : {false, true}) {
        ParkingLab lab(10);
        lab.defer(100);
        power ? lab.lose_power(3) : lab.die();
        lab.start();
        EXPECT_LE(lab.in_memory(), 10u);
        EXPECT_EQ(lab.waiting(), 100u);
        EXPECT_EQ(lab.show_queue().size(), 100u);
        lab.relay = [](const Handed&) { return delivered(); };
        lab.advance(10min);
        EXPECT_EQ(lab.waiting(), 0u);
        EXPECT_EQ(lab.counters["queue.delivered"], 100u);
    }
}

// Lookup has been away for long.
TEST(Parking, NewMailIsAcceptedWithoutEnd) {
    ParkingLab lab(10);
    lab.lookup_silent = true;
    constexpr size_t asked = ipc::routing_credit; // of lookup, before it answers
    for (size_t i = 0; i < asked + 500; ++i)
        lab.accept("a@from.example", {"r" + std::to_string(i) + "@dest.example"});
    EXPECT_LE(lab.in_memory(), asked + 20);
    EXPECT_EQ(lab.waiting(), asked + 500);
    lab.lookup_silent = false;
    lab.relay = [](const Handed&) { return delivered(); };
    lab.run();
    for (int i = 0; i < 10; ++i)
        lab.advance(1min);
    EXPECT_EQ(lab.waiting(), 0u);
}

// A table that is full of what cannot go keeps nobody on disk for ever.
TEST(Parking, ManyDeadDestinations) {
    ParkingLab lab(10);
    std::set<std::string> delivered_to;
    lab.defer(30, "alive.example");
    lab.relay = [&](const Handed& handed) -> std::optional<ipc::RecipientOutcome> {
        const std::string to = handed.recipients()[0];
        if (to.ends_with(".dead.example"))
            return std::nullopt;
        delivered_to.insert(to);
        return delivered();
    };
    for (int i = 0; i < 50; ++i)
        lab.accept("a@from.example", {"r@d" + std::to_string(i) + ".dead.example"});
    EXPECT_GT(lab.in_memory(), 40u) << "they are with their deliverers";
    lab.advance(6min);
    lab.advance(6min);
    EXPECT_EQ(delivered_to.size(), 30u);
}

TEST(Parking, OneThatCannotBeReadIsTriedAgain) {
    ParkingLab lab(10);
    lab.defer(30);
    ASSERT_GT(lab.parked(), 10u);
    lab.relay = [](const Handed&) { return delivered(); };
    lab.files.read_error = EIO;
    lab.advance(10min);
    EXPECT_GT(lab.queue->loader().unread().size(), 0u);
    EXPECT_EQ(lab.show_queue().size(), 30u - lab.counters["queue.delivered"]);
    lab.files.read_error = 0;
    for (int i = 0; i < 120; ++i)
        lab.advance(1min);
    EXPECT_EQ(lab.counters["queue.delivered"], 30u);
    EXPECT_TRUE(lab.show_queue().empty());
}

} // namespace
} // namespace postern::test
