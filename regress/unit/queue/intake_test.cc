// What listeners may ask for, and what they get.
#include "regress/unit/queue/queue_lab.h"

namespace postern::test {
namespace {

ipc::Submit good_submit(uint32_t request) {
    ipc::Submit submit;
    submit.request = request;
    submit.envelope.reverse_path = "a@from.example";
    submit.envelope.recipients = {"b@dest.example"};
    submit.content.bytes = "Subject: x\r\n\r\n";
    return submit;
}

struct Case {
    const char* what;
    std::function<void(ipc::Submit&)> spoil;
};

// What only a client that has found a gap in the listener can have caused: it is answered, and the
// sessions of others go on.
TEST(Intake, AnEnvelopeThatIsNoneIsRefused) {
    const Case cases[] = {
        {"nobody to send it to", [](ipc::Submit& s) { s.envelope.recipients.clear(); }},
        {"an empty recipient", [](ipc::Submit& s) { s.envelope.recipients = {""}; }},
        {"a line break in a path",
         [](ipc::Submit& s) { s.envelope.recipients = {"a\r\nRCPT TO:<x>@y"}; }},
        {"a NUL in a path",
         [](ipc::Submit& s) { s.envelope.reverse_path = std::string("a\0b", 3); }},
        {"a path that is no path",
         [](ipc::Submit& s) { s.envelope.recipients = {std::string(2000, 'x')}; }},
        {"a release in eleven years",
         [](ipc::Submit& s) {
             s.envelope.release_at = test::SimulatedTime::default_start + 11LL * 366 * 86400;
         }},
        {"a release before time began", [](ipc::Submit& s) { s.envelope.release_at = -1; }},
        {"a header longer than the content", [](ipc::Submit& s) { s.traits.header_length = 1000; }},
    };
    for (const Case& c : cases) {
        SCOPED_TRACE(c.what);
        QueueLab lab;
        ipc::Submit submit = good_submit(1);
        c.spoil(submit);
        ASSERT_TRUE(lab.queue->intake().handle(0, std::move(submit)));
        ASSERT_TRUE(lab.queue->intake().handle(0, good_submit(2)));
        lab.run();
        ASSERT_TRUE(std::holds_alternative<ipc::Refused>(lab.answers[1]));
        EXPECT_EQ(std::get<ipc::Refused>(lab.answers[1]).code, 554);
        EXPECT_TRUE(std::holds_alternative<ipc::Durable>(lab.answers[2]));
        EXPECT_EQ(lab.spool->statistics().messages, 1u);
    }
}

// Policy writes reports of its own (RFC 8460), and nothing else.
TEST(Intake, PolicySubmitsReportsAlone) {
    const auto report = [](uint32_t request) {
        ipc::Submit submit = good_submit(request);
        submit.envelope.origin.internal = true;
        submit.envelope.reverse_path.clear();
        return submit;
    };
    const Case cases[] = {
        {"mail of somebody else's", [](ipc::Submit& s) { s.envelope.origin.internal = false; }},
        {"a reverse-path", [](ipc::Submit& s) { s.envelope.reverse_path = "a@from.example"; }},
        {"two recipients", [](ipc::Submit& s) { s.envelope.recipients.push_back("c@x.example"); }},
        {"a user", [](ipc::Submit& s) { s.envelope.origin.authenticated = "bob"; }},
    };
    for (const Case& c : cases) {
        QueueLab lab;
        lab.queue->intake().connect(
            7, [](ipc::QueueToListener) {}, Intake::Submitter::policy);
        ipc::Submit submit = report(1);
        c.spoil(submit);
        EXPECT_FALSE(lab.queue->intake().handle(7, std::move(submit))) << c.what;
    }
    QueueLab lab;
    size_t durable = 0;
    lab.queue->intake().connect(
        7,
        [&](ipc::QueueToListener message) {
            durable += std::holds_alternative<ipc::Durable>(message);
        },
        Intake::Submitter::policy);
    ASSERT_TRUE(lab.queue->intake().handle(7, report(1)));
    lab.run();
    EXPECT_EQ(durable, 1u);
    EXPECT_FALSE(lab.queue->intake().handle(7, ipc::ContentFileRequest{2}));
    EXPECT_FALSE(lab.queue->intake().handle(0, report(1))) << "a listener does not";
}

TEST(Intake, AListenerThatBreaksTheProtocolIsFoundOut) {
    const Case cases[] = {
        {"mail in our own name", [](ipc::Submit& s) { s.envelope.origin.internal = true; }},
        {"more content than travels inside",
         [](ipc::Submit& s) { s.content.bytes.assign(ipc::inline_content_limit + 1, 'x'); }},
        {"a content file that was not asked for", [](ipc::Submit& s) { s.file_length = 10; }},
    };
    for (const Case& c : cases) {
        QueueLab lab;
        ipc::Submit submit = good_submit(1);
        c.spoil(submit);
        EXPECT_FALSE(lab.queue->intake().handle(0, std::move(submit))) << c.what;
        lab.run();
        EXPECT_TRUE(lab.answers.empty()) << c.what;
        EXPECT_EQ(lab.spool->statistics().messages, 0u) << c.what;
    }
    QueueLab lab;
    EXPECT_TRUE(lab.queue->intake().handle(0, good_submit(1)));
    EXPECT_FALSE(lab.queue->intake().handle(0, good_submit(1))) << "one request, two messages";
    EXPECT_FALSE(lab.queue->intake().handle(7, good_submit(1))) << "nobody has that channel";
}

TEST(Intake, NoListenerHasMoreOpenThanItsCredit) {
    QueueLab lab;
    uint32_t request = 0;
    for (; request < ipc::submission_credit / 2; ++request) {
        ASSERT_TRUE(lab.queue->intake().handle(0, good_submit(request)));
    }
    for (; request < ipc::submission_credit; ++request) {
        ipc::ContentFileRequest file;
        file.request = request;
        ASSERT_TRUE(lab.queue->intake().handle(0, file));
    }
    EXPECT_FALSE(lab.queue->intake().handle(0, good_submit(request)));
    ipc::ContentFileRequest file;
    file.request = request;
    EXPECT_FALSE(lab.queue->intake().handle(0, file));
    // Answered and abandoned ones do not count.
    ipc::Abandon abandon;
    abandon.request = request - 1;
    EXPECT_TRUE(lab.queue->intake().handle(0, abandon));
    EXPECT_TRUE(lab.queue->intake().handle(0, file));
    lab.run();
    EXPECT_TRUE(lab.queue->intake().handle(0, good_submit(request + 1)));
}

TEST(Intake, NothingIsAnsweredBeforeItIsOnDisk) {
    QueueLab lab;
    const uint32_t request = lab.submit("a@from.example", {"b@dest.example"});
    lab.time.run(); // the queue does all it can; the disk has not been written
    EXPECT_EQ(lab.answers.count(request), 0u);
    EXPECT_EQ(lab.handed_count(), 0u);
    lab.run();
    EXPECT_TRUE(std::holds_alternative<ipc::Durable>(lab.answers[request]));
}

TEST(Intake, AFullOrFailingDiskRefuses) {
    struct Case {
        const char* what;
        std::function<void(QueueLab&)> spoil, mend;
    };
    const Case cases[] = {
        {"syncs fail", [](QueueLab& lab) { lab.files.sync_failure = 1; },
         [](QueueLab& lab) { lab.files.sync_failure = 0; }},
        {"writes fail", [](QueueLab& lab) { lab.files.write_failure = 1; },
         [](QueueLab& lab) { lab.files.write_failure = 0; }},
        {"no space is left", [](QueueLab& lab) { lab.files.capacity = 0; },
         [](QueueLab& lab) { lab.files.capacity = UINT64_MAX; }},
    };
    for (const Case& c : cases) {
        SCOPED_TRACE(c.what);
        QueueLab::Options options;
        options.spool.segment_size = 64 * 1024;
        options.spool.growth_step = 16 * 1024;
        QueueLab lab(std::move(options));
        lab.accept("a@from.example", {"before@dest.example"});
        c.spoil(lab);
        uint32_t refused = 0;
        for (int i = 0; i < 40 && !refused; ++i) { // the present segment may have room
            const uint32_t request =
                lab.submit("a@from.example", {"refused@dest.example"}, std::string(10'000, 'x'));
            lab.run();
            if (std::holds_alternative<ipc::Refused>(lab.answers[request]))
                refused = request;
        }
        ASSERT_NE(refused, 0u);
        EXPECT_EQ(std::get<ipc::Refused>(lab.answers[refused]).code, 452);
        EXPECT_EQ(std::get<ipc::Refused>(lab.answers[refused]).enhanced, "4.3.1");
        EXPECT_GE(lab.times_logged("cannot be stored"), 1u);
        const size_t kept = lab.show_queue().size();
        c.mend(lab);
        lab.advance(5s);
        lab.accept("a@from.example", {"after@dest.example"});
        EXPECT_EQ(lab.show_queue().size(), kept + 1);
        EXPECT_EQ(lab.show_queue()[0].recipient, "before@dest.example");
    }
}

// What happened to old mail waits in memory, within bounds; new mail is refused.
TEST(Intake, WhileTheDiskRefusesNothingGrowsAndNothingIsForgotten) {
    constexpr size_t limit = 4096;
    QueueLab::Options options;
    options.spool.max_pending = limit;
    options.capacity = 1000;
    QueueLab lab(std::move(options));
    for (int i = 0; i < 300; ++i)
        lab.accept("a@from.example", {"r@dest" + std::to_string(i) + ".example"});
    lab.files.sync_failure = 1;
    lab.relay = [](const Handed&) { return delivered(); };
    lab.run();
    EXPECT_TRUE(lab.show_queue().empty());
    EXPECT_GT(lab.spool->statistics().pending_bytes, limit);
    EXPECT_LE(lab.spool->statistics().pending_bytes, 2 * limit + 100);
    EXPECT_GT(lab.spool->statistics().messages, 50u) << "not all of it could be taken";
    const uint32_t refused = lab.submit("a@from.example", {"b@dest.example"});
    lab.run();
    EXPECT_EQ(std::get<ipc::Refused>(lab.answers[refused]).code, 452);
    EXPECT_EQ(std::get<ipc::Refused>(lab.answers[refused]).enhanced, "4.3.1");
    lab.files.sync_failure = 0;
    lab.advance(3s);
    EXPECT_EQ(lab.spool->statistics().messages, 0u);
    lab.accept("a@from.example", {"b@dest.example"});
    lab.lose_power(11);
    lab.relay = nullptr;
    lab.start();
    EXPECT_LE(lab.show_queue().size(), 1u) << "none of the 300 comes back";
}

TEST(Intake, TooLargeIsTooLarge) {
    QueueLab lab;
    lab.settings.max_message_size = 100;
    lab.queue->configure(lab.settings);
    const uint32_t request =
        lab.submit("a@from.example", {"b@dest.example"}, std::string(101, 'x'));
    EXPECT_EQ(std::get<ipc::Refused>(lab.answers[request]).code, 552);
    lab.accept("a@from.example", {"b@dest.example"}, std::string(100, 'x'));
}

TEST(Intake, TheTimeOfAcceptanceIsOurs) {
    QueueLab lab;
    ipc::Submit submit = good_submit(1);
    submit.envelope.accepted_at = 1;
    ASSERT_TRUE(lab.queue->intake().handle(0, std::move(submit)));
    lab.run();
    EXPECT_EQ(lab.show_queue()[0].accepted_at, SimulatedTime::default_start);
}

TEST(Intake, ANewListenerIsNotAnsweredForTheDeadOne) {
    QueueLab lab;
    lab.submit("a@from.example", {"b@dest.example"});
    lab.connect_everybody(); // the listener has died and is back
    lab.run();
    EXPECT_TRUE(lab.answers.empty());
    EXPECT_EQ(lab.show_queue().size(), 1u) << "it is in the queue all the same";
}

TEST(Intake, AContentFileOfAnotherLengthIsRefused) {
    QueueLab lab;
    ipc::ContentFileRequest file;
    file.request = 5;
    ASSERT_TRUE(lab.queue->intake().handle(0, file));
    ASSERT_TRUE(std::holds_alternative<ipc::ContentFile>(lab.answers[5]));
    ipc::Submit submit = good_submit(5);
    submit.content.bytes.clear();
    submit.file_length = 100'000; // nothing was written
    ASSERT_TRUE(lab.queue->intake().handle(0, std::move(submit)));
    lab.run();
    EXPECT_TRUE(std::holds_alternative<ipc::Refused>(lab.answers[5]));
    EXPECT_TRUE(lab.show_queue().empty());
}

} // namespace
} // namespace postern::test
