// What senders are told of what they asked about: NOTIFY, RET, ENVID and ORCPT (RFC 3461).
#include "regress/unit/queue/reports.h"

namespace postern::test {
namespace {

using Strings = std::vector<std::string>;

ipc::Envelope to_one(Notify notify) {
    ipc::Envelope envelope;
    envelope.reverse_path = "a@from.example";
    envelope.recipients = {"b@dest.example"};
    if (notify != notify::unspecified)
        envelope.options.push_back({0, {notify, ""}});
    return envelope;
}

TEST(Report, IsWrittenWhenNotifySaysSo) {
    struct Row {
        Notify notify;
        ipc::RecipientOutcome outcome;
        const char* action; // of the report; empty: there is none
    };
    const auto in_mailbox = delivered(ipc::Handover::delivered);
    const auto passed_on = delivered(ipc::Handover::relayed);
    const auto theirs = delivered(ipc::Handover::relayed_aware);
    const Row rows[] = {
        {notify::unspecified, permanent(), "failed"},
        {notify::unspecified, in_mailbox, ""},
        {notify::unspecified, passed_on, ""},
        {notify::never, permanent(), ""},
        {notify::never, in_mailbox, ""},
        {notify::success, permanent(), ""},
        {notify::success, in_mailbox, "delivered"},
        {notify::success, passed_on, "relayed"},
        {notify::success, theirs, ""},
        {notify::failure, permanent(), "failed"},
        {notify::failure, in_mailbox, ""},
        {notify::success | notify::failure, permanent(), "failed"},
        {notify::success | notify::failure, passed_on, "relayed"},
        {notify::delay, permanent(), ""},
        {notify::delay, passed_on, ""},
    };
    for (const Row& row : rows) {
        for (bool from_nobody : {false, true}) {
            SCOPED_TRACE(std::to_string(row.notify) + " " + row.outcome.diagnostic + " " +
                         row.action + (from_nobody ? " from nobody" : ""));
            QueueLab lab;
            ipc::Envelope envelope = to_one(row.notify);
            if (from_nobody)
                envelope.reverse_path.clear();
            lab.accept(std::move(envelope));
            lab.answer(lab.handed(0), row.outcome);
            lab.run();
            const bool expected = *row.action && !from_nobody;
            ASSERT_EQ(lab.handed_count(), expected ? 2u : 1u);
            if (expected) {
                EXPECT_EQ(actions_of(lab.handed(1)), Strings{row.action});
                EXPECT_EQ(lab.handed(1).recipients(), Strings{"a@from.example"});
                EXPECT_EQ(lab.handed(1).deliver.reverse_path, "");
                lab.answer(lab.handed(1), delivered());
            }
            lab.run();
            EXPECT_TRUE(lab.show_queue().empty());
            EXPECT_EQ(lab.spool->statistics().messages, 0u);
            lab.queue->refresh_counters();
            const bool failure = expected && row.action == std::string("failed");
            EXPECT_EQ(lab.counters["queue.bounces"], failure ? 1u : 0u);
            EXPECT_EQ(lab.counters["queue.notices"], expected && !failure ? 1u : 0u);
        }
    }
}

TEST(Report, TellsOfAllRecipientsOfATurn) {
    QueueLab lab;
    ipc::Envelope envelope = to_one(notify::success | notify::failure);
    envelope.recipients = {"b@dest.example", "c@dest.example", "d@dest.example", "e@dest.example"};
    envelope.options.push_back({2, {notify::success, ""}});
    envelope.options.push_back({3, {notify::success | notify::delay, ""}});
    lab.accept(std::move(envelope));
    ipc::Outcome outcome;
    outcome.delivery = lab.handed(0).deliver.delivery;
    outcome.recipients = {permanent(), delivered(), delivered(ipc::Handover::relayed), temporary()};
    for (uint32_t i = 0; i < 4; ++i)
        outcome.recipients[i].index = i;
    ASSERT_TRUE(lab.queue->outcome(lab.handed(0).deliverer, std::move(outcome)));
    lab.run();
    ASSERT_EQ(lab.handed_count(), 2u);
    EXPECT_EQ(actions_of(lab.handed(1)), (Strings{"failed", "relayed"}));
    const std::string text = content_of(lab.handed(1));
    EXPECT_EQ(text.find("c@dest.example"), std::string::npos) << "it did not ask";
    EXPECT_EQ(text.find("e@dest.example"), std::string::npos) << "it is not decided";
    EXPECT_EQ(lab.show_queue().size(), 2u) << "e, and the report";
}

TEST(Report, NamesWhatTheSenderNamed) {
    QueueLab lab;
    ipc::Envelope envelope = to_one(notify::unspecified);
    envelope.parameters.envelope_id = "QQ314159+20+3D";
    envelope.options.push_back({0, {notify::failure, "rfc822;first+2Blist@orig.example"}});
    lab.accept(std::move(envelope));
    EXPECT_EQ(lab.handed(0).deliver.recipients[0].parameters.original_recipient,
              "rfc822;first+2Blist@orig.example");
    lab.answer(lab.handed(0), permanent());
    lab.run();
    const std::string text = content_of(lab.handed(1));
    EXPECT_NE(text.find("\r\nOriginal-Envelope-Id: QQ314159 =\r\n"), std::string::npos) << text;
    EXPECT_NE(text.find("\r\nOriginal-Recipient: rfc822; first+list@orig.example\r\n"
                        "Final-Recipient: rfc822; b@dest.example\r\n"),
              std::string::npos)
        << text;
}

TEST(Report, ReturnsAllOfAMessage) {
    QueueLab lab;
    ipc::Envelope envelope = to_one(notify::unspecified);
    envelope.parameters.returned = Returned::all;
    envelope.parameters.priority = -3;
    std::string content = "Subject: x\r\n\r\nbody\r\n";
    while (content.size() < 60'000)
        content += "0123456789\r\n";
    lab.accept(std::move(envelope), content);
    lab.answer(lab.handed(0), permanent());
    lab.run();
    ASSERT_EQ(lab.handed_count(), 2u);
    const ipc::Deliver& bounce = lab.handed(1).deliver;
    EXPECT_EQ(bounce.parameters.priority, -3);
    const std::string text = content_of(lab.handed(1));
    EXPECT_NE(text.find("Content-Type: message/rfc822\r\n\r\n" + content), std::string::npos);
}

// Recipients can fail one after the other, and the sender may be somebody who did not send it.
TEST(Report, ReturnsAllOfAMessageOnce) {
    QueueLab lab;
    ipc::Envelope envelope = to_one(notify::unspecified);
    envelope.parameters.returned = Returned::all;
    envelope.recipients = {"b@one.example", "b@two.example", "b@three.example"};
    lab.accept(std::move(envelope), "Subject: x\r\n\r\nbody\r\n");
    lab.files.sync_failure = 1; // what is not on disk is not returned
    lab.answer(lab.handed(0), permanent());
    lab.run();
    ASSERT_EQ(lab.handed_count(), 3u);
    lab.files.sync_failure = 0;
    lab.advance(61s);
    for (size_t i : {1, 2}) {
        lab.answer(lab.handed(i), permanent());
        lab.run();
        lab.answer(lab.handed(2 + i), delivered()); // the report before
        lab.run();
    }
    ASSERT_EQ(lab.handed_count(), 6u);
    for (size_t i = 3; i < 6; ++i) {
        const std::string text = content_of(lab.handed(i));
        EXPECT_EQ(text.find("\r\nbody\r\n") != std::string::npos, i == 3) << text;
        EXPECT_NE(text.find("Subject: x"), std::string::npos);
    }
}

// Without asking anything of the hosts on the way back: who has no reverse-path hears of no
// failure.
TEST(Report, ReturnsAllOf8BitMessagesIn7Bit) {
    QueueLab lab;
    ipc::Envelope envelope = to_one(notify::unspecified);
    envelope.parameters.returned = Returned::all;
    envelope.parameters.body = Body::eight_bit_mime;
    lab.accept(std::move(envelope), "Subject: x\r\n\r\ngr\xc3\xbc\xc3\x9f\r\n");
    lab.answer(lab.handed(0), permanent());
    lab.run();
    ASSERT_EQ(lab.handed_count(), 2u);
    const ipc::Deliver& report = lab.handed(1).deliver;
    EXPECT_FALSE(report.traits.eight_bit);
    EXPECT_EQ(report.parameters.body, Body::seven_bit);
    EXPECT_FALSE(report.parameters.smtp_utf8);
    EXPECT_NE(content_of(lab.handed(1))
                  .find("Content-Type: message/global\r\n"
                        "Content-Transfer-Encoding: quoted-printable\r\n\r\n"
                        "Subject: x\r\n\r\ngr=C3=BC=C3=9F\r\n"),
              std::string::npos);
}

// A header that is longer than what is returned of one: nobody takes the rest of a line for all.
TEST(Report, ReturnsWholeLinesOfALongHeader) {
    QueueLab lab;
    std::string content;
    while (content.size() < 2 * returned_header_limit)
        content += "X-Header: text\r\n";
    lab.accept(to_one(notify::unspecified), content);
    lab.answer(lab.handed(0), permanent());
    lab.run();
    ASSERT_EQ(lab.handed_count(), 2u);
    const std::string text = content_of(lab.handed(1));
    EXPECT_NE(text.find("X-Header: text\r\n\r\n--"), std::string::npos) << text.substr(33'000);
}

// A report of success is written before its cause is forgotten, whenever the machine stops; and
// exactly one comes of it.
TEST(Report, ASuccessIsReportedOverACrash) {
    size_t stops = 0;
    for (uint64_t step = 1;; ++step) {
        SCOPED_TRACE(step);
        QueueLab lab;
        ipc::Envelope envelope = to_one(notify::success);
        envelope.recipients.push_back("ok@other.example");
        const uint64_t id = lab.accept(std::move(envelope));
        lab.relay = [](const Handed& handed) -> std::optional<ipc::RecipientOutcome> {
            if (handed.recipients()[0] == "b@dest.example")
                return delivered(ipc::Handover::delivered);
            return std::nullopt; // the report, and the other recipient, stay out
        };
        lab.files.stop_at_step = lab.files.steps() + step;
        lab.run();
        lab.advance(10s);
        const bool stopped = lab.files.stopped();
        stops += stopped;
        lab.lose_power(step);
        size_t reports = 0;
        lab.relay = [&](const Handed& handed) {
            if (handed.deliver.reverse_path.empty()) {
                ++reports;
                EXPECT_EQ(actions_of(handed), Strings{"delivered"});
            }
            return delivered(ipc::Handover::delivered);
        };
        lab.files.stop_at_step = 0;
        lab.start();
        lab.advance(10min);
        EXPECT_EQ(reports, 1u);
        EXPECT_TRUE(lab.show_queue().empty());
        EXPECT_EQ(lab.queue->table().find(id), nullptr);
        if (!stopped || HasFailure())
            break;
    }
    EXPECT_GE(stops, 2u) << "the test has stopped nowhere";
}

TEST(Report, WhatWasDeliveredIsReportedAfterARestartAndNotDeliveredAgain) {
    for (bool report_is_there : {false, true}) {
        SCOPED_TRACE(report_is_there);
        QueueLab lab;
        const uint64_t id = lab.accept(to_one(notify::success));
        StoredProgress progress;
        progress.errors.push_back({"2.1.5", "250 2.1.5 kept", true, "mx.dest.example[192.0.2.1]"});
        progress.recipients.push_back({0, 0, 0, 1, 0, ipc::Handover::relayed});
        ASSERT_TRUE(lab.spool->append_progress(id, encode(progress), Durability::Durable));
        if (report_is_there) {
            RecipientReport report;
            report.action = DeliveryAction::relayed;
            const StoredMessage original = lab.queue->table().find(id)->read();
            const Bounce bounce =
                write_bounce(lab.spool->next_id(), {id, original, "", false}, {report},
                             "gateway.example", lab.time.wall_seconds());
            ASSERT_TRUE(lab.spool->append_message(lab.spool->next_id(), encode(bounce.message),
                                                  bounce.content));
        }
        lab.spool->commit();
        lab.run();
        lab.die();
        lab.start();
        ASSERT_EQ(lab.handed_count(), 1u);
        EXPECT_EQ(lab.handed(0).recipients(), Strings{"a@from.example"});
        EXPECT_EQ(actions_of(lab.handed(0)), Strings{"relayed"});
        const bool has_reply =
            content_of(lab.handed(0)).find("smtp; 250 2.1.5 kept") != std::string::npos;
        EXPECT_EQ(has_reply, !report_is_there);
        EXPECT_EQ(lab.queue->table().find(id), nullptr);
        EXPECT_EQ(lab.show_queue().size(), 1u);
    }
}

TEST(Report, OfASuccessTheDiskRefusesIsWrittenLater) {
    QueueLab lab;
    lab.accept(to_one(notify::success));
    lab.files.sync_failure = 1;
    lab.answer(lab.handed(0), delivered(ipc::Handover::delivered));
    lab.run();
    EXPECT_EQ(lab.handed_count(), 1u);
    EXPECT_GE(lab.times_logged("a report cannot be stored"), 1u);
    lab.files.sync_failure = 0;
    lab.advance(61s);
    ASSERT_EQ(lab.handed_count(), 2u) << "not delivered again";
    EXPECT_EQ(actions_of(lab.handed(1)), Strings{"delivered"});
}

} // namespace
} // namespace postern::test
