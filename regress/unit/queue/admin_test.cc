// What operators see and do.
#include "regress/unit/queue/queue_lab.h"

namespace postern::test {
namespace {

TEST(Admin, TheQueueComesInPagesAndInOrder) {
    QueueLab lab;
    lab.relay = [](const Handed&) { return temporary(); };
    std::vector<std::string> expected;
    for (int i = 0; i < 30; ++i) {
        std::vector<std::string> recipients;
        for (int j = 0; j <= i % 4; ++j)
            recipients.push_back("r" + std::to_string(i) + "." + std::to_string(j) + "@d.example");
        expected.insert(expected.end(), recipients.begin(), recipients.end());
        lab.accept("a@from.example", recipients);
    }
    for (uint32_t limit : {1u, 2u, 7u, 1000u}) {
        std::vector<std::string> seen;
        ipc::QueueQuery query;
        query.limit = limit;
        for (;;) {
            auto page = lab.ask<ipc::QueuePage>(query);
            EXPECT_LE(page.entries.size(), limit);
            ASSERT_FALSE(page.entries.empty());
            for (const auto& entry : page.entries)
                seen.push_back(entry.recipient);
            if (page.last)
                break;
            query.after_message = page.after_message;
            query.after_index = page.after_index;
        }
        EXPECT_EQ(seen, expected) << limit;
    }
}

TEST(Admin, PagesFitAPacketWhateverIsInThem) {
    QueueLab lab;
    lab.relay = [](const Handed&) { return temporary(std::string(1024, 'e')); };
    for (int i = 0; i < 3; ++i) {
        std::vector<std::string> recipients;
        for (int j = 0; j < 300; ++j)
            recipients.push_back(std::string(900, 'r') + std::to_string(j) + "@d.example");
        lab.accept(std::string(900, 's') + "@from.example", recipients, std::string(60'000, 'c'));
    }
    ipc::QueueQuery query;
    query.limit = 100'000;
    auto page = lab.ask<ipc::QueuePage>(query);
    EXPECT_FALSE(page.last);
    EXPECT_LT(ipc::encode_bytes(page).size(), ipc::packet_limit);
    EXPECT_EQ(lab.show_queue().size(), 900u);
    ipc::MessageQuery one;
    one.message = page.entries[0].message;
    one.limit = UINT32_MAX;
    auto part = lab.ask<ipc::MessagePart>(one);
    EXPECT_LT(ipc::encode_bytes(part).size(), ipc::packet_limit);
    EXPECT_EQ(part.content.bytes.size(), 60'000u);
}

// What a child has: parameters and targets of each recipient, as large as they may be.
TEST(Admin, AnEnvelopeIsCutToFitAPacket) {
    QueueLab lab;
    lab.route = [](const ipc::RouteQuery& query) {
        if (query.recipient != "list@here.example" || query.target)
            return to_exchanger(query);
        ipc::RouteAnswer answer = verdict(query, ipc::RouteVerdict::expanded);
        for (int i = 0; i < 200; ++i) {
            ipc::ExpandedRecipient& one = answer.expanded.emplace_back();
            one.recipient = std::string(900, 'r') + std::to_string(i) + "@d.example";
            one.target.emplace();
            one.target->kind = ipc::TargetKind::command;
            one.target->text = std::string(4000, 't');
        }
        return answer;
    };
    ipc::Envelope envelope;
    envelope.reverse_path = "a@from.example";
    envelope.recipients = {"list@here.example"};
    RecipientParameters parameters;
    parameters.original_recipient = "rfc822;" + std::string(480, 'o');
    envelope.options.push_back({0, parameters});
    lab.accept(envelope, std::string(60'000, 'c'));
    lab.advance(1s);
    ipc::MessageQuery one;
    one.message = lab.show_queue().front().message;
    one.limit = UINT32_MAX;
    const auto part = lab.ask<ipc::MessagePart>(one);
    EXPECT_LT(ipc::encode_bytes(part).size(), ipc::packet_limit);
    EXPECT_EQ(part.content.bytes.size(), 60'000u);
    const size_t shown = part.envelope.recipients.size();
    EXPECT_GT(shown, 10u);
    EXPECT_EQ(part.envelope.targets.size(), shown);
    EXPECT_EQ(part.envelope.options.size(), shown);
}

TEST(Admin, AMessageIsShownPieceByPiece) {
    QueueLab lab;
    const uint64_t id =
        lab.accept("a@from.example", {"b@dest.example", "c@dest.example"}, "0123456789");
    ipc::MessageQuery query;
    query.message = id;
    query.offset = 3;
    query.limit = 4;
    auto part = lab.ask<ipc::MessagePart>(query);
    EXPECT_TRUE(part.found);
    EXPECT_EQ(part.content.bytes, "3456");
    EXPECT_EQ(part.size, 10u);
    EXPECT_EQ(part.envelope.reverse_path, "a@from.example");
    EXPECT_EQ(part.envelope.origin.helo, "client.example");
    ASSERT_EQ(part.entries.size(), 2u);
    EXPECT_EQ(part.entries[1].state, ipc::RecipientState::in_flight);
    query.offset = 10;
    EXPECT_EQ(lab.ask<ipc::MessagePart>(query).content.bytes, "");
    query.message = id + 1;
    EXPECT_FALSE(lab.ask<ipc::MessagePart>(query).found);
}

TEST(Admin, SchedulingMakesItReadyNow) {
    QueueLab lab;
    const uint64_t first = lab.accept("a@from.example", {"b@one.example", "c@two.example"});
    const uint64_t second = lab.accept("a@from.example", {"d@three.example"});
    for (size_t i : {0u, 1u, 2u})
        lab.answer(lab.handed(i), temporary());
    lab.run();

    ipc::Change schedule;
    schedule.message = first;
    schedule.index = 1;
    EXPECT_EQ(lab.ask<ipc::Changed>(schedule).affected, 1u);
    ASSERT_EQ(lab.handed_count(), 4u);
    EXPECT_EQ(lab.handed(3).recipients(), std::vector<std::string>{"c@two.example"});
    EXPECT_EQ(lab.ask<ipc::Changed>(schedule).affected, 0u) << "it is out";

    EXPECT_EQ(lab.ask<ipc::Changed>(ipc::Change{}).affected, 2u);
    EXPECT_EQ(lab.handed_count(), 6u);

    schedule.message = second + 1000;
    EXPECT_FALSE(lab.ask<ipc::Done>(schedule).ok);
}

TEST(Admin, RemovedMailIsGoneWithoutAWord) {
    QueueLab lab;
    const uint64_t id = lab.accept("a@from.example", {"b@one.example", "c@two.example"});
    for (size_t i : {0u, 1u})
        lab.answer(lab.handed(i), temporary());
    lab.run();
    ipc::Change remove;
    remove.kind = ipc::ChangeKind::remove;
    remove.message = id;
    remove.index = 0;
    EXPECT_EQ(lab.ask<ipc::Changed>(remove).affected, 1u);
    EXPECT_EQ(lab.ask<ipc::Changed>(remove).affected, 0u);
    remove.index = 2;
    EXPECT_FALSE(lab.ask<ipc::Done>(remove).ok);
    EXPECT_EQ(lab.show_queue().size(), 1u);
    remove.index.reset();
    EXPECT_EQ(lab.ask<ipc::Changed>(remove).affected, 1u);
    EXPECT_FALSE(lab.ask<ipc::Done>(remove).ok);
    EXPECT_TRUE(lab.show_queue().empty());
    EXPECT_EQ(lab.spool->statistics().messages, 0u);
    lab.advance(24h);
    EXPECT_EQ(lab.handed_count(), 2u) << "no attempt, no bounce";
    EXPECT_EQ(lab.queue->table().messages(), 0u);
}

TEST(Admin, RemovalIsAnsweredWhenItIsOnDisk) {
    QueueLab lab;
    const uint64_t id = lab.accept("a@from.example", {"b@one.example"});
    ipc::Change remove;
    remove.kind = ipc::ChangeKind::remove;
    remove.message = id;
    lab.ask<ipc::Changed>(remove);
    lab.lose_power(3);
    lab.start();
    EXPECT_TRUE(lab.show_queue().empty());
}

TEST(Admin, TheOutcomeOfRemovedMailIsIgnored) {
    for (auto outcome : {delivered(), temporary(), permanent()}) {
        QueueLab lab;
        const uint64_t id = lab.accept("a@from.example", {"b@dest.example", "c@dest.example"});
        ipc::Change remove;
        remove.kind = ipc::ChangeKind::remove;
        remove.message = id;
        EXPECT_EQ(lab.ask<ipc::Changed>(remove).affected, 2u);
        EXPECT_TRUE(lab.show_queue().empty());
        EXPECT_TRUE(lab.answer(lab.handed(0), outcome))
            << "the relay does not know, and may say so";
        lab.advance(1h);
        EXPECT_EQ(lab.handed_count(), 1u);
        EXPECT_TRUE(lab.show_queue().empty());
        EXPECT_EQ(lab.queue->table().messages(), 0u);
        EXPECT_EQ(lab.queue->scheduler().destinations(), 0u);
    }
}

TEST(Admin, MailIsRemovedWhereverItIs) {
    // While lookup is asked, while it waits for its destination, and while that is held.
    QueueLab lab;
    lab.lookup_silent = true;
    ipc::Change remove;
    remove.kind = ipc::ChangeKind::remove;
    remove.message = lab.accept("a@from.example", {"b@dest.example"});
    EXPECT_EQ(lab.ask<ipc::Changed>(remove).affected, 1u);
    lab.lookup_silent = false;
    lab.run();
    EXPECT_EQ(lab.handed_count(), 0u);
    EXPECT_EQ(lab.queue->table().messages(), 0u);

    for (int i = 0; i < 4; ++i)
        remove.message = lab.accept("a@from.example", {"b@dest.example"});
    EXPECT_EQ(lab.handed_count(), 2u);
    EXPECT_EQ(lab.ask<ipc::Changed>(remove).affected, 1u) << "it waited behind two others";
    EXPECT_EQ(lab.queue->table().messages(), 3u);
    for (size_t i : {0u, 1u})
        lab.answer(lab.handed(i), temporary(), true);
    lab.run();
    for (const auto& entry : lab.show_queue()) {
        remove.message = entry.message;
        EXPECT_EQ(lab.ask<ipc::Changed>(remove).affected, 1u);
    }
    EXPECT_EQ(lab.queue->table().messages(), 0u);
    EXPECT_EQ(lab.queue->table().recipients(), 0u);
    EXPECT_EQ(lab.queue->table().routes.size(), 0u);
    EXPECT_EQ(lab.queue->table().errors.size(), 0u);
    lab.advance(2h);
    EXPECT_EQ(lab.handed_count(), 2u);
    EXPECT_EQ(lab.queue->scheduler().destinations(), 0u);
}

TEST(Admin, PausedDeliverersGetNothing) {
    QueueLab lab;
    lab.route = [](const ipc::RouteQuery& query) {
        ipc::RouteAnswer answer = to_exchanger(query);
        if (query.recipient.find("@here.example") != std::string::npos)
            answer.route.kind = ActionKind::maildir;
        return answer;
    };
    ipc::Pause pause;
    pause.subsystem = ipc::Subsystem::mta;
    EXPECT_TRUE(lab.ask<ipc::Done>(pause).ok);
    lab.accept("a@from.example", {"b@dest.example", "c@here.example"});
    ASSERT_EQ(lab.handed_count(), 1u);
    EXPECT_EQ(lab.handed(0).deliverer, Scheduler::local_deliverer);
    EXPECT_EQ(lab.show_queue()[0].state, ipc::RecipientState::paused);

    pause.subsystem = ipc::Subsystem::mda;
    EXPECT_TRUE(lab.ask<ipc::Done>(pause).ok);
    pause.subsystem = ipc::Subsystem::mta;
    pause.paused = false;
    EXPECT_TRUE(lab.ask<ipc::Done>(pause).ok);
    ASSERT_EQ(lab.handed_count(), 2u);
    EXPECT_NE(lab.handed(1).deliverer, Scheduler::local_deliverer);
    lab.accept("a@from.example", {"d@here.example"});
    EXPECT_EQ(lab.handed_count(), 2u);

    pause.subsystem = ipc::Subsystem::smtp;
    EXPECT_FALSE(lab.ask<ipc::Done>(pause).ok);
}

TEST(Admin, QuestionsForOthersAreAnsweredAsErrors) {
    QueueLab lab;
    EXPECT_FALSE(lab.ask<ipc::Done>(ipc::StatsQuery{}).ok);
    EXPECT_FALSE(lab.ask<ipc::Done>(ipc::LogLevel{}).ok);
}

TEST(Admin, Destinations) {
    using State = ipc::DestinationState;
    QueueLab lab;
    lab.settings.limits = {{{{"slow.example"}}, 0, 1, 3600s}};
    lab.queue->configure(lab.settings);
    for (const char* domain : {"open.example", "dead.example", "slow.example"})
        for (int i = 0; i < 4; ++i)
            lab.accept("a@from.example", {"r" + std::to_string(i) + "@" + domain});
    lab.run();
    for (Handed& handed : lab.all_handed)
        if (handed.deliver.route.domain == "dead.example")
            lab.answer(handed, temporary("connection refused"), true);
    lab.run();
    std::map<std::string, ipc::DestinationEntry> seen;
    ipc::DestinationQuery query;
    for (bool last = false; !last;) {
        auto page = lab.ask<ipc::DestinationPage>(query);
        for (auto& entry : page.entries)
            seen.emplace(entry.destination, entry);
        query.after = page.after;
        last = page.last;
    }
    ASSERT_EQ(seen.size(), 3u);
    const auto& open = seen.at("open.example");
    EXPECT_EQ(open.state, State::open);
    EXPECT_EQ(open.out, 2u);
    EXPECT_EQ(open.waiting, 2u);
    EXPECT_EQ(open.most, 2u);
    const auto& slow = seen.at("slow.example");
    EXPECT_EQ(slow.state, State::limited);
    EXPECT_EQ(slow.out + slow.waiting, 4u);
    const auto& dead = seen.at("dead.example");
    EXPECT_EQ(dead.state, State::held);
    EXPECT_EQ(dead.waiting, 2u);
    EXPECT_GT(dead.until, lab.time.wall_seconds());
    EXPECT_EQ(dead.reason, "4.3.0 connection refused");
}

TEST(Admin, ManyDestinationsComeInPages) {
    QueueLab lab;
    lab.grant_capacity(0);
    for (int i = 0; i < 3000; ++i)
        lab.submit("a@from.example",
                   {"r@" + std::to_string(i) + "." + std::string(60, 'd') + ".example"});
    lab.run();
    ipc::DestinationQuery query;
    size_t seen = 0, pages = 0;
    for (bool last = false; !last; ++pages) {
        const auto page = lab.ask<ipc::DestinationPage>(query);
        EXPECT_LT(ipc::encode_bytes(page).size(), ipc::packet_limit);
        seen += page.entries.size();
        query.after = page.after;
        last = page.last;
    }
    EXPECT_EQ(seen, 3000u);
    EXPECT_GT(pages, 2u);
}

// On a disk that is failing, say.
TEST(Admin, AnOperatorIsToldInTimeThatAPieceTakesLong) {
    QueueLab lab;
    lab.accept("a@from.example", {"b@d.example"});
    std::vector<ipc::SpoolChecked> answers;
    Admin admin(*lab.queue, [&](ipc::Answer answer) {
        answers.push_back(std::get<ipc::SpoolChecked>(std::move(answer)));
    });
    ipc::Question question = ipc::SpoolCheck{};
    const TimePoint begin = lab.time.now();
    EXPECT_FALSE(admin.ask(question));
    while (answers.empty() && lab.time.now() - begin < 1h) {
        lab.time.advance_to_next_timer();
        lab.time.run();
    }
    ASSERT_EQ(answers.size(), 1u);
    EXPECT_LT(lab.time.now() - begin, 10s) << "control waits no longer";
    EXPECT_FALSE(answers[0].last);
    ipc::SpoolCheck next;
    next.check = answers[0].check;
    question = next;
    EXPECT_FALSE(admin.ask(question));
    lab.spool->run_sync_step(false);
    admin.collect();
    ASSERT_EQ(answers.size(), 2u);
    EXPECT_FALSE(answers[1].lines.empty()) << "nothing is lost of it";
}

// The answers come when the pieces have been read; delivery goes on meanwhile.
TEST(Admin, TheSpoolIsVerifiedPieceByPiece) {
    QueueLab lab;
    lab.relay = [](const Handed&) { return temporary(); };
    for (int i = 0; i < 30; ++i)
        lab.accept("a@from.example", {"r" + std::to_string(i) + "@d.example"},
                   std::string(1000, 'c'));
    std::vector<std::string> lines;
    ipc::SpoolCheck question;
    ipc::SpoolChecked piece;
    do {
        piece = lab.ask<ipc::SpoolChecked>(question);
        EXPECT_EQ(piece.damaged, 0u);
        lines.insert(lines.end(), piece.lines.begin(), piece.lines.end());
        question.check = piece.check;
    } while (!piece.last && lines.size() < 1000);
    EXPECT_NE(lines.back().find(" 30 messages verified, 0 damaged"), std::string::npos)
        << lines.back();
    EXPECT_FALSE(lab.ask<ipc::Done>(question).ok) << "it has ended";
    question.check = 0;
    const auto first = lab.ask<ipc::SpoolChecked>(question);
    EXPECT_NE(first.check, piece.check);
    question.check = piece.check;
    EXPECT_FALSE(lab.ask<ipc::Done>(question).ok) << "another has been begun";
}

} // namespace
} // namespace postern::test
