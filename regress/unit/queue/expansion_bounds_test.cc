// Large lists, many of them, and a disk that does not keep up: what is bounded, and goes on.
#include "regress/unit/queue/expansion_helpers.h"

namespace postern::test {
namespace {

TEST(ExpansionBounds, AMessageHasAThousandRecipientsAtMost) {
    QueueLab lab;
    std::vector<ExpandedRecipient> others;
    for (int i = 0; i < 2500; ++i)
        others.push_back(to("x" + std::to_string(i) + "@one.example"));
    lab.route = with_list(others);
    lab.relay = [](const Handed&) { return delivered(); };
    lab.accept("a@from.example", {"list@here.example"});
    lab.advance(1s);
    EXPECT_EQ(all_handed(lab).size(), 2500u);
    EXPECT_EQ(lab.counters["queue.expanded.messages"], 3u);
    EXPECT_TRUE(lab.show_queue().empty());
}

// What does not fit into memory at once is asked for again, the rest goes on.
TEST(ExpansionBounds, ManyLargeListsComeOneAfterTheOther) {
    SimulatedTime time;
    MailTable table;
    std::vector<RoutedRecipient> got;
    Router router(
        time, table,
        {[&](Job&, std::vector<RoutedRecipient> routed) { got = std::move(routed); }, [](Job&) {}});
    std::vector<ipc::RouteQuery> asked;
    router.connect([&](ipc::RouteQuery query) { asked.push_back(std::move(query)); });
    StoredMessage message;
    for (int i = 0; i < 60; ++i)
        message.envelope.recipients.push_back("list" + std::to_string(i) + "@here.example");
    QueuedMessage& queued = table.add(1, encode(message), message, 10);
    const auto expanded_of_one = [&] {
        Job& job = table.make_job(queued);
        for (uint32_t i = 0; i < queued.count; ++i)
            MailTable::add_to(job, i);
        router.route(job);
        for (const ipc::RouteQuery& query : std::exchange(asked, {})) {
            ipc::RouteAnswer answer = verdict(query, ipc::RouteVerdict::expanded);
            answer.expanded =
                std::vector<ExpandedRecipient>(ipc::expansion_limit, to("x@y.example"));
            EXPECT_TRUE(router.answer(std::move(answer)));
        }
        table.drop(job);
        return std::count_if(got.begin(), got.end(), [](const RoutedRecipient& one) {
            return one.verdict == ipc::RouteVerdict::expanded &&
                   one.expanded.size() == ipc::expansion_limit;
        });
    };
    EXPECT_EQ(expanded_of_one(), 50);
    EXPECT_EQ(std::count_if(got.begin(), got.end(),
                            [](const RoutedRecipient& one) {
                                return one.verdict == ipc::RouteVerdict::temporary;
                            }),
              10);
    EXPECT_EQ(expanded_of_one(), 50) << "what was given back does not count";
}

TEST(ExpansionBounds, NothingMoreIsAskedWhileLongAnswersAreKept) {
    SimulatedTime time;
    MailTable table;
    Router router(time, table, {[](Job&, const std::vector<RoutedRecipient>&) {}, [](Job&) {}});
    std::vector<ipc::RouteQuery> asked;
    router.connect([&](ipc::RouteQuery query) { asked.push_back(std::move(query)); });
    StoredMessage message;
    for (int i = 0; i < 12; ++i)
        message.envelope.recipients.push_back("list" + std::to_string(i) + "@here.example");
    QueuedMessage& queued = table.add(1, encode(message), message, 10);
    Job& job = table.make_job(queued);
    for (uint32_t i = 0; i < queued.count; ++i)
        MailTable::add_to(job, i);
    router.route(job);
    ASSERT_EQ(asked.size(), 12u);
    for (size_t i = 0; i < asked.size(); ++i) {
        EXPECT_EQ(router.room() == 0, i >= 10) << i;
        ipc::RouteAnswer answer = verdict(asked[i], ipc::RouteVerdict::expanded);
        answer.expanded = std::vector<ExpandedRecipient>(ipc::expansion_limit, to("x@y.example"));
        EXPECT_TRUE(router.answer(std::move(answer)));
    }
    EXPECT_EQ(router.room(), ipc::routing_credit);
    table.drop(job);
}

TEST(ExpansionBounds, NothingMoreIsRoutedWhileManyWaitForTheDisk) {
    QueueLab lab;
    std::vector<ipc::RouteQuery> asked;
    lab.queue->routing().connect([&](ipc::RouteQuery query) { asked.push_back(std::move(query)); });
    for (int i = 0; i < 50; ++i)
        lab.accept("a@from.example", {"list@here.example"});
    ipc::Envelope later;
    later.reverse_path = "a@from.example";
    later.recipients = {"b@here.example"};
    later.release_at = lab.time.wall_seconds() + 10;
    lab.accept(later);
    ASSERT_EQ(asked.size(), 50u);
    for (const ipc::RouteQuery& query : std::exchange(asked, {})) {
        ipc::RouteAnswer answer = verdict(query, ipc::RouteVerdict::expanded);
        answer.expanded = std::vector<ExpandedRecipient>(ipc::expansion_limit, to("x@y.example"));
        EXPECT_TRUE(lab.queue->routing().answer(std::move(answer)));
        lab.time.run(); // without the disk's answers
    }
    lab.time.advance(11s);
    EXPECT_TRUE(asked.empty());
    lab.advance(1s);
    EXPECT_FALSE(asked.empty()) << "the disk has them";
}

// Those whose answers come when there is no room for them stay due.
TEST(ExpansionBounds, WhatIsAnsweredWhileManyWaitIsAskedForAgain) {
    QueueLab lab;
    std::vector<ipc::RouteQuery> asked;
    lab.queue->routing().connect([&](ipc::RouteQuery query) { asked.push_back(std::move(query)); });
    const auto answer_lists = [&] {
        size_t lists = 0;
        for (const ipc::RouteQuery& query : std::exchange(asked, {})) {
            if (query.recipient != "list@here.example")
                continue;
            ++lists;
            ipc::RouteAnswer answer = verdict(query, ipc::RouteVerdict::expanded);
            answer.expanded =
                std::vector<ExpandedRecipient>(ipc::expansion_limit, to("x@y.example"));
            EXPECT_TRUE(lab.queue->routing().answer(std::move(answer)));
            lab.time.run(); // without the disk's answers
        }
        return lists;
    };
    for (int i = 0; i < 60; ++i)
        lab.accept("a@from.example", {"list@here.example"});
    EXPECT_EQ(answer_lists(), 60u);
    EXPECT_TRUE(asked.empty());
    EXPECT_EQ(lab.queue->table().recipients(Stage::reporting), 50u);
    EXPECT_EQ(lab.queue->table().recipients(Stage::waiting), 10u);
    lab.advance(1s);
    EXPECT_EQ(lab.counters["queue.expanded"], 50u);
    EXPECT_EQ(answer_lists(), 10u) << "and before those who are in the places of the others";
    lab.advance(1s);
    EXPECT_EQ(lab.counters["queue.expanded"], 60u);
}

TEST(ExpansionBounds, WhileTheDiskRefusesTheRecipientStays) {
    QueueLab lab;
    lab.lookup_silent = true;
    lab.route = with_list({to("x@one.example")});
    const uint64_t id = lab.accept("a@from.example", {"list@here.example"});
    lab.files.sync_failure = 1;
    lab.lookup_silent = false;
    lab.run();
    EXPECT_EQ(lab.handed_count(), 0u);
    ASSERT_EQ(lab.show_queue().size(), 1u);
    EXPECT_EQ(lab.show_queue()[0].message, id);
    EXPECT_GE(lab.times_logged("messages for an alias cannot be stored"), 1u);
    lab.files.sync_failure = 0;
    lab.advance(61s);
    ASSERT_EQ(lab.handed_count(), 1u);
    EXPECT_EQ(lab.show_queue().size(), 1u);
}

// What is tried again holds memory; so what comes after it waits elsewhere.
TEST(ExpansionBounds, WhileTheDiskRefusesNothingMoreIsBegun) {
    QueueLab lab;
    lab.route = with_list({to("x@one.example")});
    lab.lookup_silent = true;
    lab.accept("a@from.example", {"list@here.example"});
    lab.files.sync_failure = 1;
    lab.lookup_silent = false;
    lab.run();
    lab.files.sync_failure = 0;
    lab.advance(1s);
    const uint64_t second = lab.accept("b@from.example", {"list@here.example", "c@one.example"});
    ASSERT_EQ(all_handed(lab), (std::vector<std::string>{"b@from.example c@one.example"}))
        << "other mail goes on";
    lab.answer(lab.handed(0), delivered());
    lab.run();
    ASSERT_EQ(lab.show_queue().size(), 2u);
    EXPECT_EQ(lab.show_queue()[1].message, second);
    EXPECT_NE(lab.show_queue()[1].last_error.find("4.3.1"), std::string::npos);
    lab.relay = [](const Handed&) { return delivered(); };
    lab.advance(10min);
    EXPECT_TRUE(lab.show_queue().empty());
}

// The recipients that come from a message to `others`, each of whom stands for the others.
size_t grow(const StoredMessage& message, size_t others, const std::string& user) {
    size_t all = 0;
    for (const std::string& recipient : message.envelope.recipients) {
        if (recipient == user || !leads_back(message, others - 1, recipient).empty())
            continue;
        std::vector<ExpandedFrom> expanded(1);
        for (size_t i = 0; i < others; ++i)
            if (std::to_string(i) != recipient)
                expanded[0].recipients.push_back(to(std::to_string(i)));
        for (const auto& members : plan_children(message, expanded)) {
            const StoredMessage child = make_child(1, message, expanded, members, recipient);
            all += child.envelope.recipients.size() + grow(child, others, recipient);
        }
    }
    return all;
}

TEST(ExpansionBounds, WhatGrowsWithoutMeasureIsEnded) {
    for (size_t others : {2, 3, 5, 12, 100, 1000}) {
        StoredMessage message;
        message.envelope.recipients = {"0"};
        const size_t all = grow(message, others, "");
        EXPECT_LE(all, expansion_budget) << others;
        EXPECT_GE(all, others - 1) << others;
    }
    // What is long, and does not grow, is ended by its length.
    StoredMessage message;
    message.envelope.recipients = {"x"};
    for (uint32_t i = 0; i < generation_limit; ++i) {
        ASSERT_EQ(leads_back(message, 1, std::to_string(i)), "") << i;
        const std::vector<ExpandedFrom> expanded = {{0, {to("x")}}};
        message = make_child(1, message, expanded, plan_children(message, expanded)[0],
                             std::to_string(i));
    }
    EXPECT_NE(leads_back(message, 1, "last"), "");
}

// A large list, whose members have a few others in their place each.
TEST(ExpansionBounds, WhatIsSharedOutIsEnoughForLists) {
    StoredMessage message;
    message.envelope.recipients = {"list@here.example"};
    const std::vector<ExpandedFrom> list = {
        {0, std::vector<ExpandedRecipient>(ipc::expansion_limit, to("x@here.example"))}};
    const StoredMessage child =
        make_child(1, message, list, plan_children(message, list).front(), "");
    EXPECT_EQ(leads_back(child, 3, "x"), "");
}

TEST(ExpansionBounds, SmallAliasesShareAMessageAndLargeListsDoNot) {
    StoredMessage message;
    message.envelope.recipients = {"a@here.example", "b@here.example", "list@here.example"};
    const std::vector<ExpandedFrom> expanded = {
        {0, {to("x@one.example")}},
        {1, {to("y@one.example"), to("z@one.example")}},
        {2, std::vector<ExpandedRecipient>(500, to("m@one.example"))},
    };
    const auto children = plan_children(message, expanded, "");
    ASSERT_EQ(children.size(), 2u);
    const StoredMessage small = make_child(1, message, expanded, children[0], "");
    EXPECT_EQ(small.envelope.recipients,
              (std::vector<std::string>{"x@one.example", "y@one.example", "z@one.example"}));
    EXPECT_EQ(small.descent->budget, (expansion_budget - 2) / 2);
    const StoredMessage large = make_child(1, message, expanded, children[1], "");
    EXPECT_EQ(large.envelope.recipients.size(), 500u);
    EXPECT_EQ(large.descent->budget, (expansion_budget - 500) / 500);
}

} // namespace
} // namespace postern::test
