// The relay between its channels, over real sockets on loopback: what it tells the queue, and what
// it does when its peers come and go.
#include "deliver/relay/relay.h"

#include <algorithm>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include "common/net/socket.h"

namespace postern::relay {
namespace {

using namespace std::chrono_literals;
using QueueEnd = ipc::Channel<ipc::DelivererToQueue, ipc::QueueToDeliverer>;

// A next hop that takes everything, one line at a time; or greets and says nothing more.
struct Sink {
    Sink(EventLoop& loop, bool silent)
        : silent(silent), loop(loop), listening(start()),
          acceptor(loop, FileDescriptor(dup(listening.get())),
                   [this](FileDescriptor socket, Endpoint) {
                       sessions.spawn(serve(std::move(socket)));
                   }) {
        sockaddr_storage address;
        socklen_t length = sizeof address;
        getsockname(listening.get(), reinterpret_cast<sockaddr*>(&address), &length);
        port = Endpoint::from_sockaddr(reinterpret_cast<sockaddr&>(address))->port;
    }
    static FileDescriptor start() {
        Result<FileDescriptor> socket = listen_on({*IpAddress::parse("127.0.0.1"), 0}, 16);
        EXPECT_TRUE(socket.ok());
        return std::move(*socket);
    }
    Task<void> serve(FileDescriptor socket) {
        SocketStream stream(loop, std::move(socket));
        ++connections;
        stream.write("220 sink\r\n");
        bool content = false;
        for (;;) {
            Line line = co_await stream.read_line(2000, 20s);
            if (line.status != StreamStatus::ok)
                break;
            lines.emplace_back(line.text);
            if (silent)
                continue;
            if (content && line.text != ".")
                continue;
            const bool begins = !content && line.text == "DATA";
            stream.write(begins ? "354 go\r\n" : "250 2.0.0 fine\r\n");
            content = begins;
        }
        ++closed;
    }

    bool silent;
    EventLoop& loop;
    FileDescriptor listening;
    uint16_t port = 0;
    int connections = 0;
    int closed = 0;
    std::vector<std::string> lines;
    TaskGroup sessions;
    Acceptor acceptor;
};

struct RelayTest : testing::Test {
    EventLoop loop;
    bool done = false;
    ipc::RelaySettings settings;
    std::unique_ptr<Relay> relay;
    std::unique_ptr<QueueEnd> queue;
    std::vector<ipc::Outcome> outcomes;
    uint32_t capacity = 0;
    bool queue_closed = false;

    void SetUp() override {
        settings.hostname = "gw.example";
        relay = std::make_unique<Relay>(loop, settings, 1024, [this] { done = true; });
        connect_queue();
    }
    void connect_queue() {
        auto [ours, theirs] = ipc::make_pair();
        queue = std::make_unique<QueueEnd>(
            loop, std::move(ours),
            [this](ipc::DelivererToQueue&& message) {
                std::visit(
                    ipc::Overloaded{
                        [this](ipc::Outcome& outcome) { outcomes.push_back(std::move(outcome)); },
                        [this](ipc::Capacity& granted) { capacity = granted.deliveries; }},
                    message);
            },
            [this](const std::string&) { queue_closed = true; });
        ipc::Connect connect;
        connect.role = ipc::Role::queue;
        connect.channel = std::move(theirs);
        relay->connect(std::move(connect));
    }
    void send(uint64_t id, uint16_t port) {
        ipc::Deliver deliver;
        deliver.delivery = id;
        deliver.message = id;
        deliver.route.host.emplace();
        deliver.route.host->host = "127.0.0.1";
        deliver.route.host->port = port;
        deliver.reverse_path = "a@s.example";
        ipc::DeliveryRecipient recipient;
        recipient.address = "u@d.example";
        deliver.recipients.push_back(recipient);
        deliver.content.bytes = "Hello\r\n";
        queue->send(std::move(deliver));
    }
    // Runs the loop until `met`, ten seconds at most.
    template <class Condition> bool run_until(Condition met) {
        bool result = false;
        TaskGroup group;
        group.spawn(watch(met, result));
        loop.run();
        return result;
    }
    template <class Condition> Task<void> watch(Condition met, bool& result) {
        for (int i = 0; i < 2000 && !met(); ++i)
            co_await loop.sleep(5ms);
        result = met();
        loop.stop();
    }
};

TEST_F(RelayTest, DeliversAndReports) {
    Sink sink(loop, false);
    ASSERT_TRUE(run_until([&] { return capacity > 0; }));
    EXPECT_EQ(capacity, 200u);
    send(1, sink.port);
    ASSERT_TRUE(run_until([&] { return outcomes.size() == 1; }));
    EXPECT_EQ(outcomes[0].delivery, 1u);
    ASSERT_EQ(outcomes[0].recipients.size(), 1u);
    EXPECT_EQ(outcomes[0].recipients[0].status, ipc::RecipientStatus::delivered);
    EXPECT_EQ(outcomes[0].recipients[0].remote, "[127.0.0.1]:" + std::to_string(sink.port));
    EXPECT_EQ(sink.lines,
              (std::vector<std::string>{"EHLO gw.example", "MAIL FROM:<a@s.example>",
                                        "RCPT TO:<u@d.example>", "DATA", "Hello", "."}));
    send(2, sink.port);
    ASSERT_TRUE(run_until([&] { return outcomes.size() == 2; }));
    EXPECT_EQ(sink.connections, 1) << "the connection is used again";
}

TEST_F(RelayTest, ARefusedConnectionIsReported) {
    uint16_t port = 0;
    {
        Sink gone(loop, false);
        port = gone.port;
    }
    send(1, port);
    ASSERT_TRUE(run_until([&] { return outcomes.size() == 1; }));
    EXPECT_TRUE(outcomes[0].destination_down);
    EXPECT_EQ(outcomes[0].recipients[0].enhanced, "4.4.1");
}

// A resolver that dies over the first question, and its successor, which answers.
TEST_F(RelayTest, AQuestionOutlivesTheResolver) {
    using ResolverEnd = ipc::Channel<ipc::ToResolver, ipc::FromResolver>;
    std::unique_ptr<ResolverEnd> resolver;
    int questions = 0;
    auto connect_resolver = [&](bool answers) {
        auto [ours, theirs] = ipc::make_pair();
        resolver = std::make_unique<ResolverEnd>(
            loop, std::move(ours),
            [&, answers](ipc::ToResolver&& message) {
                ++questions;
                ipc::ResolveAnswer answer;
                answer.request = std::get<ipc::ResolveQuery>(message).request;
                answer.status = ipc::ResolveStatus::no_domain;
                if (answers)
                    resolver->send(std::move(answer));
            },
            [](const std::string&) {});
        ipc::Connect connect;
        connect.role = ipc::Role::resolver;
        connect.channel = std::move(theirs);
        relay->connect(std::move(connect));
    };
    connect_resolver(false);
    ipc::Deliver deliver;
    deliver.delivery = 1;
    deliver.route.domain = "d.example";
    deliver.recipients.emplace_back();
    queue->send(std::move(deliver));
    ASSERT_TRUE(run_until([&] { return questions == 1; }));
    resolver.reset();
    connect_resolver(true);
    ASSERT_TRUE(run_until([&] { return outcomes.size() == 1; }));
    EXPECT_EQ(outcomes[0].recipients[0].enhanced, "5.1.2");
    EXPECT_EQ(questions, 2);
}

TEST_F(RelayTest, WhatADeadQueueAskedForIsDropped) {
    Sink sink(loop, true);
    send(1, sink.port);
    ASSERT_TRUE(run_until([&] { return sink.lines.size() == 1; }));
    capacity = 0;
    connect_queue();
    ASSERT_TRUE(run_until([&] { return sink.closed == 1 && capacity == 200; }));
    EXPECT_TRUE(outcomes.empty());
}

TEST_F(RelayTest, AQueueThatGoesAwayIsSurvived) {
    Sink sink(loop, true);
    send(1, sink.port);
    ASSERT_TRUE(run_until([&] { return sink.lines.size() == 1; }));
    queue.reset();
    ASSERT_TRUE(run_until([&] { return sink.closed == 1; }));
    capacity = 0;
    connect_queue();
    EXPECT_TRUE(run_until([&] { return capacity == 200; }));
}

TEST_F(RelayTest, ExceededCreditIsAnsweredAtOnce) {
    Sink sink(loop, true);
    for (uint64_t id = 1; id <= 201; ++id)
        send(id, sink.port);
    ASSERT_TRUE(run_until([&] { return !outcomes.empty(); }));
    EXPECT_EQ(outcomes[0].delivery, 201u);
    EXPECT_TRUE(outcomes[0].recipients.empty()); // which makes them temporary
}

TEST_F(RelayTest, DrainFinishesWhatIsUnderWayAndQuits) {
    Sink sink(loop, false);
    send(1, sink.port);
    ASSERT_TRUE(run_until([&] { return sink.connections == 1; }));
    relay->drain(10s);
    ASSERT_TRUE(run_until([&] { return done; }));
    EXPECT_EQ(outcomes.size(), 1u);
    EXPECT_EQ(capacity, 0u);
    ASSERT_TRUE(run_until([&] { return sink.closed == 1; }));
    EXPECT_EQ(sink.lines.back(), "QUIT");
}

TEST_F(RelayTest, DrainHasALimit) {
    Sink sink(loop, true);
    send(1, sink.port);
    ASSERT_TRUE(run_until([&] { return sink.lines.size() == 1; }));
    relay->drain(1s);
    EXPECT_TRUE(run_until([&] { return done; }));
    EXPECT_TRUE(outcomes.empty());
}

} // namespace
} // namespace postern::relay
