// What happens to mail that waits when a time has come: senders are told of delays, and what was
// wanted by a certain time is reported or given up (RFC 2852).
#include "regress/unit/queue/reports.h"

namespace postern::test {
namespace {

using Strings = std::vector<std::string>;

class Waiting : public ::testing::Test {
  protected:
    Waiting() {
        lab.settings.warn_delays = {4h};
        lab.queue->configure(lab.settings);
        // Nobody gets anything, but for the sender: his reports are kept here.
        lab.relay = [this](const Handed& handed) -> std::optional<ipc::RecipientOutcome> {
            if (handed.recipients()[0] != "b@dest.example") {
                reports.push_back(handed.deliver.content.bytes);
                return delivered();
            }
            ++attempts;
            return answer;
        };
    }
    ipc::Envelope to_one() {
        ipc::Envelope envelope;
        envelope.reverse_path = "a@from.example";
        envelope.recipients = {"b@dest.example"};
        return envelope;
    }
    ipc::Envelope by(int64_t seconds, bool give_up, bool trace = false) {
        ipc::Envelope envelope = to_one();
        envelope.parameters.deliver_by = DeliverBy{seconds, give_up, trace};
        return envelope;
    }
    bool last_report_has(const std::string& text) const {
        return !reports.empty() && reports.back().find(text) != std::string::npos;
    }

    QueueLab lab;
    std::optional<ipc::RecipientOutcome> answer = temporary();
    std::vector<std::string> reports;
    size_t attempts = 0;
};

// -- Delays.

TEST_F(Waiting, TheSenderIsToldOfADelayOnce) {
    lab.accept(to_one());
    lab.advance(4h - 1s);
    EXPECT_TRUE(reports.empty());
    lab.advance(1s);
    ASSERT_EQ(reports.size(), 1u) << "not at the next attempt";
    for (const char* text : {"Action: delayed", "Status: 4.3.0", "Will-Retry-Until: ",
                             "Diagnostic-Code: smtp; 451 4.3.0 try later", "warning only"})
        EXPECT_TRUE(last_report_has(text)) << text << " in\n" << reports.back();
    EXPECT_FALSE(last_report_has("Last-Attempt-Date")); // not kept
    const size_t before = attempts;
    lab.advance(20h - 10s);
    EXPECT_GT(attempts, before + 3) << "tried as before";
    EXPECT_EQ(reports.size(), 1u);
    lab.advance(20s);
    ASSERT_EQ(reports.size(), 2u);
    EXPECT_TRUE(last_report_has("Action: failed"));
    EXPECT_TRUE(lab.show_queue().empty());
}

// Counts in each turn of the loop who has been told of a delay by then.
class EveryTurn final : Timer, Callback {
  public:
    EveryTurn(QueueLab& lab, Duration from) : lab_(lab) { arm(lab.time, lab.time.now() + from); }
    size_t told = 0;
    size_t most_in_a_turn = 0;

  private:
    void expired() override { call(); }
    void call() override {
        size_t now = 0;
        for (QueuedMessage* message = lab_.queue->table().after(0); message;
             message = lab_.queue->table().after(message->id))
            now += message->recipients[0].told != 0;
        most_in_a_turn = std::max(most_in_a_turn, now - std::min(now, told));
        told = now;
        if (--turns_left_ > 0)
            lab_.time.schedule(*this);
    }

    QueueLab& lab_;
    int turns_left_ = 50;
};

// Many messages whose time comes at once do not hold everything else up.
TEST_F(Waiting, ManyAreToldInSeveralTurns) {
    constexpr size_t count = 200, at_once = 64;
    lab.route = [](const ipc::RouteQuery& query) {
        return query.recipient == "b@dest.example" ? verdict(query, ipc::RouteVerdict::temporary)
                                                   : to_exchanger(query);
    };
    for (size_t i = 0; i < count; ++i)
        lab.submit(to_one());
    lab.advance(4h - 1s);
    ASSERT_TRUE(reports.empty());
    EveryTurn watch(lab, 1s);
    lab.advance(1min);
    EXPECT_EQ(watch.told, count);
    EXPECT_LE(watch.most_in_a_turn, at_once);
    EXPECT_GT(watch.most_in_a_turn, at_once / 2);
    EXPECT_EQ(reports.size(), count);
}

TEST_F(Waiting, NotEverybodyIsTold) {
    struct Row {
        Notify notify;
        const char* sender;
        size_t reports;
    };
    const Row rows[] = {
        {notify::unspecified, "a@from.example", 1},
        {notify::delay, "a@from.example", 1},
        {notify::delay | notify::success, "a@from.example", 1},
        {notify::never, "a@from.example", 0},
        {notify::failure | notify::success, "a@from.example", 0},
        {notify::delay, "", 0},
    };
    for (const Row& row : rows) {
        SCOPED_TRACE(int{row.notify});
        reports.clear();
        ipc::Envelope envelope = to_one();
        envelope.reverse_path = row.sender;
        envelope.options.push_back({0, {row.notify, ""}});
        lab.accept(std::move(envelope));
        lab.advance(5h);
        EXPECT_EQ(reports.size(), row.reports);
        answer = delivered();
        lab.advance(2h);
        EXPECT_TRUE(lab.show_queue().empty());
        answer = temporary();
    }
}

TEST_F(Waiting, SeveralWarnings) {
    lab.settings.warn_delays = {1h, 2h, 10h};
    lab.queue->configure(lab.settings);
    ipc::Envelope envelope = to_one();
    envelope.recipients.push_back("c@dest.example");
    lab.accept(std::move(envelope));
    const std::pair<Duration, size_t> steps[] = {{59min, 0},  {2min, 1}, {58min, 1}, {2min, 2},
                                                 {477min, 2}, {2min, 3}, {12h, 3}};
    for (const auto& [pause, expected] : steps) {
        lab.advance(pause);
        EXPECT_EQ(reports.size(), expected);
    }
    for (const std::string& report : reports)
        EXPECT_NE(report.find("c@dest.example"), std::string::npos) << "one report for both";
}

TEST_F(Waiting, WhileAnAttemptIsUnderWayNothingIsSaid) {
    for (bool delivered_at_last : {true, false}) {
        SCOPED_TRACE(delivered_at_last);
        answer.reset();
        reports.clear();
        lab.accept(to_one());
        lab.advance(5h);
        EXPECT_TRUE(reports.empty());
        Handed& handed = lab.handed(lab.handed_count() - 1);
        answer = temporary();
        lab.answer(handed, delivered_at_last ? delivered() : temporary());
        lab.run();
        EXPECT_EQ(reports.size(), delivered_at_last ? 0u : 1u);
    }
}

TEST_F(Waiting, WhatWaitsForADeadOrPausedDestinationIsReportedToo) {
    answer = delivered();
    ipc::Pause pause;
    lab.ask<ipc::Done>(pause);
    lab.accept(to_one());
    lab.advance(4h + 1s);
    EXPECT_TRUE(reports.empty()) << "the report is paused like the rest";
    EXPECT_EQ(lab.show_queue().size(), 2u);
    pause.paused = false;
    lab.ask<ipc::Done>(pause);
    ASSERT_EQ(reports.size(), 1u);
    EXPECT_TRUE(last_report_has("Status: 4.4.7"));
    EXPECT_EQ(attempts, 1u);

    QueueLab dead;
    dead.settings.warn_delays = {10min};
    dead.queue->configure(dead.settings);
    dead.accept("a@from.example", {"b@dead.example"});
    dead.advance(5min);
    dead.answer(dead.handed(0), temporary("connection refused"), true);
    dead.run();
    dead.accept("a@from.example", {"c@dead.example"}); // waits at its destination, untried
    std::string text;
    for (int minute = 0; minute < 12; ++minute) {
        dead.advance(1min);
        for (Handed& handed : dead.all_handed) {
            if (handed.answered)
                continue;
            if (handed.deliver.reverse_path.empty())
                text += handed.deliver.content.bytes;
            dead.answer(handed,
                        handed.deliver.reverse_path.empty() ? delivered()
                                                            : temporary("connection refused"),
                        !handed.deliver.reverse_path.empty());
        }
    }
    EXPECT_NE(text.find("b@dead.example"), std::string::npos);
    EXPECT_NE(text.find("c@dead.example"), std::string::npos);
    EXPECT_NE(text.find("connection refused"), std::string::npos);
}

TEST_F(Waiting, AReloadReachesWhatWaits) {
    lab.accept(to_one());
    lab.advance(1h);
    lab.settings.warn_delays = {2h};
    lab.queue->configure(lab.settings);
    lab.advance(59min);
    EXPECT_TRUE(reports.empty());
    lab.advance(2min);
    EXPECT_EQ(reports.size(), 1u);
    lab.settings.warn_delays = {3h};
    lab.queue->configure(lab.settings);
    lab.advance(2h);
    EXPECT_EQ(reports.size(), 1u) << "it was warned once";
    lab.accept(to_one());
    lab.settings.warn_delays = {};
    lab.queue->configure(lab.settings);
    lab.advance(6h);
    EXPECT_EQ(reports.size(), 1u);
}

TEST_F(Waiting, AfterARestartMailIsTriedBeforeAnybodyIsTold) {
    lab.accept(to_one());
    lab.advance(3h);
    lab.die();
    lab.time.advance(6h);
    answer = delivered();
    lab.start();
    lab.advance(1h);
    EXPECT_TRUE(reports.empty());
    EXPECT_TRUE(lab.show_queue().empty());
}

TEST_F(Waiting, ARestartRepeatsNothing) {
    lab.accept(to_one());
    lab.advance(5h);
    EXPECT_EQ(reports.size(), 1u);
    lab.die();
    lab.start();
    lab.advance(5h);
    EXPECT_EQ(reports.size(), 1u);
    lab.stop();
    lab.start();
    lab.advance(5h);
    EXPECT_EQ(reports.size(), 1u);
}

// Whenever the machine stops: the sender is told once.
TEST(Notice, OfADelayOverACrash) {
    size_t stops = 0;
    for (uint64_t step = 1;; ++step) {
        SCOPED_TRACE(step);
        QueueLab lab;
        lab.settings.warn_delays = {1h};
        lab.queue->configure(lab.settings);
        size_t reports = 0;
        lab.relay = [](const Handed& handed) -> std::optional<ipc::RecipientOutcome> {
            return handed.deliver.reverse_path.empty() ? std::nullopt : std::optional(temporary());
        };
        lab.accept("a@from.example", {"b@dest.example"});
        lab.advance(1h - 1s);
        lab.files.stop_at_step = lab.files.steps() + step;
        lab.advance(2s);
        lab.advance(10s);
        const bool stopped = lab.files.stopped();
        stops += stopped;
        lab.lose_power(step);
        lab.relay = [&](const Handed& handed) {
            reports += handed.deliver.reverse_path.empty();
            return handed.deliver.reverse_path.empty() ? delivered() : temporary();
        };
        lab.files.stop_at_step = 0;
        lab.start();
        lab.advance(3h);
        EXPECT_EQ(reports, 1u);
        lab.lose_power(step + 1);
        lab.start();
        lab.advance(3h);
        EXPECT_EQ(reports, 1u);
        if (!stopped || ::testing::Test::HasFailure())
            break;
    }
    EXPECT_GE(stops, 2u) << "the test has stopped nowhere";
}

// -- BY (RFC 2852).

TEST_F(Waiting, GivenUpAtTheTimeItWasWantedBy) {
    lab.accept(by(1000, true));
    lab.advance(999s);
    const size_t before = attempts;
    EXPECT_GE(before, 2u);
    EXPECT_TRUE(reports.empty());
    lab.advance(1s);
    EXPECT_EQ(attempts, before) << "none is begun any more";
    ASSERT_EQ(reports.size(), 1u);
    for (const char* text : {"Action: failed", "Status: 5.4.7", "delivery time expired", "451"})
        EXPECT_TRUE(last_report_has(text)) << text;
    EXPECT_TRUE(lab.show_queue().empty());
    EXPECT_EQ(lab.counters["queue.expired"], 1u);
}

TEST_F(Waiting, GivenUpWithoutAWordWhereNobodyWantsOne) {
    ipc::Envelope envelope = by(1000, true);
    envelope.options.push_back({0, {notify::never, ""}});
    lab.accept(std::move(envelope));
    lab.advance(1001s);
    EXPECT_TRUE(reports.empty());
    EXPECT_TRUE(lab.show_queue().empty());
    EXPECT_EQ(lab.times_logged("delivery time expired"), 1u);
    EXPECT_EQ(lab.spool->statistics().messages, 0u);
}

TEST_F(Waiting, GivenUpWhereverItWaits) {
    // At a destination that is paused, untried.
    ipc::Pause pause;
    lab.ask<ipc::Done>(pause);
    lab.accept(by(60, true));
    lab.advance(61s);
    EXPECT_EQ(attempts, 0u);
    EXPECT_EQ(lab.counters["queue.expired"], 1u);
    ASSERT_EQ(lab.show_queue().size(), 1u);
    EXPECT_EQ(lab.show_queue()[0].recipient, "a@from.example");
    pause.paused = false;
    lab.ask<ipc::Done>(pause);
    EXPECT_TRUE(last_report_has("Status: 5.4.7"));
    EXPECT_TRUE(lab.show_queue().empty());
    // While lookup is asked about it.
    lab.lookup_silent = true;
    lab.accept(by(30, true));
    lab.advance(31s);
    lab.lookup_silent = false;
    lab.run();
    EXPECT_EQ(attempts, 0u);
    EXPECT_EQ(lab.counters["queue.expired"], 2u);
    EXPECT_TRUE(lab.show_queue().empty());
    // Held for later than that; and late already when it comes.
    ipc::Envelope held = by(60, true);
    held.release_at = lab.time.wall_seconds() + 3600;
    lab.accept(std::move(held));
    lab.accept(by(-5, true));
    EXPECT_EQ(lab.counters["queue.expired"], 3u);
    lab.advance(61s);
    EXPECT_EQ(lab.counters["queue.expired"], 4u);
    EXPECT_EQ(attempts, 0u);
    EXPECT_EQ(reports.size(), 4u);
    EXPECT_TRUE(lab.show_queue().empty());
}

TEST_F(Waiting, AnAttemptUnderWayIsLeftToFinish) {
    for (bool in_time : {true, false}) {
        SCOPED_TRACE(in_time);
        answer.reset();
        lab.accept(by(60, true));
        lab.advance(70s);
        EXPECT_EQ(lab.show_queue().size(), 1u);
        Handed& handed = lab.handed(lab.handed_count() - 1);
        lab.answer(handed, in_time ? delivered() : temporary());
        lab.run();
        EXPECT_TRUE(lab.show_queue().empty());
        EXPECT_EQ(reports.size(), in_time ? 0u : 1u);
    }
    EXPECT_TRUE(last_report_has("Status: 5.4.7"));
}

TEST_F(Waiting, OverARestartTheTimeStaysTheSame) {
    lab.accept(by(1000, true));
    lab.advance(400s);
    lab.die();
    lab.time.advance(1h);
    const size_t before = attempts;
    lab.start();
    EXPECT_EQ(attempts, before);
    ASSERT_EQ(reports.size(), 1u);
    EXPECT_TRUE(last_report_has("Status: 5.4.7"));
}

TEST_F(Waiting, TheNextHopIsToldWhatIsLeft) {
    lab.accept(by(1000, false));
    EXPECT_EQ(lab.handed(0).deliver.parameters.deliver_by->seconds, 1000);
    lab.advance(301s);
    ASSERT_EQ(lab.handed_count(), 2u);
    const int64_t left = lab.handed(1).deliver.parameters.deliver_by->seconds;
    EXPECT_GE(left, 699);
    EXPECT_LE(left, 760);
    lab.advance(3h);
    EXPECT_LT(lab.handed(lab.handed_count() - 1).deliver.parameters.deliver_by->seconds, 0);
}

TEST_F(Waiting, ALateMessageIsReportedAndGoesOn) {
    lab.accept(by(1000, false));
    lab.advance(1000s);
    ASSERT_EQ(reports.size(), 1u);
    for (const char* text : {"Action: delayed", "Status: 4.4.7", "within the time", "451 4.3.0"})
        EXPECT_TRUE(last_report_has(text)) << text << " in\n" << reports.back();
    lab.advance(3h);
    EXPECT_EQ(reports.size(), 1u);
    lab.die();
    lab.start();
    lab.advance(1h);
    ASSERT_EQ(reports.size(), 2u) << "after four hours the ordinary warning";
    EXPECT_TRUE(last_report_has("Status: 4.3.0"));
    answer = delivered();
    lab.advance(2h);
    EXPECT_TRUE(lab.show_queue().empty());
    EXPECT_EQ(reports.size(), 2u);
}

// RFC 2852 4.1.4: of relaying to a next hop that does not keep to BY, or, with a trace, to any.
// Whoever wants no report gets none.
TEST(Report, OfRelayingByNotifyAndNextHop) {
    using ipc::Handover;
    const std::optional<DeliverBy> none, in_time{{600, false, false}}, traced{{600, false, true}},
        at_all{{600, true, false}}, at_all_traced{{600, true, true}};
    // For each next hop, without and with DELIVERBY, what the sender is told: with each NOTIFY of
    // - (nothing said), N(EVER), S(UCCESS), F(AILURE), D(ELAY), A(LL three).
    struct Row {
        const char* what;
        std::optional<DeliverBy> by;
        Handover handover;
        const char* without; // DELIVERBY
        const char* with;
    };
    const Row rows[] = {
        {"into a mailbox", none, Handover::delivered, "SA", "SA"},
        {"no DSN", none, Handover::relayed, "SA", "SA"},
        {"DSN", none, Handover::relayed_aware, "", ""},
        {"in time, into a mailbox", in_time, Handover::delivered, "SA", "SA"},
        {"in time, no DSN", in_time, Handover::relayed, "-SFDA", "SA"},
        {"in time, DSN", in_time, Handover::relayed_aware, "-SFDA", ""},
        {"traced, into a mailbox", traced, Handover::delivered, "SA", "SA"},
        {"traced, no DSN", traced, Handover::relayed, "-SFDA", "-SFDA"},
        {"traced, DSN", traced, Handover::relayed_aware, "-SFDA", "-SFDA"},
        // Mode R is relayed only where DELIVERBY is offered.
        {"or never, into a mailbox", at_all, Handover::delivered, "SA", "SA"},
        {"or never, no DSN", at_all, Handover::relayed, nullptr, "SA"},
        {"or never, DSN", at_all, Handover::relayed_aware, nullptr, ""},
        {"or never, traced, no DSN", at_all_traced, Handover::relayed, nullptr, "-SFDA"},
        {"or never, traced, DSN", at_all_traced, Handover::relayed_aware, nullptr, "-SFDA"},
    };
    const std::pair<char, Notify> wishes[] = {
        {'-', notify::unspecified}, {'N', notify::never},
        {'S', notify::success},     {'F', notify::failure},
        {'D', notify::delay},       {'A', notify::success | notify::failure | notify::delay},
    };
    for (const Row& row : rows) {
        SCOPED_TRACE(row.what);
        ipc::Envelope envelope;
        envelope.reverse_path = "a@from.example";
        envelope.recipients = {"b@dest.example"};
        envelope.parameters.deliver_by = row.by;
        for (bool deliver_by : {false, true}) {
            const char* expected = deliver_by ? row.with : row.without;
            if (!expected)
                continue;
            ipc::RecipientOutcome outcome = delivered(row.handover);
            outcome.deliver_by = deliver_by;
            const DeliveryAction action = row.handover == Handover::delivered
                                              ? DeliveryAction::delivered
                                              : DeliveryAction::relayed;
            std::string told;
            for (const auto& [letter, notify] : wishes) {
                envelope.options = {{0, {notify, ""}}};
                const auto said = success_to_report(envelope, 0, outcome);
                EXPECT_EQ(said.value_or(action), action);
                if (said)
                    told += letter;
            }
            EXPECT_EQ(told, expected) << (deliver_by ? "with" : "without");
            envelope.reverse_path.clear();
            EXPECT_FALSE(success_to_report(envelope, 0, outcome));
            envelope.reverse_path = "a@from.example";
        }
    }
}

TEST_F(Waiting, WhereNobodyWatchesTheTimeTheSenderIsTold) {
    for (bool deliver_by : {false, true}) {
        reports.clear();
        answer = delivered(ipc::Handover::relayed_aware);
        answer->deliver_by = deliver_by;
        lab.accept(by(1000, false));
        EXPECT_EQ(reports.size(), deliver_by ? 0u : 1u);
        EXPECT_EQ(last_report_has("Action: relayed"), !deliver_by);
        EXPECT_TRUE(lab.show_queue().empty());
    }
}

} // namespace
} // namespace postern::test
