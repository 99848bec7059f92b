// From acceptance to the end of a recipient, as deliverers and lookup say.
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
    EXPECT_EQ(lab.times_logged("from=a@from.example as=SRS0=x=y=from.example=a@gw.example"), 1u)
        << lab.logged();
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

} // namespace
} // namespace postern::test
