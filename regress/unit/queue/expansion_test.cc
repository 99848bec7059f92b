// Recipients in whose place others are: by lookup's answer, and by a .forward.
#include <algorithm>
#include <unistd.h>

#include "common/base/crc32c.h"
#include "queue/expansion.h"
#include "regress/unit/queue/queue_lab.h"

namespace postern::test {
namespace {

using ipc::ExpandedRecipient;
using ipc::TargetKind;

ExpandedRecipient to(const std::string& recipient, const std::string& owner = "") {
    ExpandedRecipient one;
    one.recipient = recipient;
    one.owner = owner;
    return one;
}

ExpandedRecipient to_target(const std::string& recipient, TargetKind kind,
                            const std::string& text) {
    ExpandedRecipient one = to(recipient);
    one.target.emplace();
    one.target->kind = kind;
    one.target->text = text;
    return one;
}

// Others are in the place of "list@here.example".
std::function<ipc::RouteAnswer(const ipc::RouteQuery&)>
with_list(std::vector<ExpandedRecipient> others) {
    return [others = std::move(others)](const ipc::RouteQuery& query) {
        if (query.recipient != "list@here.example" || query.target)
            return to_exchanger(query);
        ipc::RouteAnswer answer = verdict(query, ipc::RouteVerdict::expanded);
        answer.expanded = others;
        return answer;
    };
}

// Recipients that were handed out, with their reverse-paths, in order.
std::vector<std::string> all_handed(const QueueLab& lab) {
    std::vector<std::string> all;
    for (const Handed& handed : lab.all_handed)
        for (const std::string& recipient : handed.recipients())
            all.push_back(handed.deliver.reverse_path + " " + recipient);
    std::sort(all.begin(), all.end());
    return all;
}

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

TEST(Expansions, AMessageHasAThousandRecipientsAtMost) {
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
TEST(Expansions, ManyLargeListsComeOneAfterTheOther) {
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

// A large message that the queue has accepted: its content.
std::string accept_large(QueueLab& lab, const std::string& recipient) {
    lab.files.sync_failure = 0;
    ipc::ContentFileRequest request;
    request.request = 77;
    EXPECT_TRUE(lab.queue->intake().handle(0, request));
    lab.run();
    std::string content = "Subject: large\r\n\r\n";
    for (int i = 0; content.size() < 3'000'000; ++i)
        content += "line " + std::to_string(i) + "\r\n";
    lab.queue->intake().set_size_limit(content.size());
    auto& file = std::get<ipc::ContentFile>(lab.answers.at(77));
    EXPECT_EQ(::pwrite(file.file.get(), content.data(), content.size(), 0),
              static_cast<ssize_t>(content.size()));
    ipc::Submit submit;
    submit.request = 77;
    submit.envelope.reverse_path = "a@from.example";
    submit.envelope.recipients = {recipient};
    submit.file_length = content.size();
    submit.file_checksum = crc32c(content);
    EXPECT_TRUE(lab.queue->intake().handle(0, std::move(submit)));
    lab.advance(1s);
    return content;
}

// What a deliverer was given, in whatever way.
std::string content_of(const ipc::Deliver& deliver) {
    if (deliver.file.empty())
        return deliver.content.bytes;
    std::string got(deliver.file_length, '\0');
    EXPECT_EQ(::pread(deliver.file[0].get(), got.data(), got.size(),
                      static_cast<off_t>(deliver.file_offset)),
              static_cast<ssize_t>(got.size()));
    return got;
}

TEST(Expansions, NothingMoreIsAskedWhileLongAnswersAreKept) {
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

TEST(Expansions, NothingMoreIsRoutedWhileManyWaitForTheDisk) {
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

TEST(Expansions, WhileTheDiskRefusesTheRecipientStays) {
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
TEST(Expansions, WhileTheDiskRefusesNothingMoreIsBegun) {
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

// Everybody's mail is stored, or forwarded.
std::function<ipc::RouteAnswer(const ipc::RouteQuery&)> local() {
    return [](const ipc::RouteQuery& query) {
        if (!query.recipient.ends_with("@here.example"))
            return to_exchanger(query);
        ipc::RouteAnswer answer = verdict(query, ipc::RouteVerdict::accepted);
        answer.route.kind = ActionKind::maildir;
        answer.route.action = "box";
        answer.route.user = query.recipient.substr(0, query.recipient.find_first_of("+@"));
        return answer;
    };
}

ipc::RecipientOutcome forwarded(std::vector<ipc::Target> targets) {
    ipc::RecipientOutcome outcome = delivered();
    outcome.status = ipc::RecipientStatus::forwarded;
    outcome.targets = std::move(targets);
    return outcome;
}

ipc::Target target(TargetKind kind, const std::string& text) {
    ipc::Target target;
    target.kind = kind;
    target.text = text;
    return target;
}

TEST(Expansions, AForwardHasOthersInItsPlace) {
    QueueLab lab;
    lab.route = local();
    lab.accept("a@from.example", {"bob@here.example"});
    ASSERT_EQ(lab.handed_count(), 1u);
    lab.answer(lab.handed(0), forwarded({target(TargetKind::mailbox, "bob"),
                                         target(TargetKind::address, "bob@far.example")}));
    lab.run();
    ASSERT_EQ(lab.handed_count(), 3u);
    std::vector<std::string> all = all_handed(lab);
    EXPECT_EQ(std::count(all.begin(), all.end(), "a@from.example bob@here.example"), 2);
    EXPECT_EQ(std::count(all.begin(), all.end(), "a@from.example bob@far.example"), 1);
    for (Handed& handed : lab.all_handed)
        if (!handed.answered) {
            EXPECT_EQ(handed.deliver.recipients[0].target.has_value(),
                      handed.recipients()[0] == "bob@here.example");
            lab.answer(handed, delivered());
        }
    lab.advance(1s);
    EXPECT_TRUE(lab.show_queue().empty());
}

// Another address of his in his .forward is his mailbox, though it leads to the .forward again.
TEST(Expansions, HisOtherAddressIsHisMailbox) {
    QueueLab lab;
    lab.route = local();
    size_t stored = 0;
    lab.relay = [&](const Handed& handed) {
        const std::optional<ipc::Target>& given = handed.deliver.recipients[0].target;
        if (handed.recipients()[0] == "bob@far.example")
            return delivered();
        if (!given)
            return forwarded({target(TargetKind::address, "bob+x@here.example"),
                              target(TargetKind::address, "bob@far.example")});
        EXPECT_EQ(handed.recipients()[0], "bob+x@here.example");
        EXPECT_EQ(*given, target(TargetKind::mailbox, "bob"));
        ++stored;
        return delivered();
    };
    lab.accept("a@from.example", {"bob@here.example"});
    lab.advance(1s);
    EXPECT_EQ(stored, 1u);
    EXPECT_EQ(lab.handed_count(), 4u) << "bob, bob+x, his mailbox, bob far away";
    EXPECT_TRUE(lab.show_queue().empty());
}

// Where it comes back from there, bob is found to have had it (Delivered-To).
TEST(Expansions, WhatIsForwardedElsewhereSaysWhereItWas) {
    const std::string trace = "Delivered-To: bob@here.example\r\n";
    const std::string header = "Subject: x\r\n\r\n";
    for (size_t size : {header.size(), size_t{100}, size_t{ipc::inline_content_limit} - 1,
                        size_t{ipc::inline_content_limit}, size_t{3'000'000}}) {
        QueueLab lab;
        lab.route = local();
        std::string content = header;
        if (size > ipc::inline_content_limit)
            content = accept_large(lab, "bob@here.example");
        else
            lab.accept("a@from.example", {"bob@here.example"},
                       content += std::string(size - header.size(), 'x'));
        ASSERT_EQ(lab.handed_count(), 1u);
        const ipc::ContentTraits before = lab.handed(0).deliver.traits;
        lab.answer(lab.handed(0), forwarded({target(TargetKind::address, "bob@far.example"),
                                             target(TargetKind::mailbox, "bob"),
                                             target(TargetKind::address, "carol@far.example")}));
        lab.advance(1s);
        ASSERT_EQ(lab.handed_count(), 3u);
        for (size_t i : {1u, 2u}) {
            const ipc::Deliver& deliver = lab.handed(i).deliver;
            const bool elsewhere = !deliver.recipients[0].target;
            EXPECT_TRUE(content_of(deliver) == (elsewhere ? trace : "") + content) << size;
            EXPECT_EQ(deliver.traits.header_length,
                      before.header_length + (elsewhere ? trace.size() : 0));
        }
    }
}

TEST(Expansions, ForwardsThatLeadBackEnd) {
    QueueLab lab;
    lab.route = local();
    lab.relay = [](const Handed& handed) -> std::optional<ipc::RecipientOutcome> {
        if (handed.deliver.reverse_path.empty())
            return std::nullopt;
        const bool bob = handed.recipients()[0] == "bob@here.example";
        return forwarded(
            {target(TargetKind::address, bob ? "carol@here.example" : "bob@here.example")});
    };
    lab.accept("a@from.example", {"bob@here.example"});
    lab.advance(1s);
    ASSERT_EQ(lab.handed_count(), 4u) << "bob, carol, bob again, the report";
    EXPECT_NE(lab.handed(3).deliver.content.bytes.find("Status: 5.4.6\r\n"), std::string::npos);
    EXPECT_EQ(lab.show_queue().size(), 1u);
}

// Everybody's mail goes to everybody else.
TEST(Expansions, OneOfManyLoopsIsReported) {
    QueueLab lab;
    lab.route = local();
    lab.relay = [](const Handed& handed) -> std::optional<ipc::RecipientOutcome> {
        if (handed.deliver.reverse_path.empty())
            return std::nullopt;
        std::vector<ipc::Target> targets;
        for (const char* user :
             {"a@here.example", "b@here.example", "c@here.example", "d@here.example"})
            if (handed.recipients()[0] != user)
                targets.push_back(target(TargetKind::address, user));
        return forwarded(targets);
    };
    lab.accept("a@from.example", {"a@here.example"});
    lab.advance(1s);
    EXPECT_EQ(std::count_if(lab.all_handed.begin(), lab.all_handed.end(),
                            [](const Handed& one) { return one.deliver.reverse_path.empty(); }),
              1);
    EXPECT_EQ(lab.show_queue().size(), 1u) << "the report";
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

TEST(Expansions, WhatGrowsWithoutMeasureIsEnded) {
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

TEST(Expansions, SmallAliasesShareAMessageAndLargeListsDoNot) {
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

// A large list, whose members have a few others in their place each.
TEST(Expansions, WhatIsSharedOutIsEnoughForLists) {
    StoredMessage message;
    message.envelope.recipients = {"list@here.example"};
    const std::vector<ExpandedFrom> list = {
        {0, std::vector<ExpandedRecipient>(ipc::expansion_limit, to("x@here.example"))}};
    const StoredMessage child =
        make_child(1, message, list, plan_children(message, list).front(), "");
    EXPECT_EQ(leads_back(child, 3, "x"), "");
}

// A user has a say in what comes after a .forward: his mail waits, and that of others goes on.
TEST(Expansions, ABadForwardMakesOneUsersMailWait) {
    const ipc::RecipientOutcome cases[] = {
        forwarded({}),
        forwarded({target(TargetKind::address, "no address")}),
        forwarded({target(TargetKind::command, "")}),
        forwarded({target(TargetKind::mailbox, "carol")}),
        forwarded({target(TargetKind::user, "bob")}),
        forwarded(
            std::vector<ipc::Target>(ipc::forward_limit + 1, target(TargetKind::mailbox, "bob"))),
    };
    for (const ipc::RecipientOutcome& outcome : cases) {
        QueueLab lab;
        lab.route = local();
        lab.accept("a@from.example", {"bob@here.example"});
        EXPECT_TRUE(lab.answer(lab.handed(0), outcome));
        lab.run();
        EXPECT_EQ(lab.spool->statistics().messages, 1u) << "it waits, and nothing else was made";
    }
}

TEST(Expansions, NoSaneDelivererSaysThis) {
    ipc::RecipientOutcome with_targets = delivered();
    with_targets.targets = {target(TargetKind::mailbox, "bob")};
    QueueLab lab;
    lab.route = local();
    lab.accept("a@from.example", {"bob@here.example"});
    EXPECT_FALSE(lab.answer(lab.handed(0), with_targets));
}

} // namespace
} // namespace postern::test
