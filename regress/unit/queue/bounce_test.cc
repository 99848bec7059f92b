#include "queue/bounce.h"

#include "regress/unit/queue/queue_lab.h"

namespace postern::test {
namespace {

StoredMessage original() {
    StoredMessage message;
    message.envelope.reverse_path = "sender@from.example";
    message.envelope.recipients = {"a@dest.example", "b@dest.example", "c@dest.example"};
    message.envelope.accepted_at = 1795435200;
    return message;
}

RecipientReport report(uint32_t index, bool from_remote = true,
                       DeliveryAction action = DeliveryAction::failed) {
    RecipientReport result;
    result.index = index;
    result.action = action;
    result.error = {"5.1.1", "550 5.1.1 no such user", from_remote,
                    "mx.dest.example[192.0.2.1]:25"};
    result.when = 1795435260;
    return result;
}

TEST(WriteBounce, IsAReportFromNobodyToTheSender) {
    const Bounce bounce =
        write_bounce(0x20, {0x10, original(), "Subject: hello\r\n\r\nbody\r\n"},
                     {report(0), report(2, false)}, "gateway.example", 1795435300);
    const ipc::Envelope& envelope = bounce.message.envelope;
    EXPECT_EQ(envelope.reverse_path, "");
    EXPECT_EQ(envelope.recipients, std::vector<std::string>{"sender@from.example"});
    EXPECT_TRUE(envelope.origin.internal);
    EXPECT_EQ(envelope.accepted_at, 1795435300);
    ASSERT_TRUE(bounce.message.cause);
    EXPECT_EQ(bounce.message.cause->message, 0x10u);
    EXPECT_EQ(bounce.message.cause->recipients, (std::vector<uint32_t>{0, 2}));

    const std::string& text = bounce.content;
    for (const char* part :
         {"Auto-Submitted: auto-replied", "Reporting-MTA: dns; gateway.example",
          "Final-Recipient: rfc822; a@dest.example", "Final-Recipient: rfc822; c@dest.example",
          "Remote-MTA: dns; mx.dest.example", "Diagnostic-Code: smtp; 550 5.1.1 no such user",
          "Subject: hello", "0000000000000010"})
        EXPECT_NE(text.find(part), std::string::npos) << part << " in\n" << text;
    EXPECT_EQ(text.find("b@dest.example"), std::string::npos);
    const size_t end = text.find("\r\n\r\n");
    EXPECT_EQ(bounce.message.traits.header_length, end + 4);
    EXPECT_FALSE(bounce.message.traits.eight_bit);
    EXPECT_EQ(bounce.message.traits.leading_dot, text.find("\r\n.") != std::string::npos);
}

TEST(WriteBounce, ASenderInUtf8IsReachedBySmtpUtf8) {
    StoredMessage message = original();
    EXPECT_FALSE(write_bounce(1, {2, message, "\r\n"}, {report(0)}, "gateway.example", 0)
                     .message.envelope.parameters.smtp_utf8);
    message.envelope.reverse_path = "j\xc3\xbcrgen@from.example";
    message.envelope.options.push_back({0, {notify::failure, "utf-8;\xc3\xa5@old.example"}});
    const Bounce bounce = write_bounce(1, {2, message, "\r\n"}, {report(0)}, "gateway.example", 0);
    EXPECT_TRUE(bounce.message.envelope.parameters.smtp_utf8);
    EXPECT_TRUE(bounce.message.traits.eight_bit);
    EXPECT_NE(bounce.content.find("Original-Recipient: utf-8; \xc3\xa5@old.example"),
              std::string::npos);
}

// RFC 6533: what is returned of mail in UTF-8 needs nothing of the hosts on the way to a sender in
// ASCII; to one in UTF-8 it goes as it is.
TEST(WriteBounce, OfMailInUtf8) {
    StoredMessage message = original();
    message.envelope.parameters.smtp_utf8 = true;
    message.envelope.parameters.returned = Returned::all;
    message.traits.eight_bit = true;
    const std::string content = "Subject: gr\xc3\xbc\xc3\x9f\r\n\r\nK\xc3\xb6rper\r\n";
    EXPECT_TRUE(returns_whole(message, content.size(), {report(0)}));
    for (bool to_utf8 : {false, true}) {
        SCOPED_TRACE(to_utf8);
        if (to_utf8)
            message.envelope.reverse_path = "j\xc3\xbcrgen@from.example";
        for (bool whole : {true, false}) {
            const Bounce bounce =
                write_bounce(1, {2, message, content, whole}, {report(0)}, "gateway.example", 0);
            EXPECT_NE(bounce.content.find(whole ? "Content-Type: message/global\r\n"
                                                : "Content-Type: message/global-headers\r\n"),
                      std::string::npos);
            EXPECT_EQ(bounce.content.find(content.substr(0, 13)) != std::string::npos, to_utf8);
            EXPECT_EQ(bounce.message.traits.eight_bit, to_utf8);
            const MailParameters& parameters = bounce.message.envelope.parameters;
            EXPECT_EQ(parameters.smtp_utf8, to_utf8);
            EXPECT_EQ(parameters.body, to_utf8 ? Body::eight_bit_mime : Body::seven_bit);
        }
    }
}

TEST(WriteBounce, NamesTheOriginalRecipient) {
    const std::pair<const char*, const char*> rows[] = {
        {"rfc822;a+2Bb@orig.example", "rfc822; a+b@orig.example"},
        {"x-odd;a;b", "x-odd; a;b"},
        {"utf-8;gr\\x{FC}n@orig.example", "utf-8; gr\\x{FC}n@orig.example"},
        {"UTF-8;gr\xc3\xbcn@orig.example", "utf-8; gr\\x{FC}n@orig.example"},
        {"rfc822;gr+C3+BCn@orig.example", "utf-8; gr\\x{FC}n@orig.example"},
    };
    for (const auto& [sent, written] : rows) {
        StoredMessage message = original();
        message.envelope.options.push_back({0, {notify::unspecified, sent}});
        const Bounce bounce = write_bounce(0x20, {0x10, message, "Subject: x\r\n\r\n"}, {report(0)},
                                           "gateway.example", 1795435300);
        EXPECT_NE(bounce.content.find("\r\nOriginal-Recipient: " + std::string(written) + "\r\n"),
                  std::string::npos)
            << sent << " in\n"
            << bounce.content;
    }
}

TEST(WriteBounce, WhatIsReturnedWhole) {
    struct Row {
        const char* what;
        Returned returned;
        Body body;
        bool require_tls;
        uint64_t size;
        DeliveryAction action;
        bool whole;
    };
    const auto failed = DeliveryAction::failed;
    const auto eight = Body::eight_bit_mime;
    const Row rows[] = {
        {"FULL", Returned::all, eight, false, 65536, failed, true},
        {"too large", Returned::all, eight, false, 65537, failed, false},
        {"HDRS", Returned::header, eight, false, 10, failed, false},
        {"nothing said", Returned::unspecified, eight, false, 10, failed, false},
        {"binary", Returned::all, Body::binary_mime, false, 10, failed, false},
        {"REQUIRETLS", Returned::all, eight, true, 10, failed, false}, // RFC 8689 5
        // RFC 3461 4.3: of a failure only
        {"delay", Returned::all, eight, false, 10, DeliveryAction::delayed, false},
        {"success", Returned::all, eight, false, 10, DeliveryAction::delivered, false},
    };
    for (const Row& row : rows) {
        SCOPED_TRACE(row.what);
        StoredMessage message = original();
        message.envelope.parameters.returned = row.returned;
        message.envelope.parameters.body = row.body;
        message.envelope.parameters.require_tls = row.require_tls;
        EXPECT_EQ(returns_whole(message, row.size, {report(0, true, row.action)}), row.whole);
        const Bounce bounce =
            write_bounce(0x20, {0x10, message, "Subject: x\r\n\r\nbody\r\n", row.whole},
                         {report(0, true, row.action)}, "gateway.example", 1795435300);
        EXPECT_EQ(bounce.content.find("\r\nbody") != std::string::npos, row.whole);
        EXPECT_EQ(bounce.message.envelope.parameters.body, Body::seven_bit);
        EXPECT_EQ(bounce.message.envelope.parameters.require_tls, row.require_tls);
    }
}

TEST(Bouncer, AReportOfThousandsTravelsAsAFile) {
    QueueLab lab;
    std::vector<std::string> everybody;
    for (int i = 0; i < 3000; ++i)
        everybody.push_back("a-rather-long-name-" + std::to_string(i) + "@dest.example");
    lab.relay = [](const Handed& handed) -> std::optional<ipc::RecipientOutcome> {
        if (handed.deliver.reverse_path.empty())
            return std::nullopt;
        return permanent();
    };
    // All fail in one turn: lookup says so.
    lab.route = [](const ipc::RouteQuery& query) {
        return query.origin.internal ? to_exchanger(query)
                                     : verdict(query, ipc::RouteVerdict::no_mailbox);
    };
    lab.accept("a@from.example", everybody);
    lab.advance(1ms);
    ASSERT_EQ(lab.handed_count(), 1u) << "one bounce for all of them";
    EXPECT_EQ(lab.handed(0).deliver.file.size(), 1u);
    EXPECT_GT(lab.handed(0).deliver.file_length, 64u * 1024);
}

// Many large ones do not hold everything else up.
TEST(Bouncer, ReportsOfThousandsAreWrittenInSeveralTurns) {
    QueueLab lab;
    std::vector<std::string> everybody;
    for (int i = 0; i < 1000; ++i)
        everybody.push_back("b" + std::to_string(i) + "@dest.example");
    lab.relay = [](const Handed&) { return delivered(); };
    lab.route = [](const ipc::RouteQuery& query) {
        return query.origin.internal ? to_exchanger(query)
                                     : verdict(query, ipc::RouteVerdict::temporary);
    };
    for (int i = 0; i < 20; ++i)
        lab.submit("a@from.example", everybody);
    lab.run();
    ipc::Change bounce;
    bounce.kind = ipc::ChangeKind::bounce;
    lab.relay = nullptr;
    Admin admin(*lab.queue, [](const ipc::Answer&) {});
    ipc::Question question = bounce;
    const uint64_t before = lab.queue->recorder().commits();
    EXPECT_FALSE(admin.ask(question).has_value());
    lab.time.run(); // without the disk's answers, and without the time for another turn
    EXPECT_LE(lab.queue->recorder().commits() - before, 2u);
    lab.relay = [](const Handed&) { return delivered(); };
    lab.advance(1ms);
    EXPECT_GE(lab.queue->recorder().commits() - before, 10u);
    lab.queue->refresh_counters();
    EXPECT_EQ(lab.counters["queue.bounces"], 20u);
    EXPECT_TRUE(lab.show_queue().empty());
}

TEST(Bouncer, WhileTheDiskRefusesTheBounceItsCauseStays) {
    QueueLab lab;
    const uint64_t id = lab.accept("a@from.example", {"b@dest.example"});
    lab.files.sync_failure = 1;
    lab.answer(lab.handed(0), permanent());
    lab.run();
    EXPECT_EQ(lab.handed_count(), 1u);
    auto entries = lab.show_queue();
    ASSERT_EQ(entries.size(), 1u);
    EXPECT_EQ(entries[0].message, id);
    EXPECT_NE(entries[0].last_error.find("who is that"), std::string::npos);
    EXPECT_GE(lab.times_logged("a report cannot be stored"), 1u);
    lab.files.sync_failure = 0;
    lab.advance(61s);
    ASSERT_EQ(lab.handed_count(), 2u);
    EXPECT_EQ(lab.handed(1).deliver.reverse_path, "");
    EXPECT_EQ(lab.show_queue().size(), 1u) << "the bounce alone";
}

TEST(Bouncer, AReportForWhatAnOperatorRemovedIsNotWritten) {
    QueueLab lab;
    const uint64_t id = lab.accept("a@from.example", {"b@dest.example"});
    lab.files.sync_failure = 1;
    lab.answer(lab.handed(0), permanent());
    lab.run();
    lab.files.sync_failure = 0;
    ipc::Change remove;
    remove.kind = ipc::ChangeKind::remove;
    remove.message = id;
    EXPECT_EQ(lab.ask<ipc::Changed>(remove).affected, 1u);
    lab.advance(5min);
    EXPECT_EQ(lab.handed_count(), 1u);
    EXPECT_TRUE(lab.show_queue().empty());
}

TEST(Bouncer, AThousandMessagesThatFailTogetherAreAllReported) {
    QueueLab lab;
    lab.settings.max_per_destination = 1000;
    lab.queue->configure(lab.settings);
    for (int i = 0; i < 1000; ++i)
        lab.submit("s" + std::to_string(i) + "@from.example", {"b@dest.example"});
    size_t bounces = 0;
    lab.relay = [&](const Handed& handed) {
        bounces += handed.deliver.reverse_path.empty();
        return handed.deliver.reverse_path.empty() ? delivered() : permanent();
    };
    lab.advance(1ms);
    EXPECT_EQ(bounces, 1000u);
    EXPECT_TRUE(lab.show_queue().empty());
    EXPECT_EQ(lab.spool->statistics().messages, 0u);
}

} // namespace
} // namespace postern::test
