// control between smtpctl and the processes, over real sockets.
#include <gtest/gtest.h>

#include <filesystem>
#include <sys/socket.h>
#include <sys/un.h>
#include <thread>

#include "common/base/log.h"
#include "smtpd/control/desk.h"
#include "smtpd/smtpctl/client.h"

namespace postern {
namespace {

using ipc::Role;

// A process as control sees it: it answers what the test says.
struct FakeProcess {
    FakeProcess(EventLoop& loop, Peers& peers, Role role, uint32_t index,
                std::function<std::optional<ipc::Answer>(const ipc::Question&)> reply)
        : FakeProcess(loop, reply) {
        peers.connect(role, index, std::move(other_end));
    }
    // The same by the supervisor's word.
    FakeProcess(EventLoop& loop, Desk& desk, Role role)
        : FakeProcess(loop, [](auto&) { return ipc::Answer(ipc::Done()); }) {
        desk.connect({role, 0, std::move(other_end)});
    }
    FakeProcess(EventLoop& loop,
                std::function<std::optional<ipc::Answer>(const ipc::Question&)> reply) {
        auto [ours, theirs] = ipc::make_pair();
        other_end = std::move(theirs);
        channel = std::make_unique<ipc::Channel<ipc::Question, ipc::Answer>>(
            loop, std::move(ours),
            [this, reply](ipc::Question&& question) {
                asked.push_back(question);
                std::optional<ipc::Answer> answer = reply(question);
                if (!answer) {
                    channel.reset(); // it dies
                    return;
                }
                uint32_t request = std::visit([](auto& q) { return q.request; }, question);
                std::visit([&](auto& a) { a.request = request; }, *answer);
                channel->send(std::move(*answer));
            },
            [](const std::string&) {});
    }
    // "mta paused, smtp resumed, verbose", as it was told.
    std::string orders() const {
        std::string text;
        auto add = [&text](std::string order) { text += (text.empty() ? "" : ", ") + order; };
        for (const ipc::Question& question : asked)
            if (auto* pause = std::get_if<ipc::Pause>(&question)) {
                constexpr const char* names[] = {"mta", "mda", "smtp"};
                add(std::string(names[static_cast<size_t>(pause->subsystem)]) +
                    (pause->paused ? " paused" : " resumed"));
            } else if (auto* level = std::get_if<ipc::LogLevel>(&question)) {
                add(level->verbose ? "verbose" : "brief");
            }
        return text;
    }

    FileDescriptor other_end;
    std::vector<ipc::Question> asked;
    std::unique_ptr<ipc::Channel<ipc::Question, ipc::Answer>> channel;
};

struct ControlDesk : testing::Test {
    ControlDesk()
        : peers(loop), desk(loop, peers, [this](ipc::ToSupervisor order) {
              std::visit(ipc::Overloaded{
                             [this](ipc::Pause& pause) { orders.heed(pause); },
                             [this](ipc::LogLevel& level) { orders.heed(level); },
                             [](auto&) { ADD_FAILURE() << "not an order"; },
                         },
                         order);
          }) {
        char name[] = "/tmp/postern-test-XXXXXX";
        folder = mkdtemp(name);
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        path().copy(address.sun_path, sizeof address.sun_path - 1);
        FileDescriptor listening(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0));
        EXPECT_EQ(bind(listening.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
        EXPECT_EQ(listen(listening.get(), 10), 0);
        desk.open(std::move(listening), geteuid());
    }
    ~ControlDesk() override { std::filesystem::remove_all(folder); }
    std::string path() const { return folder + "/sock"; }

    // smtpctl runs beside us, in a thread with a loop of its own.
    Result<ipc::Answer> ask(ipc::Question question) {
        Result<ipc::Answer> answer = Error{"not asked"};
        std::thread operator_([&] {
            Result<std::unique_ptr<ControlClient>> client = ControlClient::connect(path());
            answer = client ? (*client)->ask(question) : Result<ipc::Answer>(client.error());
            done = true;
        });
        TaskGroup tasks;
        tasks.spawn([](ControlDesk& self) -> Task<void> {
            while (!self.done)
                co_await self.loop.sleep(std::chrono::milliseconds(1));
            self.loop.stop();
        }(*this));
        loop.run();
        operator_.join();
        done = false;
        return answer;
    }

    EventLoop loop;
    Peers peers;
    ipc::Orders orders; // as the supervisor keeps them
    Desk desk;
    std::string folder;
    std::atomic<bool> done = false;

    ipc::Done pause(ipc::Subsystem subsystem, bool paused) {
        ipc::Pause order;
        order.subsystem = subsystem;
        order.paused = paused;
        return std::get<ipc::Done>(*ask(order));
    }
};

std::optional<ipc::Answer> stats(std::vector<ipc::Counter> counters) {
    ipc::Stats stats;
    stats.counters = std::move(counters);
    return stats;
}
std::optional<ipc::Answer> done_well(uint32_t affected) {
    ipc::Done done;
    done.affected = affected;
    return done;
}

TEST_F(ControlDesk, StatsAreTheSumOfAllProcesses) {
    FakeProcess one(loop, peers, Role::listener, 0, [](auto&) {
        return stats({{"smtp.messages", 3}});
    });
    FakeProcess two(loop, peers, Role::listener, 1, [](auto&) {
        return stats({{"smtp.messages", 4}});
    });
    FakeProcess queue(loop, peers, Role::queue, 0, [](auto&) {
        return stats({{"queue.messages", 5}});
    });
    Result<ipc::Answer> answer = ask(ipc::StatsQuery());
    ASSERT_TRUE(answer) << answer.error().message;
    std::map<std::string, uint64_t> sums;
    for (auto& counter : std::get<ipc::Stats>(*answer).counters)
        sums[counter.name] = counter.value;
    EXPECT_EQ(sums["smtp.messages"], 7u);
    EXPECT_EQ(sums["queue.messages"], 5u);
    EXPECT_EQ(sums["control.processes.away"], 0u);
}

TEST_F(ControlDesk, AProcessThatDiesIsCountedAsAwayAndStopsNobody) {
    FakeProcess dead(loop, peers, Role::relay, 0,
                     [](auto&) { return std::optional<ipc::Answer>(); });
    FakeProcess queue(loop, peers, Role::queue, 0, [](auto&) {
        return stats({{"queue.messages", 5}});
    });
    Result<ipc::Answer> answer = ask(ipc::StatsQuery());
    ASSERT_TRUE(answer);
    bool away = false;
    for (auto& counter : std::get<ipc::Stats>(*answer).counters)
        away |= counter.name == "control.processes.away" && counter.value == 1;
    EXPECT_TRUE(away);
}

TEST_F(ControlDesk, EachCommandGoesWhereItBelongs) {
    FakeProcess listener(loop, peers, Role::listener, 0, [](auto&) { return done_well(0); });
    FakeProcess relay(loop, peers, Role::relay, 0, [](auto&) { return done_well(0); });
    FakeProcess queue(loop, peers, Role::queue, 0, [](auto&) { return done_well(2); });
    ipc::Pause smtp, mta;
    smtp.subsystem = ipc::Subsystem::smtp;
    ipc::Change schedule;
    EXPECT_TRUE(std::get<ipc::Done>(*ask(smtp)).ok);
    EXPECT_EQ(listener.asked.size(), 1u);
    EXPECT_EQ(queue.asked.size(), 0u);
    EXPECT_TRUE(std::get<ipc::Done>(*ask(mta)).ok);
    EXPECT_EQ(queue.asked.size(), 1u);
    EXPECT_EQ(std::get<ipc::Done>(*ask(schedule)).affected, 2u);
    EXPECT_EQ(queue.asked.size(), 2u);
    EXPECT_EQ(relay.asked.size(), 0u);
    EXPECT_TRUE(ask(ipc::LogLevel()));
    EXPECT_EQ(listener.asked.size() + relay.asked.size() + queue.asked.size(), 2u + 1u + 3u);
}

TEST_F(ControlDesk, WhatIsOrderedIsKeptForProcessesThatAreStartedLater) {
    FakeProcess queue(loop, peers, Role::queue, 0, [](auto&) { return done_well(0); });
    FakeProcess listener(loop, peers, Role::listener, 0, [](auto&) { return done_well(0); });
    EXPECT_TRUE(pause(ipc::Subsystem::mta, true).ok);
    EXPECT_TRUE(orders.mta_paused && !orders.mda_paused && !orders.smtp_paused);
    EXPECT_TRUE(pause(ipc::Subsystem::mda, true).ok);
    EXPECT_TRUE(pause(ipc::Subsystem::smtp, true).ok);
    EXPECT_TRUE(pause(ipc::Subsystem::mta, false).ok);
    EXPECT_TRUE(!orders.mta_paused && orders.mda_paused && orders.smtp_paused);
    ipc::LogLevel verbose;
    verbose.verbose = true;
    EXPECT_TRUE(std::get<ipc::Done>(*ask(verbose)).ok);
    EXPECT_TRUE(orders.verbose);
    log::set_verbose(false);
}

TEST_F(ControlDesk, AnOrderIsKeptAlsoWhenNobodyIsThereToHeedIt) {
    ipc::Pause order;
    ipc::Done done = std::get<ipc::Done>(*ask(order));
    EXPECT_FALSE(done.ok);
    EXPECT_NE(done.error.find("could be reached"), std::string::npos);
    EXPECT_TRUE(orders.mta_paused);
}

// The process was started with the orders of before, and control heard of it only afterwards.
TEST_F(ControlDesk, WhatIsOrderedWhileAProcessIsStartedReachesIt) {
    ipc::LogLevel verbose;
    verbose.verbose = true;
    {
        FakeProcess dead(loop, peers, Role::queue, 0,
                         [](auto&) { return std::optional<ipc::Answer>(); });
        EXPECT_FALSE(pause(ipc::Subsystem::mta, true).ok);
        EXPECT_FALSE(pause(ipc::Subsystem::mda, true).ok);
        EXPECT_FALSE(pause(ipc::Subsystem::mda, false).ok);
        EXPECT_FALSE(pause(ipc::Subsystem::smtp, true).ok);
        EXPECT_FALSE(std::get<ipc::Done>(*ask(verbose)).ok);
    }
    FakeProcess queue(loop, desk, Role::queue);
    FakeProcess listener(loop, desk, Role::listener);
    FakeProcess relay(loop, desk, Role::relay);
    EXPECT_TRUE(ask(ipc::StatsQuery())); // and so the orders before it have arrived
    EXPECT_EQ(queue.orders(), "verbose, mta paused, mda resumed");
    EXPECT_EQ(listener.orders(), "verbose, smtp paused");
    EXPECT_EQ(relay.orders(), "verbose");
    EXPECT_TRUE(pause(ipc::Subsystem::mta, false).ok) << "the answers from before confuse nobody";
    EXPECT_EQ(queue.orders(), "verbose, mta paused, mda resumed, mta resumed");
    log::set_verbose(false);
}

TEST_F(ControlDesk, OrdersFromBeforeItStartedAreRepeated) {
    ipc::Orders before;
    before.mta_paused = true;
    desk.begin_with(before);
    FakeProcess queue(loop, desk, Role::queue);
    FakeProcess listener(loop, desk, Role::listener);
    EXPECT_TRUE(ask(ipc::StatsQuery())); // and so the orders before it have arrived
    EXPECT_EQ(queue.orders(), "mta paused");
    EXPECT_EQ(listener.orders(), "") << "nothing was ordered";
}

TEST_F(ControlDesk, ReportsOnTlsArePolicysToSend) {
    ipc::SendTlsReports send;
    send.domain = "d.example";
    EXPECT_FALSE(std::get<ipc::Done>(*ask(send)).ok) << "nobody is there";
    FakeProcess queue(loop, peers, Role::queue, 0, [](auto&) { return done_well(0); });
    FakeProcess policy(loop, peers, Role::policy, 0, [](auto&) { return done_well(3); });
    const ipc::Done done = std::get<ipc::Done>(*ask(send));
    EXPECT_TRUE(done.ok);
    EXPECT_EQ(done.affected, 3u);
    EXPECT_TRUE(queue.asked.empty());
    ASSERT_EQ(policy.asked.size(), 1u);
    EXPECT_EQ(std::get<ipc::SendTlsReports>(policy.asked[0]).domain, "d.example");
}

TEST_F(ControlDesk, WithoutAQueueTheOperatorIsToldSo) {
    Result<ipc::Answer> answer = ask(ipc::QueueQuery());
    ASSERT_TRUE(answer);
    ipc::Done done = std::get<ipc::Done>(*answer);
    EXPECT_FALSE(done.ok);
    EXPECT_EQ(done.error, "the queue does not answer");
}

TEST_F(ControlDesk, AnOperatorWhoWritesNonsenseLosesHisConnectionOnly) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path().copy(address.sun_path, sizeof address.sun_path - 1);
    FileDescriptor raw(socket(AF_UNIX, SOCK_SEQPACKET, 0));
    ASSERT_EQ(connect(raw.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    ASSERT_EQ(send(raw.get(), "nonsense", 8, 0), 8);
    FakeProcess queue(loop, peers, Role::queue, 0, [](auto&) { return done_well(1); });
    EXPECT_TRUE(ask(ipc::Change()));
    char byte;
    EXPECT_EQ(recv(raw.get(), &byte, 1, 0), 0);
}

} // namespace
} // namespace postern
