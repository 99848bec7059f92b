// From acceptance to the end of a recipient, with all that deliverers and lookup can do to it.
#include <fcntl.h>
#include <filesystem>

#include "common/base/crc32c.h"
#include "queue/spool/posix_file_system.h"
#include "regress/unit/queue/queue_lab.h"

namespace postern::test {
namespace {

using Strings = std::vector<std::string>;

TEST(Delivery, FreshMailGoesOutAtOnceAndIsGoneWhenDelivered) {
    QueueLab lab;
    const uint64_t id = lab.accept("a@from.example", {"b@dest.example"}, "Subject: s\r\n\r\nx\r\n");
    ASSERT_EQ(lab.handed_count(), 1u);
    const ipc::Deliver& deliver = lab.handed(0).deliver;
    EXPECT_EQ(deliver.message, id);
    EXPECT_EQ(deliver.reverse_path, "a@from.example");
    EXPECT_EQ(deliver.content.bytes, "Subject: s\r\n\r\nx\r\n");
    EXPECT_TRUE(deliver.file.empty());
    EXPECT_EQ(deliver.route.domain, "dest.example");
    EXPECT_EQ(lab.handed(0).recipients(), Strings{"b@dest.example"});
    EXPECT_GE(lab.handed(0).deliverer, 1) << "a relay";

    EXPECT_TRUE(lab.answer(lab.handed(0), delivered()));
    lab.run();
    EXPECT_TRUE(lab.show_queue().empty());
    EXPECT_EQ(lab.spool->statistics().messages, 0u);
    EXPECT_EQ(lab.times_logged("delivery message="), 1u);
    for (const char* word : {"from=a@from.example", "to=b@dest.example", "delay=0", "dsn=2.0.0",
                             "status=sent", "stat=\"250 2.0.0 queued\""})
        EXPECT_EQ(lab.times_logged(word), 1u) << word << " in " << lab.logged();
    lab.queue->refresh_counters();
    EXPECT_EQ(lab.counters["queue.accepted"], 1u);
    EXPECT_EQ(lab.counters["queue.delivered"], 1u);
    EXPECT_EQ(lab.counters["queue.messages"], 0u);
    EXPECT_EQ(lab.counters["queue.inflight"], 0u);
}

TEST(Delivery, RecipientsWithOneRouteShareATransaction) {
    QueueLab lab;
    lab.accept("a@from.example", {"b@one.example", "c@two.example", "d@one.example"});
    ASSERT_EQ(lab.handed_count(), 2u);
    std::map<std::string, Strings> by_domain;
    for (size_t i : {0u, 1u})
        by_domain[lab.handed(i).deliver.route.domain] = lab.handed(i).recipients();
    EXPECT_EQ(by_domain["one.example"], (Strings{"b@one.example", "d@one.example"}));
    EXPECT_EQ(by_domain["two.example"], (Strings{"c@two.example"}));
}

// As forwarded mail has it (SRS): whom it is from is for the next hop alone.
TEST(Delivery, ARouteMayHaveAReversePathOfItsOwn) {
    QueueLab lab;
    lab.route = [](const ipc::RouteQuery& query) {
        ipc::RouteAnswer answer = to_exchanger(query);
        if (!query.reverse_path.empty())
            answer.route.reverse_path = "SRS0=x=y=from.example=a@gw.example";
        return answer;
    };
    lab.relay = [](const Handed& handed) {
        return handed.deliver.reverse_path.empty() ? delivered() : permanent();
    };
    lab.accept("a@from.example", {"b@dest.example"});
    ASSERT_EQ(lab.handed_count(), 2u);
    EXPECT_EQ(lab.handed(0).deliver.reverse_path, "SRS0=x=y=from.example=a@gw.example");
    EXPECT_EQ(lab.times_logged("from=a@from.example"), 1u) << lab.logged();
    EXPECT_EQ(lab.handed(1).recipients(), Strings{"a@from.example"}) << "the report";
}

TEST(Delivery, ThroughASmarthostAllDomainsShare) {
    QueueLab lab;
    lab.route = [](const ipc::RouteQuery& query) {
        ipc::RouteAnswer answer = verdict(query, ipc::RouteVerdict::accepted);
        answer.route.host = RelayHost{RelayScheme::smtp, "smart.example", 25, ""};
        return answer;
    };
    lab.accept("a@from.example", {"b@one.example", "c@two.example"});
    ASSERT_EQ(lab.handed_count(), 1u);
    EXPECT_EQ(lab.handed(0).recipients(), (Strings{"b@one.example", "c@two.example"}));
}

TEST(Delivery, MailboxesAreServedOneByOneAndLocally) {
    QueueLab lab;
    lab.route = [](const ipc::RouteQuery& query) {
        ipc::RouteAnswer answer = verdict(query, ipc::RouteVerdict::accepted);
        answer.route.kind = ActionKind::maildir;
        answer.route.action = "home";
        return answer;
    };
    lab.accept("a@from.example", {"b@here.example", "c@here.example"});
    ASSERT_EQ(lab.handed_count(), 2u);
    for (size_t i : {0u, 1u}) {
        EXPECT_EQ(lab.handed(i).deliverer, Scheduler::local_deliverer);
        EXPECT_EQ(lab.handed(i).recipients().size(), 1u);
    }
}

TEST(Delivery, NoTransactionHasMoreThanAHundredRecipients) {
    QueueLab lab;
    Strings everybody;
    for (int i = 0; i < 250; ++i)
        everybody.push_back("r" + std::to_string(i) + "@dest.example");
    lab.relay = [](const Handed& handed) {
        EXPECT_LE(handed.deliver.recipients.size(), 100u);
        return delivered();
    };
    lab.accept("a@from.example", everybody);
    EXPECT_EQ(lab.handed_count(), 3u);
    EXPECT_EQ(lab.counters["queue.delivered"], 250u);
    EXPECT_TRUE(lab.show_queue().empty());
}

TEST(Delivery, AMessageToMoreThanCanBeAskedForAtOnce) {
    QueueLab lab;
    Strings everybody;
    for (int i = 0; i < 6000; ++i)
        everybody.push_back("r" + std::to_string(i) + "@d" + std::to_string(i % 7) + ".example");
    lab.relay = [](const Handed&) { return delivered(); };
    lab.accept("a@from.example", everybody);
    EXPECT_EQ(lab.counters["queue.delivered"], 6000u);
    EXPECT_EQ(lab.questions, 6000u);
    EXPECT_TRUE(lab.show_queue().empty());
}

TEST(Delivery, DeferredMailIsTriedAgainLaterAndLater) {
    QueueLab lab;
    lab.accept("a@from.example", {"b@dest.example"});
    const std::pair<std::chrono::seconds, std::chrono::seconds> bounds[] = {
        {240s, 300s}, {480s, 600s}, {960s, 1200s}, {1920s, 2400s}, {2880s, 3600s}, {2880s, 3600s}};
    for (size_t attempt = 0; attempt < std::size(bounds); ++attempt) {
        SCOPED_TRACE(attempt);
        ASSERT_EQ(lab.handed_count(), attempt + 1);
        lab.answer(lab.handed(attempt), temporary());
        const auto [least, most] = bounds[attempt];
        lab.advance(least - 1s);
        EXPECT_EQ(lab.handed_count(), attempt + 1);
        lab.advance(most - least + 2s);
    }
    const auto entries = lab.show_queue();
    ASSERT_EQ(entries.size(), 1u);
    EXPECT_EQ(entries[0].attempts, 6u);
    EXPECT_EQ(entries[0].last_error, "4.3.0 451 4.3.0 try later (mx.dest.example[192.0.2.1]:25)");
    EXPECT_EQ(lab.times_logged("status=deferred"), 6u);
    EXPECT_EQ(lab.questions, 7u) << "routing is worked out anew at every attempt";
}

TEST(Delivery, RecipientsThatWereDeferredTogetherGoTogether) {
    QueueLab lab;
    lab.accept("a@from.example", {"b@dest.example", "c@dest.example"});
    lab.answer(lab.handed(0), temporary());
    lab.advance(301s);
    ASSERT_EQ(lab.handed_count(), 2u);
    EXPECT_EQ(lab.handed(1).recipients().size(), 2u);
}

TEST(Delivery, RoutingFollowsThePresentConfiguration) {
    QueueLab lab;
    lab.accept("a@from.example", {"b@dest.example"});
    lab.answer(lab.handed(0), temporary());
    lab.route = [](const ipc::RouteQuery& query) {
        ipc::RouteAnswer answer = to_exchanger(query);
        answer.route.domain = "elsewhere.example";
        return answer;
    };
    lab.advance(301s);
    ASSERT_EQ(lab.handed_count(), 2u);
    EXPECT_EQ(lab.handed(1).deliver.route.domain, "elsewhere.example");
}

TEST(Delivery, ARouteThatHasBecomeOldIsAskedForAgain) {
    QueueLab lab;
    // Three wait behind two that take long.
    for (int i = 0; i < 5; ++i)
        lab.accept("a@from.example", {"r" + std::to_string(i) + "@dest.example"});
    ASSERT_EQ(lab.handed_count(), 2u);
    lab.route = [](const ipc::RouteQuery& query) {
        ipc::RouteAnswer answer = to_exchanger(query);
        answer.route.domain = "elsewhere.example";
        return answer;
    };
    lab.advance(61s);
    EXPECT_EQ(lab.questions, 5u) << "not before it can go out";
    for (size_t i : {0u, 1u})
        lab.answer(lab.handed(i), delivered());
    lab.run();
    ASSERT_GE(lab.handed_count(), 4u);
    for (size_t i = 2; i < lab.handed_count(); ++i)
        EXPECT_EQ(lab.handed(i).deliver.route.domain, "elsewhere.example");
    lab.relay = [](const Handed&) { return delivered(); };
    lab.run();
    EXPECT_EQ(lab.handed_count(), 5u);
    EXPECT_TRUE(lab.show_queue().empty());
}

TEST(Delivery, AReloadMakesAllRoutesOld) {
    QueueLab lab;
    for (int i = 0; i < 3; ++i)
        lab.accept("a@from.example", {"r" + std::to_string(i) + "@dest.example"});
    EXPECT_EQ(lab.questions, 3u);
    lab.advance(2s);
    lab.queue->configure(lab.settings);
    lab.answer(lab.handed(0), delivered());
    lab.run();
    EXPECT_EQ(lab.questions, 4u);
    EXPECT_EQ(lab.handed_count(), 3u);
}

// -- Failure and reports.

TEST(Delivery, APermanentFailureIsReportedToTheSender) {
    QueueLab lab;
    const uint64_t id = lab.accept("a@from.example", {"b@dest.example", "c@dest.example"},
                                   "Subject: the original\r\n\r\nx\r\n");
    lab.answer(lab.handed(0), permanent());
    lab.run();
    ASSERT_EQ(lab.handed_count(), 2u);
    const ipc::Deliver& bounce = lab.handed(1).deliver;
    EXPECT_EQ(bounce.reverse_path, "");
    EXPECT_EQ(lab.handed(1).recipients(), Strings{"a@from.example"});
    for (const char* text : {"multipart/report", "Final-Recipient: rfc822; b@dest.example",
                             "Final-Recipient: rfc822; c@dest.example", "Status: 5.1.1",
                             "550 5.1.1 who is that", "mx.dest.example", "Subject: the original"})
        EXPECT_NE(bounce.content.bytes.find(text), std::string::npos) << text;
    EXPECT_EQ(lab.show_queue().size(), 1u) << "the bounce alone";
    EXPECT_NE(lab.show_queue()[0].message, id);
    EXPECT_EQ(lab.times_logged("status=bounced"), 2u);
    EXPECT_EQ(lab.times_logged(" bounce message="), 1u) << lab.logged();
    lab.answer(lab.handed(1), delivered());
    lab.run();
    EXPECT_TRUE(lab.show_queue().empty());
    EXPECT_EQ(lab.spool->statistics().messages, 0u);
}

TEST(Delivery, NobodyIsToldOfALostNotification) {
    QueueLab lab;
    lab.accept("", {"b@dest.example"});
    lab.answer(lab.handed(0), permanent());
    lab.run();
    EXPECT_EQ(lab.handed_count(), 1u);
    EXPECT_TRUE(lab.show_queue().empty());
    EXPECT_EQ(lab.times_logged("cannot be delivered and is dropped"), 1u);
    EXPECT_EQ(lab.spool->statistics().messages, 0u);
}

TEST(Delivery, ABounceThatFailsIsDropped) {
    QueueLab lab;
    lab.relay = [](const Handed&) { return permanent(); };
    lab.accept("a@from.example", {"b@dest.example"});
    EXPECT_EQ(lab.handed_count(), 2u);
    EXPECT_TRUE(lab.show_queue().empty());
    EXPECT_EQ(lab.times_logged("cannot be delivered and is dropped"), 1u);
}

TEST(Delivery, OneFailureOfManyLeavesTheOthers) {
    QueueLab lab;
    lab.accept("a@from.example", {"b@dest.example", "c@dest.example", "d@dest.example"});
    ipc::Outcome outcome;
    outcome.delivery = lab.handed(0).deliver.delivery;
    outcome.recipients = {delivered(), temporary(), permanent()};
    for (uint32_t i = 0; i < 3; ++i)
        outcome.recipients[i].index = i;
    ASSERT_TRUE(lab.queue->outcome(lab.handed(0).deliverer, std::move(outcome)));
    lab.run();
    const auto entries = lab.show_queue();
    ASSERT_EQ(entries.size(), 2u);
    EXPECT_EQ(entries[0].recipient, "c@dest.example");
    EXPECT_EQ(entries[1].recipient, "a@from.example");
    EXPECT_EQ(lab.handed(1).deliver.content.bytes.find("c@dest.example"), std::string::npos);
}

TEST(Delivery, MailIsGivenUpWhenItsTimeIsOver) {
    QueueLab lab;
    lab.settings.ttl = 2h;
    lab.queue->configure(lab.settings);
    size_t attempts = 0;
    lab.relay = [&](const Handed& handed) -> std::optional<ipc::RecipientOutcome> {
        if (handed.deliver.reverse_path.empty())
            return std::nullopt;
        ++attempts;
        return temporary("450 4.2.1 not today");
    };
    lab.accept("a@from.example", {"b@dest.example"});
    lab.advance(2h - 2s);
    EXPECT_EQ(lab.counters["queue.expired"], 0u);
    lab.advance(3s);
    EXPECT_EQ(lab.counters["queue.expired"], 1u) << "not up to retry_max later";
    EXPECT_GE(attempts, 4u);
    const auto entries = lab.show_queue();
    ASSERT_EQ(entries.size(), 1u);
    const std::string bounce = lab.content_of(entries[0].message);
    EXPECT_NE(bounce.find("Status: 5.4.7"), std::string::npos) << bounce;
    EXPECT_NE(bounce.find("delivery time expired"), std::string::npos);
    EXPECT_NE(bounce.find("not today"), std::string::npos) << "with the last error";
}

TEST(Delivery, AnActionHasItsOwnTime) {
    QueueLab lab;
    lab.route = [](const ipc::RouteQuery& query) {
        ipc::RouteAnswer answer = to_exchanger(query);
        answer.route.ttl = 10min;
        return answer;
    };
    lab.relay = [](const Handed& handed) {
        return handed.deliver.reverse_path.empty() ? delivered() : temporary();
    };
    lab.accept("a@from.example", {"b@dest.example"});
    lab.advance(10min + 1s);
    EXPECT_EQ(lab.counters["queue.expired"], 1u);
    EXPECT_TRUE(lab.show_queue().empty());
}

TEST(Delivery, WithoutARuleMailWaitsForOne) {
    QueueLab lab;
    lab.route = [](const ipc::RouteQuery& query) {
        return verdict(query, ipc::RouteVerdict::no_rule);
    };
    lab.accept("a@from.example", {"b@dest.example"});
    auto entries = lab.show_queue();
    ASSERT_EQ(entries.size(), 1u);
    EXPECT_EQ(entries[0].state, ipc::RecipientState::deferred);
    EXPECT_EQ(entries[0].last_error, "4.4.4 no rule says where it goes");
    lab.route = to_exchanger;
    lab.relay = [](const Handed&) { return delivered(); };
    lab.advance(301s);
    EXPECT_EQ(lab.counters["queue.delivered"], 1u);
}

TEST(Delivery, WithoutARuleUntilTheEndItExpiresAndItsBounceToo) {
    QueueLab lab;
    lab.settings.ttl = 1h;
    lab.queue->configure(lab.settings);
    lab.route = [](const ipc::RouteQuery& query) {
        return verdict(query, ipc::RouteVerdict::no_rule);
    };
    lab.accept("a@from.example", {"b@dest.example"});
    lab.advance(1h + 1s);
    auto entries = lab.show_queue();
    ASSERT_EQ(entries.size(), 1u);
    EXPECT_EQ(entries[0].recipient, "a@from.example");
    EXPECT_EQ(entries[0].reverse_path, "");
    lab.advance(1h + 1s);
    EXPECT_TRUE(lab.show_queue().empty());
    EXPECT_EQ(lab.times_logged("cannot be delivered and is dropped"), 1u);
    EXPECT_EQ(lab.handed_count(), 0u);
}

TEST(Delivery, WhatLookupRefusesIsReported) {
    for (auto [said, code] : {std::pair{ipc::RouteVerdict::refused, "5.7.1"},
                              std::pair{ipc::RouteVerdict::no_mailbox, "5.1.1"}}) {
        QueueLab lab;
        lab.route = [said = said](const ipc::RouteQuery& query) {
            return query.origin.internal ? to_exchanger(query) : verdict(query, said);
        };
        lab.accept("a@from.example", {"b@dest.example"});
        ASSERT_EQ(lab.handed_count(), 1u);
        EXPECT_EQ(lab.handed(0).recipients(), Strings{"a@from.example"});
        EXPECT_NE(lab.handed(0).deliver.content.bytes.find(std::string("Status: ") + code),
                  std::string::npos);
    }
}

// -- Peers that die, stay silent, or lie.

TEST(Delivery, WhatADeadRelayHadGoesToTheNextOne) {
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

TEST(Delivery, ALyingRelayIsFoundOutAndItsMailIsNotLost) {
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
TEST(Delivery, AMessageThatItsRelayDiesOfIsPutOffAndExpires) {
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

TEST(Delivery, NoMoreThanTheCapacityIsOut) {
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

TEST(Delivery, WhenLookupDiesItsQuestionsAreAskedAgain) {
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

TEST(Delivery, ASilentLookupIsATemporaryFailure) {
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

TEST(Delivery, ALookupThatAnswersNonsenseIsCutOff) {
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

// -- Content.

TEST(Delivery, LargeContentTravelsAsAFile) {
    const std::string directory =
        std::filesystem::temp_directory_path() / ("unit_queue." + std::to_string(getpid()));
    std::filesystem::create_directory(directory);
    auto disk = PosixFileSystem::open_directory(directory);
    ASSERT_TRUE(disk);
    {
        QueueLab::Options options;
        options.disk = disk->get();
        QueueLab lab(std::move(options));
        ipc::ContentFileRequest request;
        request.request = 1000;
        ASSERT_TRUE(lab.queue->intake().handle(0, request));
        auto& file = std::get<ipc::ContentFile>(lab.answers[1000]).file;
        EXPECT_EQ(fcntl(file.get(), F_GETFL) & O_ACCMODE, O_WRONLY);
        const std::string content(200'000, 'y');
        ASSERT_EQ(pwrite(file.get(), content.data(), content.size(), 0), 200'000);

        ipc::Submit submit;
        submit.request = 1000;
        submit.envelope.reverse_path = "a@from.example";
        submit.envelope.recipients = {"b@dest.example"};
        submit.file_length = content.size();
        submit.file_checksum = crc32c(content);
        ASSERT_TRUE(lab.queue->intake().handle(0, std::move(submit)));
        lab.advance(1ms);
        ASSERT_TRUE(std::holds_alternative<ipc::Durable>(lab.answers[1000]));
        ASSERT_EQ(lab.handed_count(), 1u);
        const ipc::Deliver& deliver = lab.handed(0).deliver;
        EXPECT_TRUE(deliver.content.bytes.empty());
        ASSERT_EQ(deliver.file.size(), 1u);
        EXPECT_EQ(fcntl(deliver.file[0].get(), F_GETFL) & O_ACCMODE, O_RDONLY);
        EXPECT_EQ(deliver.file_length, content.size());
        std::string read(content.size(), '\0');
        EXPECT_EQ(pread(deliver.file[0].get(), read.data(), read.size(),
                        static_cast<off_t>(deliver.file_offset)),
                  200'000);
        EXPECT_EQ(read, content);
        lab.answer(lab.handed(0), delivered());
        lab.run();
        EXPECT_TRUE(lab.show_queue().empty());
    }
    std::filesystem::remove_all(directory);
}

// -- The end.

TEST(Delivery, ADrainWaitsForWhatIsOut) {
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

TEST(Delivery, ADrainEndsInTime) {
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
