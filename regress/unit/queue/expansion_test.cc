// Recipients in whose place others are, by lookup's answer.
#include "regress/unit/queue/expansion_helpers.h"

namespace postern::test {
namespace {

TEST(Expansions, OthersGetTheMail) {
    QueueLab lab;
    lab.route = with_list({to("x@one.example"), to("y@two.example"),
                           to_target("list@here.example", TargetKind::command, "cat")});
    lab.accept("a@from.example", {"list@here.example", "b@dest.example"},
               "Subject: y\r\n\r\nwords\r\n");
    EXPECT_EQ(all_handed(lab), (std::vector<std::string>{"a@from.example b@dest.example",
                                                         "a@from.example list@here.example",
                                                         "a@from.example x@one.example",
                                                         "a@from.example y@two.example"}));
    for (Handed& handed : lab.all_handed) {
        EXPECT_EQ(handed.deliver.content.bytes, "Subject: y\r\n\r\nwords\r\n");
        const auto& target = handed.deliver.recipients[0].target;
        EXPECT_EQ(target.has_value(), handed.recipients()[0] == "list@here.example");
        if (target) {
            EXPECT_EQ(target->text, "cat");
        }
        lab.answer(handed, delivered());
    }
    lab.advance(1s);
    EXPECT_TRUE(lab.show_queue().empty());
    EXPECT_EQ(lab.times_logged("recipients=3"), 1u);
    EXPECT_EQ(lab.counters["queue.expanded"], 1u);
    EXPECT_EQ(lab.counters["queue.expanded.messages"], 1u);
}

TEST(Expansions, AUserIsNoTargetForADeliverer) {
    QueueLab lab;
    lab.route = [](const ipc::RouteQuery& query) {
        ipc::RouteAnswer answer = verdict(query, ipc::RouteVerdict::accepted);
        answer.route.kind = ActionKind::maildir;
        answer.route.action = "box";
        answer.route.user = "bob";
        if (query.target) {
            EXPECT_EQ(query.target->text, "bob");
            return answer;
        }
        answer = verdict(query, ipc::RouteVerdict::expanded);
        answer.expanded = {to_target("bob@here.example", TargetKind::user, "bob")};
        return answer;
    };
    lab.accept("a@from.example", {"list@here.example"});
    ASSERT_EQ(lab.handed_count(), 1u);
    EXPECT_EQ(lab.handed(0).deliver.route.user, "bob");
    EXPECT_FALSE(lab.handed(0).deliver.recipients[0].target);
}

TEST(Expansions, AnswersComeInParts) {
    QueueLab lab;
    lab.lookup_silent = true;
    lab.route = to_exchanger;
    std::vector<ipc::RouteQuery> asked;
    lab.queue->routing().connect([&](ipc::RouteQuery query) { asked.push_back(query); });
    lab.accept("a@from.example", {"list@here.example"});
    ASSERT_EQ(asked.size(), 1u);
    ipc::RouteAnswer part = verdict(asked[0], ipc::RouteVerdict::expanded);
    part.expanded = {to("x@one.example")};
    part.more = true;
    EXPECT_TRUE(lab.queue->routing().answer(part));
    lab.run();
    EXPECT_EQ(asked.size(), 1u);
    part.expanded = {to("y@one.example")};
    part.more = false;
    EXPECT_TRUE(lab.queue->routing().answer(part));
    lab.run();
    ASSERT_EQ(asked.size(), 3u);
    EXPECT_EQ(asked[2].recipient, "y@one.example");
    EXPECT_TRUE(asked[2].origin.internal);
}

TEST(Expansions, NoSaneLookupSaysThis) {
    ExpandedRecipient address_as_target = to_target("x@y.example", TargetKind::address, "x");
    const std::vector<ExpandedRecipient> cases[] = {
        {},
        {to("")},
        {to("x@y.example\r\n")},
        {address_as_target},
        {to_target("x@y.example", TargetKind::command, std::string(5000, 'x'))},
        std::vector<ExpandedRecipient>(ipc::expansion_limit + 1, to("x@y.example")),
    };
    for (const auto& others : cases) {
        QueueLab lab;
        lab.lookup_silent = true;
        std::vector<ipc::RouteQuery> asked;
        lab.queue->routing().connect([&](ipc::RouteQuery query) { asked.push_back(query); });
        lab.accept("a@from.example", {"list@here.example"});
        ASSERT_EQ(asked.size(), 1u);
        ipc::RouteAnswer answer = verdict(asked[0], ipc::RouteVerdict::expanded);
        answer.expanded = others;
        EXPECT_FALSE(lab.queue->routing().answer(answer));
    }
}

TEST(Expansions, LargeContentIsCopied) {
    QueueLab lab;
    lab.route = with_list({to("x@one.example"), to("y@two.example", "owner-list@here.example")});
    const std::string content = accept_large(lab, "list@here.example");
    ASSERT_EQ(lab.handed_count(), 2u);
    for (Handed& handed : lab.all_handed) {
        ASSERT_EQ(handed.deliver.file.size(), 1u);
        EXPECT_TRUE(content_of(handed.deliver) == content);
    }
    EXPECT_EQ(lab.show_queue().size(), 2u) << "those in its place alone";
}

// RFC 3461 5.2.7.
TEST(Expansions, WhatTheSenderWantsToHear) {
    struct {
        const char* about;
        std::vector<ExpandedRecipient> others;
        Notify notify;
        Notify passed_on;
        bool original_recipient;
        const char* reported; // an action; empty: nothing
    } const cases[] = {
        {"one other", {to("x@one.example")}, notify::success, notify::success, true, ""},
        {"one other, nothing said", {to("x@one.example")}, 0, 0, true, ""},
        {"several",
         {to("x@one.example"), to("y@one.example")},
         notify::success | notify::failure,
         notify::failure,
         true,
         "expanded"},
        {"several, success alone",
         {to("x@one.example"), to("y@one.example")},
         notify::success,
         notify::never,
         true,
         "expanded"},
        {"several, nothing said", {to("x@one.example"), to("y@one.example")}, 0, 0, true, ""},
        {"several, never",
         {to("x@one.example"), to("y@one.example")},
         notify::never,
         notify::never,
         true,
         ""},
        {"a list",
         {to("x@one.example", "owner-list@here.example")},
         notify::success | notify::failure,
         0,
         false,
         "delivered"},
        {"a list, and one beside it",
         {to("y@one.example"), to("x@one.example", "owner-list@here.example")},
         notify::success | notify::failure,
         notify::failure,
         true,
         "expanded"},
    };
    for (const auto& c : cases) {
        QueueLab lab;
        lab.route = with_list(c.others);
        ipc::Envelope envelope;
        envelope.reverse_path = "a@from.example";
        envelope.recipients = {"list@here.example"};
        envelope.parameters.envelope_id = "QQ";
        RecipientParameters parameters;
        parameters.notify = c.notify;
        if (!parameters.empty())
            envelope.options.push_back({0, parameters});
        lab.accept(envelope);
        lab.advance(1s);
        std::string report;
        for (const Handed& handed : lab.all_handed) {
            if (handed.deliver.reverse_path.empty()) {
                report = handed.deliver.content.bytes;
                continue;
            }
            const RecipientParameters& got = handed.deliver.recipients[0].parameters;
            if (c.original_recipient && handed.deliver.reverse_path != "a@from.example") {
                EXPECT_TRUE(got.empty()) << c.about; // a member of the list
                continue;
            }
            EXPECT_EQ(got.notify, c.passed_on) << c.about;
            EXPECT_EQ(got.original_recipient,
                      c.original_recipient ? "rfc822;list@here.example" : "")
                << c.about;
            EXPECT_EQ(handed.deliver.parameters.envelope_id, c.original_recipient ? "QQ" : "")
                << c.about;
        }
        const size_t action = report.find("Action: ");
        EXPECT_EQ(action == std::string::npos
                      ? ""
                      : report.substr(action + 8, report.find('\r', action) - action - 8),
                  c.reported)
            << c.about;
    }
}

// RFC 4865: held for longer than mail may wait for its delivery.
TEST(Expansions, HeldMailIsNotExpiredWhenItIsExpanded) {
    QueueLab lab;
    lab.route = with_list({to("x@one.example"), to("y@one.example", "owner-list@here.example")});
    ipc::Envelope envelope;
    envelope.reverse_path = "a@from.example";
    envelope.recipients = {"list@here.example"};
    envelope.release_at = lab.time.wall_seconds() + 3 * 86400;
    lab.accept(envelope);
    EXPECT_EQ(lab.handed_count(), 0u);
    lab.relay = [](const Handed&) { return temporary(); };
    lab.advance(3 * 24h + 1min);
    EXPECT_EQ(all_handed(lab), (std::vector<std::string>{"a@from.example x@one.example",
                                                         "owner-list@here.example y@one.example"}));
    EXPECT_EQ(lab.show_queue().size(), 2u);
}

TEST(Expansions, OldMailWarnsNobodyTwice) {
    QueueLab lab;
    lab.settings.warn_delays = {4h, 8h};
    lab.queue->configure(lab.settings);
    lab.route = [](const ipc::RouteQuery& query) {
        return verdict(query, ipc::RouteVerdict::temporary);
    };
    size_t warnings = 0;
    lab.relay = [&](const Handed& handed) {
        warnings += handed.deliver.reverse_path.empty();
        return handed.deliver.reverse_path.empty() ? delivered() : temporary();
    };
    lab.accept("a@from.example", {"list@here.example"});
    lab.advance(5h);
    lab.route = with_list({to("x@one.example")});
    lab.advance(2h);
    ASSERT_EQ(lab.show_queue().size(), 1u);
    EXPECT_EQ(lab.counters["queue.expanded"], 1u);
    EXPECT_EQ(warnings, 1u) << "of the alias";
    lab.advance(2h);
    EXPECT_EQ(warnings, 2u) << "eight hours after it was accepted";
}

TEST(Expansions, WhatIsRemovedMeanwhileGoesToNobodyElse) {
    QueueLab lab;
    std::vector<ExpandedRecipient> many;
    for (int i = 0; i < 3500; ++i)
        many.push_back(to("x" + std::to_string(i) + "@one.example"));
    bool removed = false;
    lab.route = [&](const ipc::RouteQuery& query) {
        if (!query.recipient.ends_with("@here.example")) {
            if (!std::exchange(removed, true)) // the first part is queued, the second is written
                lab.queue->remove(*lab.queue->table().after(0), 0);
            return to_exchanger(query);
        }
        ipc::RouteAnswer answer = verdict(query, ipc::RouteVerdict::expanded);
        answer.expanded = query.recipient.starts_with("list")
                              ? many
                              : std::vector<ExpandedRecipient>{to("y@two.example")};
        return answer;
    };
    lab.relay = [](const Handed&) { return delivered(); };
    lab.accept("a@from.example", {"list@here.example", "one@here.example"});
    lab.advance(1s);
    const std::vector<std::string> all = all_handed(lab);
    EXPECT_GE(all.size(), 1001u);
    EXPECT_LE(all.size(), 2001u);
    EXPECT_EQ(std::count(all.begin(), all.end(), "a@from.example y@two.example"), 1);
    EXPECT_TRUE(lab.show_queue().empty());
}

// The machine stops at some time: nobody is left out, and who is done with stays so.
TEST(Expansions, NobodyIsLostWithTheMachine) {
    for (uint64_t seed = 0; seed < 40; ++seed) {
        QueueLab lab;
        lab.route = with_list({to("x@one.example"), to("y@two.example"),
                               to("z@two.example", "owner-list@here.example")});
        lab.lookup_silent = true;
        lab.accept("a@from.example", {"list@here.example"});
        lab.lookup_silent = false;
        if (seed % 2)
            lab.time.run(); // without the disk's answers
        else
            lab.run();
        lab.lose_power(seed);
        lab.start();
        lab.relay = [](const Handed&) { return delivered(); };
        lab.advance(1s);
        auto all = all_handed(lab);
        all.erase(std::unique(all.begin(), all.end()), all.end());
        EXPECT_EQ(all, (std::vector<std::string>{"a@from.example x@one.example",
                                                 "a@from.example y@two.example",
                                                 "owner-list@here.example z@two.example"}))
            << seed;
        EXPECT_TRUE(lab.show_queue().empty()) << seed;
    }
}

// Each is in its own place, and both in one message.
TEST(Expansions, LoopsAreReportedForEachRecipient) {
    QueueLab lab;
    lab.route = [](const ipc::RouteQuery& query) {
        if (!query.recipient.ends_with("@here.example"))
            return to_exchanger(query);
        ipc::RouteAnswer answer = verdict(query, ipc::RouteVerdict::expanded);
        answer.expanded = {to(query.recipient)};
        return answer;
    };
    std::string reports;
    lab.relay = [&](const Handed& handed) {
        reports += handed.deliver.content.bytes;
        return delivered();
    };
    lab.accept("a@from.example", {"x@here.example", "y@here.example"});
    lab.advance(1s);
    EXPECT_EQ(recipients_reported(reports, "5.4.6"),
              (std::vector<std::string>{"x@here.example", "y@here.example"}));
    EXPECT_EQ(lab.counters["queue.expanded.messages"], generation_limit);
    EXPECT_TRUE(lab.show_queue().empty());
}

TEST(Expansions, WordsOfATableAreThoseOfTheReport) {
    QueueLab lab;
    lab.route = [](const ipc::RouteQuery& query) {
        if (query.origin.internal)
            return to_exchanger(query);
        ipc::RouteAnswer answer = verdict(query, ipc::RouteVerdict::refused);
        answer.words = "550 5.1.6 Gone away";
        return answer;
    };
    lab.accept("a@from.example", {"list@here.example"});
    ASSERT_EQ(lab.handed_count(), 1u);
    EXPECT_NE(lab.handed(0).deliver.content.bytes.find("Status: 5.1.6\r\n"), std::string::npos);
    EXPECT_NE(lab.handed(0).deliver.content.bytes.find("Gone away"), std::string::npos);
}

} // namespace
} // namespace postern::test
