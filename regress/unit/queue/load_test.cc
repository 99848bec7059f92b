// A hundred thousand messages: what they cost, and that a dead destination holds nobody up. The
// limits on time are many times what it takes: they find what is quadratic, not what is slow.
#include <malloc.h>

#include "queue/concurrency_window.h"
#include "regress/unit/queue/queue_lab.h"

namespace postern::test {
namespace {

constexpr size_t many = 100'000;

double seconds_since(std::chrono::steady_clock::time_point start) {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

class Crowd {
  public:
    MailTable table;

    QueuedMessage& add(const std::string& recipient) {
        StoredMessage message;
        message.envelope.origin.client = *IpAddress::parse("192.0.2.7");
        message.envelope.origin.helo = "mail.client.example";
        message.envelope.origin.reverse_name = "mail.client.example";
        message.envelope.origin.local_hostname = "gateway.example";
        message.envelope.reverse_path = "someone.ordinary@sender.example";
        message.envelope.recipients = {recipient};
        message.envelope.accepted_at = SimulatedTime::default_start;
        return table.add(++last_, encode(message), message, 4096);
    }
    Job& route(QueuedMessage& message, const std::string& domain) {
        Job& job = table.make_job(message);
        MailTable::add_to(job, 0);
        table.set_stage(message.recipients[0], Stage::ready);
        ipc::Route route;
        route.action = "out";
        route.domain = domain;
        job.route = table.routes.intern(route);
        job.expires_at = UINT32_MAX;
        return job;
    }

  private:
    uint64_t last_ = 0;
};

TEST(Load, AWaitingRecipientTakesFewBytes) {
    const size_t before = mallinfo2().uordblks;
    Crowd crowd;
    Scheduler scheduler({1, {}});
    const AttemptError refused{"4.4.1", "connection refused", false, ""};
    for (size_t i = 0; i < many; ++i) {
        QueuedMessage& message = crowd.add("user" + std::to_string(i) + "@destination" +
                                           std::to_string(i % 100) + ".example");
        message.recipients[0].next_attempt = static_cast<uint32_t>(i);
        message.recipients[0].attempts = 1;
        crowd.table.set_error(message.recipients[0], refused);
        scheduler.update(message);
    }
    const size_t deferred = (mallinfo2().uordblks - before) / many;
    for (QueuedMessage* message = crowd.table.after(0); message;
         message = crowd.table.after(message->id)) {
        scheduler.enqueue(crowd.route(*message, "dead.example"),
                          {"dead.example", "dead.example", false}, false);
        scheduler.update(*message);
    }
    const size_t held = (mallinfo2().uordblks - before) / many;
    if (deferred == 0)
        GTEST_SKIP() << "this allocator (a sanitizer's) does not count";
    RecordProperty("bytes_per_deferred_recipient", static_cast<int>(deferred));
    RecordProperty("bytes_per_held_recipient", static_cast<int>(held));
    EXPECT_LT(deferred, 400u);
    EXPECT_LT(held, 500u);
    std::printf("bytes per recipient: %zu deferred, %zu waiting for a destination\n", deferred,
                held);
}

TEST(Load, ADeadDestinationHoldsNobodyUp) {
    const auto start = std::chrono::steady_clock::now();
    QueueLab lab;
    lab.settings.max_per_destination = 20;
    lab.queue->configure(lab.settings);
    for (size_t i = 0; i < many; ++i)
        lab.submit("a@from.example", {"r" + std::to_string(i) + "@dead.example"}, "x");
    lab.run();
    ASSERT_EQ(lab.handed_count(), ConcurrencyWindow::first);
    const auto fail_all = [&] {
        for (size_t i = 0; i < lab.handed_count(); ++i)
            if (!lab.handed(i).answered)
                lab.answer(lab.handed(i), temporary("connection timed out"), true);
        lab.run();
    };
    fail_all();
    EXPECT_EQ(lab.queue->table().recipients(Stage::ready), many - ConcurrencyWindow::first);

    // Others come and go as if nothing was.
    const auto busy = std::chrono::steady_clock::now();
    for (int i = 0; i < 1000; ++i) {
        const size_t before = lab.handed_count();
        lab.accept("a@from.example", {"r@alive" + std::to_string(i % 50) + ".example"});
        ASSERT_EQ(lab.handed_count(), before + 1);
        lab.answer(lab.handed(before), delivered());
    }
    lab.run();
    EXPECT_LT(seconds_since(busy), 10.0);

    // A day of it: probes, and the mail that was tried coming due. A hundred tries or so, not
    // hundreds of thousands.
    const size_t tried = lab.handed_count();
    for (int i = 0; i < 24 * 12; ++i) {
        lab.advance(5min - 4s); // the mail of the first seconds does not expire yet
        fail_all();
    }
    EXPECT_LT(lab.handed_count(), tried + 200);
    // The host is back: all of it goes out.
    lab.relay = [](const Handed&) { return delivered(); };
    lab.ask<ipc::Changed>(ipc::Change{});
    lab.advance(1h);
    EXPECT_EQ(lab.queue->table().recipients(), 0u);
    EXPECT_EQ(lab.counters["queue.delivered"], many + 1000);
    EXPECT_LT(seconds_since(start), 100.0);
}

TEST(Load, AllOfADeadDestinationExpires) {
    QueueLab lab;
    lab.settings.ttl = 1h;
    lab.queue->configure(lab.settings);
    constexpr size_t some = 5000;
    size_t bounces = 0;
    for (size_t i = 0; i < some; ++i)
        lab.submit("a@from.example", {"r" + std::to_string(i) + "@dead.example"}, "x");
    lab.run();
    for (int i = 0; i < 70; ++i) {
        for (size_t k = 0; k < lab.handed_count(); ++k) {
            Handed& handed = lab.handed(k);
            if (handed.answered)
                continue;
            const bool bounce = handed.deliver.reverse_path.empty();
            bounces += bounce;
            lab.answer(handed, bounce ? delivered() : temporary("timed out"), !bounce);
        }
        lab.advance(1min);
        lab.relay = i < 59 ? std::function<std::optional<ipc::RecipientOutcome>(const Handed&)>()
                           : [&](const Handed& handed) -> std::optional<ipc::RecipientOutcome> {
            if (!handed.deliver.reverse_path.empty())
                return std::nullopt;
            ++bounces;
            return delivered();
        };
    }
    EXPECT_EQ(lab.counters["queue.expired"], some);
    EXPECT_EQ(bounces, some);
    EXPECT_EQ(lab.queue->table().messages(), 0u);
}

} // namespace
} // namespace postern::test
