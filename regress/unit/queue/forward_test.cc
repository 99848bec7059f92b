// Recipients in whose place others are, by a .forward.
#include "regress/unit/queue/expansion_helpers.h"

namespace postern::test {
namespace {

TEST(Forwards, AForwardHasOthersInItsPlace) {
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
TEST(Forwards, HisOtherAddressIsHisMailbox) {
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
TEST(Forwards, WhatIsForwardedElsewhereSaysWhereItWas) {
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

TEST(Forwards, ForwardsThatLeadBackEnd) {
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
TEST(Forwards, OneOfManyLoopsIsReported) {
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

// Of each recipient that the sender has named.
TEST(Forwards, LoopsAreReportedForEachRecipient) {
    QueueLab lab;
    lab.route = local();
    std::string reports;
    lab.relay = [&](const Handed& handed) {
        if (handed.deliver.reverse_path.empty()) {
            reports += handed.deliver.content.bytes;
            return delivered();
        }
        static const std::map<std::string, std::string> forwards = {
            {"bob@here.example", "carol@here.example"},
            {"carol@here.example", "bob@here.example"},
            {"dave@here.example", "erin@here.example"},
            {"erin@here.example", "dave@here.example"},
        };
        return forwarded({target(TargetKind::address, forwards.at(handed.recipients()[0]))});
    };
    lab.accept("a@from.example", {"bob@here.example", "dave@here.example"});
    lab.advance(1s);
    EXPECT_EQ(recipients_reported(reports, "5.4.6"),
              (std::vector<std::string>{"bob@here.example", "dave@here.example"}));
    EXPECT_TRUE(lab.show_queue().empty());
}

// A user has a say in what comes after a .forward: his mail waits, and that of others goes on.
TEST(Forwards, ABadForwardMakesOneUsersMailWait) {
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

TEST(Forwards, NoSaneDelivererSaysThis) {
    ipc::RecipientOutcome with_targets = delivered();
    with_targets.targets = {target(TargetKind::mailbox, "bob")};
    QueueLab lab;
    lab.route = local();
    lab.accept("a@from.example", {"bob@here.example"});
    EXPECT_FALSE(lab.answer(lab.handed(0), with_targets));
}

} // namespace
} // namespace postern::test
