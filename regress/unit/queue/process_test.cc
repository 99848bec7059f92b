// postern-queue itself, started as the supervisor starts it, on a real spool and a real clock.
#include <csignal>
#include <fcntl.h>
#include <filesystem>
#include <gtest/gtest.h>
#include <optional>
#include <sys/wait.h>
#include <unistd.h>

#include "common/ipc/administration.h"
#include "common/ipc/channel.h"
#include "common/ipc/delivery.h"
#include "common/ipc/queue_settings.h"
#include "common/ipc/routing.h"
#include "common/ipc/submission.h"
#include "common/ipc/supervision.h"
#include "common/process/process.h"

namespace postern {
namespace {

using namespace std::chrono_literals;

// The supervisor, and all other processes.
class World {
  public:
    World() {
        std::string pattern = std::filesystem::temp_directory_path() / "unit_queue.XXXXXX";
        directory_ = mkdtemp(pattern.data());
    }
    ~World() {
        if (pid_ > 0)
            kill_queue();
        std::filesystem::remove_all(directory_);
    }

    void start(ipc::Orders orders = {}) {
        auto [ours, theirs] = ipc::make_pair();
        pid_ = fork();
        if (pid_ == 0) {
            if (theirs.get() == ipc::supervision_fd)
                fcntl(ipc::supervision_fd, F_SETFD, 0);
            else
                dup2(theirs.get(), ipc::supervision_fd);
            execl(POSTERN_QUEUE, "postern-queue", nullptr);
            _exit(127);
        }
        supervisor.emplace(
            loop, std::move(ours), [this](ipc::ToSupervisor&&) { ready = true; },
            [this](const std::string&) { gone = true; });
        ipc::Configure configure;
        configure.orders = orders;
        ipc::QueueSettings settings;
        settings.hostname = "gateway.example";
        settings.ttl = 1h;
        settings.retry_delay = 300s;
        settings.retry_max = 1h;
        settings.max_per_destination = 5;
        settings.max_message_size = 1 << 20;
        settings.relays = 1;
        configure.settings = std::move(*make_memory_file("settings", ipc::encode_bytes(settings)));
        configure.files.emplace_back(open(directory_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
        supervisor->send(std::move(configure));
        ASSERT_TRUE(until([this] { return ready; }));
    }
    void connect_everybody() {
        listener.emplace(
            loop, connect(ipc::Role::listener),
            [this](ipc::QueueToListener&& message) { answers.push_back(std::move(message)); },
            [this](const std::string&) { listener_lost = true; });
        lookup.emplace(
            loop, connect(ipc::Role::lookup),
            [this](ipc::ToLookup&& message) {
                ipc::RouteAnswer answer;
                answer.request = std::get<ipc::RouteQuery>(message).request;
                answer.verdict = ipc::RouteVerdict::accepted;
                answer.route.domain = "dest.example";
                lookup->send(std::move(answer));
            },
            [](const std::string&) {});
        relay.emplace(
            loop, connect(ipc::Role::relay),
            [this](ipc::QueueToDeliverer&& message) {
                handed.push_back(std::move(std::get<ipc::Deliver>(message)));
            },
            [this](const std::string&) { relay_lost = true; });
        ipc::Capacity capacity;
        capacity.deliveries = 10;
        relay->send(capacity);
        control.emplace(
            loop, connect(ipc::Role::control),
            [this](ipc::Answer&& message) { reports.push_back(std::move(message)); },
            [](const std::string&) {});
    }
    FileDescriptor connect(ipc::Role role) {
        auto [ours, theirs] = ipc::make_pair();
        ipc::Connect message;
        message.role = role;
        message.channel = std::move(theirs);
        supervisor->send(std::move(message));
        return std::move(ours);
    }
    void submit(uint32_t request) {
        ipc::Submit submit;
        submit.request = request;
        submit.envelope.reverse_path = "a@from.example";
        submit.envelope.recipients = {"b@dest.example"};
        submit.content.bytes = "Subject: x\r\n\r\nhello\r\n";
        listener->send(std::move(submit));
    }
    void answer_delivered(const ipc::Deliver& deliver) {
        ipc::Outcome outcome;
        outcome.delivery = deliver.delivery;
        ipc::RecipientOutcome one;
        one.status = ipc::RecipientStatus::delivered;
        one.enhanced = "2.0.0";
        outcome.recipients.push_back(std::move(one));
        relay->send(std::move(outcome));
    }
    void kill_queue() {
        kill(pid_, SIGKILL);
        wait_for_queue();
        forget_channels();
    }
    void forget_channels() {
        control.reset();
        relay.reset();
        lookup.reset();
        listener.reset();
        supervisor.reset();
        handed.clear();
        answers.clear();
        ready = gone = false;
    }
    int wait_for_queue() {
        int status = 0;
        waitpid(pid_, &status, 0);
        pid_ = 0;
        return status;
    }
    // Turns the loop until it is so; false after ten seconds.
    bool until(const std::function<bool()>& holds) {
        struct Look final : Timer {
            void expired() override { loop->stop(); }
            EventLoop* loop = nullptr;
        } look;
        look.loop = &loop;
        const auto deadline = std::chrono::steady_clock::now() + 10s;
        while (!holds()) {
            if (std::chrono::steady_clock::now() > deadline)
                return false;
            look.arm(loop, loop.now() + 5ms);
            loop.run();
        }
        return true;
    }

    EventLoop loop;
    std::optional<ipc::Channel<ipc::ToSupervisor, ipc::FromSupervisor>> supervisor;
    std::optional<ipc::Channel<ipc::QueueToListener, ipc::ListenerToQueue>> listener;
    std::optional<ipc::Channel<ipc::ToLookup, ipc::FromLookup>> lookup;
    std::optional<ipc::Channel<ipc::QueueToDeliverer, ipc::DelivererToQueue>> relay;
    std::optional<ipc::Channel<ipc::Answer, ipc::Question>> control;
    std::vector<ipc::QueueToListener> answers;
    std::vector<ipc::Deliver> handed;
    std::vector<ipc::Answer> reports;
    bool ready = false, gone = false, listener_lost = false, relay_lost = false;

  private:
    std::string directory_;
    pid_t pid_ = 0;
};

TEST(QueueProcess, AMessageSurvivesIt) {
    World world;
    world.start();
    world.connect_everybody();
    world.submit(1);
    ASSERT_TRUE(world.until([&] { return world.answers.size() == 1; }));
    const auto* durable = std::get_if<ipc::Durable>(&world.answers[0]);
    ASSERT_NE(durable, nullptr);
    const uint64_t id = durable->message;
    ASSERT_TRUE(world.until([&] { return world.handed.size() == 1; }));
    EXPECT_EQ(world.handed[0].message, id);
    world.kill_queue();

    world.start();
    world.connect_everybody();
    ASSERT_TRUE(world.until([&] { return world.handed.size() == 1; }));
    EXPECT_EQ(world.handed[0].message, id);
    EXPECT_EQ(world.handed[0].content.bytes, "Subject: x\r\n\r\nhello\r\n");

    ipc::QueueQuery query;
    query.request = 9;
    world.control->send(query);
    ASSERT_TRUE(world.until([&] { return world.reports.size() == 1; }));
    const auto& page = std::get<ipc::QueuePage>(world.reports[0]);
    EXPECT_EQ(page.request, 9u);
    ASSERT_EQ(page.entries.size(), 1u);
    EXPECT_EQ(page.entries[0].state, ipc::RecipientState::in_flight);

    world.answer_delivered(world.handed[0]);
    world.supervisor->send(ipc::Drain{5});
    ASSERT_TRUE(world.until([&] { return world.gone; }));
    EXPECT_EQ(world.wait_for_queue(), 0) << "it has ended in order";
    world.forget_channels();

    world.start();
    world.connect_everybody();
    world.submit(2); // in the queue behind whatever was there
    ASSERT_TRUE(world.until([&] { return world.handed.size() == 1; }));
    EXPECT_NE(world.handed[0].message, id) << "what was delivered is gone";
}

TEST(QueueProcess, WhatWasPausedIsPausedFromTheStart) {
    World world;
    ipc::Orders orders;
    orders.mta_paused = true;
    world.start(orders);
    world.connect_everybody();
    world.submit(1);
    ipc::QueueQuery query;
    auto state = [&] {
        for (const ipc::Answer& report : std::exchange(world.reports, {}))
            for (const auto& entry : std::get<ipc::QueuePage>(report).entries)
                return std::optional(entry.state);
        world.control->send(query);
        return std::optional<ipc::RecipientState>();
    };
    ASSERT_TRUE(world.until([&] { return state() == ipc::RecipientState::paused; }));
    EXPECT_TRUE(world.handed.empty());
    ipc::Pause resume;
    resume.paused = false;
    world.control->send(resume);
    ASSERT_TRUE(world.until([&] { return world.handed.size() == 1; }));
}

TEST(QueueProcess, WhoBreaksTheProtocolIsCutOffAndOthersAreServed) {
    World world;
    world.start();
    world.connect_everybody();
    ipc::Outcome lie;
    lie.delivery = 4711;
    world.relay->send(std::move(lie));
    ASSERT_TRUE(world.until([&] { return world.relay_lost; }));
    world.listener->send(ipc::Submit{}); // to nobody
    ASSERT_TRUE(world.until([&] { return world.listener_lost; }));
    world.connect_everybody();
    world.submit(1);
    ASSERT_TRUE(world.until([&] { return world.handed.size() == 1; }));
    world.answer_delivered(world.handed[0]);

    ipc::StatsQuery query;
    uint64_t delivered = 0;
    ASSERT_TRUE(world.until([&] {
        for (const ipc::Answer& report : std::exchange(world.reports, {}))
            for (const ipc::Counter& counter : std::get<ipc::Stats>(report).counters)
                if (counter.name == "queue.delivered")
                    delivered = counter.value;
        world.control->send(query);
        return delivered == 1;
    }));
}

} // namespace
} // namespace postern
