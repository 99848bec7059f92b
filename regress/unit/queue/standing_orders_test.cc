// What operators want of mail that waits and of mail to come.
#include <algorithm>

#include "queue/orders_file.h"
#include "regress/unit/queue/queue_lab.h"

namespace postern::test {
namespace {

using ipc::ChangeKind;
using ipc::OrderKind;
using ipc::RecipientState;

ipc::GiveOrder suspend(const std::string& sender, const std::string& recipient = "",
                       const std::string& next_hop = "") {
    ipc::GiveOrder question;
    question.order.sender = sender;
    question.order.recipient = recipient;
    question.order.next_hop = next_hop;
    return question;
}

ipc::GiveOrder reroute(const std::string& recipient, const std::string& host) {
    ipc::GiveOrder question = suspend("", recipient);
    question.order.kind = OrderKind::reroute;
    question.order.host.emplace().host = host;
    return question;
}

class OrderLab : public QueueLab {
  public:
    OrderLab() {
        relay = [](const Handed&) { return delivered(); };
    }
    uint32_t give(ipc::GiveOrder question) {
        const auto list = ask<ipc::OrderList>(std::move(question));
        EXPECT_EQ(list.orders.size(), 1u);
        return list.orders.empty() ? 0 : list.orders[0].number;
    }
    bool end(uint32_t number) {
        ipc::EndOrder question;
        question.number = number;
        return ask<ipc::Done>(question).ok;
    }
    uint32_t release(uint32_t order) {
        ipc::Change change;
        change.kind = ChangeKind::release;
        change.filter.order = order;
        return ask<ipc::Changed>(change).affected;
    }
    std::vector<ipc::StandingOrder> orders() {
        return ask<ipc::OrderList>(ipc::OrderQuery()).orders;
    }
    // What waits, as "recipient" or "recipient (held)".
    std::vector<std::string> waiting() {
        std::vector<std::string> result;
        for (const auto& entry : show_queue())
            result.push_back(entry.recipient +
                             (entry.state == RecipientState::held ? " (held)" : ""));
        return result;
    }
};
using Strings = std::vector<std::string>;

TEST(StandingOrders, MailToComeIsHeldUntilTheOrderEnds) {
    OrderLab lab;
    ipc::GiveOrder order = suspend("", "*@dest.example");
    order.order.reason = "their server is being moved";
    const uint32_t number = lab.give(order);
    lab.accept("a@from.example", {"b@dest.example", "c@other.example"});
    lab.run();
    EXPECT_EQ(lab.waiting(), Strings{"b@dest.example (held)"});
    EXPECT_EQ(lab.show_queue()[0].last_error,
              "4.3.0 suspended by the postmaster (order 1): their server is being moved");
    EXPECT_EQ(lab.show_queue()[0].next_attempt, 0);
    // It neither goes nor expires, and nobody is warned.
    for (int i = 0; i < 72; ++i)
        lab.advance(1h);
    EXPECT_EQ(lab.counters["queue.notices"], 0u);
    EXPECT_EQ(lab.waiting().size(), 1u);
    EXPECT_TRUE(lab.end(number));
    EXPECT_EQ(lab.release(number), 1u);
    lab.run();
    EXPECT_EQ(lab.waiting(), Strings{});
    EXPECT_FALSE(lab.end(number));
}

TEST(StandingOrders, WhatIsMeant) {
    struct Case {
        const char* what;
        ipc::GiveOrder order;
        std::vector<std::string> held; // of a@one→x@dest, <>→x@dest, a@one→y@other
    };
    const Case cases[] = {
        {"a sender", suspend("A@one.example"), {"x@dest.example (held)", "y@other.example (held)"}},
        {"the null reverse-path", suspend("<>"), {"x@dest.example (held)"}},
        {"a recipient", suspend("", "x@*"), {"x@dest.example (held)", "x@dest.example (held)"}},
        {"a next hop", suspend("", "", "other.*"), {"y@other.example (held)"}},
        {"all of it", suspend("*@one.example", "x@*", "dest.example"), {"x@dest.example (held)"}},
        {"nothing", suspend("*@two.example"), {}},
        {"everything",
         suspend("*"),
         {"x@dest.example (held)", "x@dest.example (held)", "y@other.example (held)"}},
    };
    for (const Case& one : cases) {
        SCOPED_TRACE(one.what);
        OrderLab lab;
        lab.give(one.order);
        lab.accept("a@one.example", {"x@dest.example"});
        lab.accept("", {"x@dest.example"});
        lab.accept("a@one.example", {"y@other.example"});
        lab.run();
        EXPECT_EQ(lab.waiting(), one.held);
    }
}

TEST(StandingOrders, MailThatWaitsAtItsDestinationIsReached) {
    OrderLab lab;
    lab.relay = nullptr; // two are out, and four wait behind them
    for (int i = 0; i < 6; ++i)
        lab.accept("a@from.example", {"r" + std::to_string(i) + "@dest.example"});
    lab.run();
    ASSERT_EQ(lab.handed_count(), 2u);
    lab.give(suspend("", "*@dest.example"));
    lab.run();
    const Strings waiting = lab.waiting();
    EXPECT_EQ(std::count_if(waiting.begin(), waiting.end(),
                            [](const auto& one) { return one.ends_with("(held)"); }),
              4);
    // What is out and comes back waits for its time, and is held then.
    lab.answer(lab.handed(0), temporary());
    lab.answer(lab.handed(1), delivered());
    lab.run();
    EXPECT_EQ(lab.waiting().size(), 5u);
    lab.advance(1h);
    EXPECT_EQ(lab.handed_count(), 2u);
    for (const std::string& one : lab.waiting())
        EXPECT_TRUE(one.ends_with("(held)")) << one;
}

TEST(StandingOrders, ASuspensionEndsAtItsTime) {
    OrderLab lab;
    ipc::GiveOrder order = suspend("", "*@dest.example");
    order.order.until = lab.time.wall_seconds() + 7200;
    lab.give(order);
    lab.accept("a@from.example", {"b@dest.example"});
    lab.advance(7190s);
    EXPECT_EQ(lab.waiting(), Strings{"b@dest.example (held)"});
    EXPECT_EQ(lab.show_queue()[0].next_attempt, order.order.until);
    lab.advance(12s);
    EXPECT_EQ(lab.waiting(), Strings{});
    EXPECT_TRUE(lab.orders().empty());
    lab.accept("a@from.example", {"c@dest.example"});
    lab.run();
    EXPECT_EQ(lab.waiting(), Strings{});
}

TEST(StandingOrders, WhatIsReleasedByItsNameGoes) {
    OrderLab lab;
    lab.give(suspend("", "*@dest.example"));
    const uint64_t first = lab.accept("a@from.example", {"b@dest.example"});
    lab.accept("a@from.example", {"c@dest.example"});
    lab.run();
    ipc::Change change;
    change.kind = ChangeKind::release;
    EXPECT_EQ(lab.ask<ipc::Changed>(change).affected, 2u);
    lab.run();
    EXPECT_EQ(lab.waiting().size(), 2u) << "the order stands";
    change.message = first;
    EXPECT_EQ(lab.ask<ipc::Changed>(change).affected, 1u);
    lab.run();
    EXPECT_EQ(lab.waiting(), Strings{"c@dest.example (held)"});
}

// Whatever keeps it from going at the first try.
TEST(StandingOrders, WhatIsReleasedByItsNameStaysSo) {
    OrderLab lab;
    lab.give(suspend("", "*@dest.example"));
    ipc::Change change;
    change.kind = ChangeKind::release;
    change.message = lab.accept("a@from.example", {"b@dest.example"});
    lab.run();
    lab.relay = [](const Handed&) { return temporary("451 4.7.1 greylisted"); };
    EXPECT_EQ(lab.ask<ipc::Changed>(change).affected, 1u);
    lab.run();
    ASSERT_EQ(lab.handed_count(), 1u);
    lab.queue->orders_changed();
    lab.relay = [](const Handed&) { return delivered(); };
    lab.advance(1h);
    EXPECT_EQ(lab.waiting(), Strings{});
}

// `via` is about other hosts: mailboxes here are not meant by any of its patterns.
TEST(StandingOrders, ViaMeansNoMailboxes) {
    OrderLab lab;
    lab.route = [](const ipc::RouteQuery& query) {
        ipc::RouteAnswer answer = to_exchanger(query);
        answer.route.kind = ActionKind::maildir;
        return answer;
    };
    lab.give(suspend("", "", "*"));
    lab.accept("a@from.example", {"b@dest.example"});
    lab.run();
    EXPECT_EQ(lab.waiting(), Strings{});
}

// Nor does a client's ETRN, or an operator in a hurry, move it.
TEST(StandingOrders, WhatWaitsForItsTimeIsNotTriedBefore) {
    OrderLab lab;
    lab.relay = [](const Handed&) { return temporary(); };
    const uint64_t id = lab.accept("a@from.example", {"b@dest.example"});
    lab.run();
    ASSERT_EQ(lab.handed_count(), 1u);
    lab.give(suspend("", "*@dest.example"));
    ipc::Change change;
    change.message = id;
    EXPECT_EQ(lab.ask<ipc::Changed>(change).affected, 1u);
    lab.run();
    EXPECT_EQ(lab.handed_count(), 1u);
    EXPECT_EQ(lab.waiting(), Strings{"b@dest.example (held)"});
}

TEST(StandingOrders, MailIsSentElsewhere) {
    OrderLab lab;
    lab.relay = nullptr;
    lab.accept("a@from.example", {"before@dest.example"});
    for (int i = 0; i < 3; ++i)
        lab.accept("a@from.example", {"waits" + std::to_string(i) + "@dest.example"});
    lab.run();
    ASSERT_EQ(lab.handed_count(), 2u);
    const uint32_t number = lab.give(reroute("*@dest.example", "backup.example"));
    lab.run();
    EXPECT_EQ(lab.handed_count(), 4u) << "another destination has slots of its own";
    EXPECT_FALSE(lab.handed(1).deliver.route.host);
    ASSERT_TRUE(lab.handed(2).deliver.route.host);
    EXPECT_EQ(lab.handed(2).deliver.route.host->host, "backup.example");
    EXPECT_EQ(lab.handed(2).deliver.route.domain, "");
    EXPECT_TRUE(lab.end(number));
    lab.accept("a@from.example", {"after@third.example"});
    lab.run();
    EXPECT_FALSE(lab.handed(4).deliver.route.host);
}

TEST(StandingOrders, WhatTheRulesRefuseGoesNowhereElse) {
    OrderLab lab;
    lab.give(reroute("*", "backup.example"));
    lab.route = [](const ipc::RouteQuery& query) {
        return verdict(query, ipc::RouteVerdict::no_rule);
    };
    lab.accept("a@from.example", {"b@dest.example"});
    lab.run();
    EXPECT_EQ(lab.handed_count(), 0u);
}

TEST(StandingOrders, OneMessage) {
    OrderLab lab;
    lab.relay = [](const Handed&) { return temporary(); };
    const uint64_t id = lab.accept("a@from.example", {"b@dest.example"});
    lab.accept("a@from.example", {"c@dest.example"});
    lab.run();
    ipc::GiveOrder order = reroute("", "backup.example");
    order.order.message = id;
    lab.give(order);
    lab.advance(1h);
    ASSERT_GE(lab.handed_count(), 4u);
    for (size_t i = 2; i < lab.handed_count(); ++i)
        EXPECT_EQ(lab.handed(i).deliver.route.host.has_value(),
                  lab.handed(i).recipients()[0] == "b@dest.example");
}

TEST(StandingOrders, TheyOutliveTheProcessAndTheMachine) {
    OrderLab lab;
    const uint32_t ended = lab.give(suspend("first@*"));
    EXPECT_TRUE(lab.end(ended));
    ipc::GiveOrder order = reroute("*@dest.example", "backup.example");
    order.order.reason = "their exchanger is down";
    const uint32_t number = lab.give(order);
    EXPECT_GT(number, ended);
    for (uint64_t seed = 0; seed < 20; ++seed) {
        lab.lose_power(seed);
        lab.start();
        const auto orders = lab.orders();
        ASSERT_EQ(orders.size(), 1u);
        EXPECT_EQ(orders[0].number, number);
        EXPECT_EQ(orders[0].host->host, "backup.example");
        EXPECT_EQ(orders[0].reason, "their exchanger is down");
    }
}

// Whatever the moment at which the machine stops: there are the orders from before, or the new one
// as well.
TEST(StandingOrders, ACrashLeavesTheFormerOnesOrTheNewOnes) {
    const auto saved = [](uint32_t orders) {
        SavedOrders result;
        result.next_number = 1 + orders;
        for (uint32_t i = 0; i < orders; ++i)
            result.orders.emplace_back().reason = std::string(i * 600, 'x');
        return result;
    };
    for (uint64_t step = 1; step <= 8; ++step)
        for (uint64_t seed = 0; seed < 30; ++seed) {
            SimulatedFileSystem files(seed);
            ASSERT_TRUE(files.make_directory("corrupt"));
            ASSERT_TRUE(write_orders(files, saved(1)));
            files.stop_at_step = files.steps() + step;
            const bool written = write_orders(files, saved(3)).ok();
            files.crash(seed * 31 + step);
            files.stop_at_step = 0;
            const Result<SavedOrders> read = read_orders(files);
            ASSERT_TRUE(read) << "step " << step << " seed " << seed;
            EXPECT_TRUE(read->orders.size() == 3 || (!written && read->orders.size() == 1))
                << "step " << step << " seed " << seed;
            ASSERT_TRUE(write_orders(files, saved(2))) << "what is left over is in nobody's way";
        }
}

TEST(StandingOrders, DamagedOnesAreSetAside) {
    OrderLab lab;
    lab.give(suspend("", "*@dest.example"));
    lab.stop();
    ASSERT_TRUE(lab.files.flip_bit("orders", 99));
    lab.start();
    EXPECT_TRUE(lab.orders().empty());
    EXPECT_EQ(lab.times_logged("the operators' orders are damaged"), 1u);
    EXPECT_FALSE(lab.files.contents("corrupt/orders").empty());
    const uint32_t number = lab.give(suspend("", "*@other.example"));
    EXPECT_EQ(lab.orders().size(), 1u);
    EXPECT_GT(number, 1'000'000u) << "none that was given before";
}

TEST(StandingOrders, TheyAreNotOverwrittenWhileTheyCannotBeRead) {
    SimulatedFileSystem files(1);
    ASSERT_TRUE(write_orders(files, {1, 8, {{}}}));
    files.read_error = EIO;
    StandingOrders orders(files);
    files.read_error = 0;
    EXPECT_TRUE(orders.unread().has_value());
    EXPECT_TRUE(orders.standing(1).empty());
    EXPECT_FALSE(orders.give({}, 1));
    EXPECT_EQ(StandingOrders(files).standing(1).size(), 1u);
}

TEST(StandingOrders, TheyHaveBounds) {
    OrderLab lab;
    ipc::GiveOrder wrong[] = {
        suspend(std::string(400, 'x')),         suspend("", std::string(400, 'x')),
        suspend("", "", std::string(400, 'x')), reroute("", ""),
        reroute("", std::string(400, 'x')),     suspend("a")};
    wrong[3].order.host.reset();
    wrong[5].order.host.emplace();
    for (const ipc::GiveOrder& order : wrong)
        EXPECT_FALSE(lab.ask<ipc::Done>(order).ok);
    ipc::GiveOrder largest = reroute(std::string(320, '*'), std::string(320, 'h'));
    largest.order.sender = largest.order.next_hop = std::string(320, '*');
    largest.order.reason = std::string(10'000, 'r');
    for (size_t i = 0; i < StandingOrders::most; ++i)
        lab.give(largest);
    EXPECT_EQ(lab.orders().size(), StandingOrders::most);
    EXPECT_FALSE(lab.ask<ipc::Done>(largest).ok);
    lab.stop();
    lab.start();
    EXPECT_EQ(lab.orders().size(), StandingOrders::most);
}

TEST(StandingOrders, AFullDiskIsSaid) {
    OrderLab lab;
    lab.run();
    lab.files.write_failure = 1;
    EXPECT_FALSE(lab.ask<ipc::Done>(suspend("a@*")).ok);
    lab.files.write_failure = 0;
    EXPECT_TRUE(lab.orders().empty());
    lab.give(suspend("a@*"));
    EXPECT_EQ(lab.orders().size(), 1u);
}

} // namespace
} // namespace postern::test
