// Listening sockets and the sessions on them, over loopback.
#include "smtpd/listener/listener.h"

#include <cerrno>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "regress/unit/listener/fakes.h"
#include "regress/unit/listener/loop_support.h"

namespace postern::listener::test {
namespace {

using namespace std::chrono_literals;

// A client by hand.
class Client {
  public:
    Client(EventLoop& loop, uint16_t port, std::string_view first = {})
        : loop_(loop), socket_(::socket(AF_INET, SOCK_STREAM, 0)) {
        sockaddr_storage storage;
        const Endpoint server{*IpAddress::parse("127.0.0.1"), port};
        const socklen_t length = server.to_sockaddr(storage);
        connected = ::connect(socket_.get(), reinterpret_cast<sockaddr*>(&storage), length) == 0;
        send(first);
    }
    void send(std::string_view bytes) {
        if (!bytes.empty()) {
            EXPECT_EQ(::send(socket_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL),
                      static_cast<ssize_t>(bytes.size()));
        }
    }
    // What the server has said when `ending` is the end of it.
    std::string read(std::string_view ending = "\r\n") {
        run_until(loop_, [&] {
            receive();
            return said_.ends_with(ending);
        });
        return std::exchange(said_, {});
    }
    bool wait_for_end() {
        return run_until(loop_, [&] {
            receive();
            return ended_;
        });
    }
    bool ended() {
        receive();
        return ended_;
    }
    void close() { socket_.reset(); }
    const std::string& said() const { return said_; }
    bool connected = false;

  private:
    void receive() {
        char buffer[4096];
        const ssize_t got = ::recv(socket_.get(), buffer, sizeof buffer, MSG_DONTWAIT);
        if (got > 0)
            said_.append(buffer, static_cast<size_t>(got));
        ended_ = ended_ || got == 0 || (got < 0 && errno == ECONNRESET);
    }
    EventLoop& loop_;
    FileDescriptor socket_;
    std::string said_;
    bool ended_ = false;
};

class ListenerTest : public testing::Test {
  public:
    ListenerTest() { configure("mx.test.example"); }

    void configure(const char* hostname, uint32_t max_sessions = 10) {
        serve(listener, hostname, max_sessions);
    }
    void serve(Listener& listener, const char* hostname, uint32_t max_sessions) {
        Result<FileDescriptor> socket = listen_on(Endpoint{*IpAddress::parse("127.0.0.1"), 0}, 10);
        ASSERT_TRUE(socket.ok());
        sockaddr_in name{};
        socklen_t length = sizeof name;
        getsockname(socket->get(), reinterpret_cast<sockaddr*>(&name), &length);
        port = ntohs(name.sin_port);
        ipc::ListenerSettings settings;
        settings.addresses.emplace_back().hostname = hostname;
        settings.max_sessions = max_sessions;
        std::vector<FileDescriptor> sockets;
        sockets.push_back(*std::move(socket));
        ASSERT_TRUE(listener.configure(std::move(settings), std::move(sockets)).ok());
    }

    EventLoop loop;
    FakeQueue queue{loop};
    FakeLookup lookup{loop};
    FakeResolver resolver{loop};
    KeyholderClient keyholder{loop};
    FakeAccounts accounts{loop};
    Listener listener{loop, queue, lookup, resolver, accounts, keyholder};
    uint16_t port = 0;
};

TEST_F(ListenerTest, ServesAWholeSession) {
    Client client(loop, port);
    EXPECT_EQ(client.read(), "220 mx.test.example ESMTP Postern\r\n");
    client.send("EHLO client.example\r\n");
    client.read("250 ENHANCEDSTATUSCODES\r\n");
    client.send("MAIL FROM:<a@client.example>\r\nRCPT TO:<b@dest.example>\r\nDATA\r\n");
    client.read("<CR><LF>.<CR><LF>\r\n");
    client.send("Subject: x\r\n\r\ny\r\n.\r\nQUIT\r\n");
    EXPECT_EQ(client.read("Bye\r\n"), "250 2.0.0 00000000abcd0001 queued\r\n"
                                      "221 2.0.0 mx.test.example Bye\r\n");
    EXPECT_TRUE(client.wait_for_end());
    EXPECT_EQ(listener.sessions(), 0u);
    EXPECT_EQ(listener.counters().messages, 1u);
    ASSERT_EQ(queue.messages.size(), 1u);
    EXPECT_EQ(queue.messages[0].submit.envelope.origin.client, *IpAddress::parse("127.0.0.1"));
}

// Sessions leave descriptors to the channels, over which others come.
TEST_F(ListenerTest, DescriptorsAreKeptBack) {
    rlimit before{};
    getrlimit(RLIMIT_NOFILE, &before);
    rlimit few = before;
    few.rlim_cur = ipc::submission_credit * 3 / 8 + 64 + 2;
    ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &few), 0);
    Listener poor(loop, queue, lookup, resolver, accounts, keyholder);
    setrlimit(RLIMIT_NOFILE, &before);
    serve(poor, "mx.test.example", 0);
    Client one(loop, port), two(loop, port);
    one.read();
    two.read();
    Client three(loop, port);
    EXPECT_EQ(three.read(), "421 4.3.2 mx.test.example Too many sessions: connect again later\r\n");
    EXPECT_EQ(poor.counters().refused_sessions, 1u);
}

TEST_F(ListenerTest, SessionsAreLimited) {
    configure("mx.test.example", 2);
    Client one(loop, port), two(loop, port);
    one.read();
    two.read();
    Client three(loop, port);
    EXPECT_EQ(three.read(), "421 4.3.2 mx.test.example Too many sessions: connect again later\r\n");
    EXPECT_TRUE(three.wait_for_end());
    EXPECT_EQ(listener.counters().refused_sessions, 1u);
    one.send("QUIT\r\n");
    EXPECT_TRUE(one.wait_for_end());
    Client four(loop, port);
    EXPECT_EQ(four.read().substr(0, 3), "220");
}

TEST_F(ListenerTest, WhoTalksFirstIsSentAway) {
    Client client(loop, port, "EHLO client.example\r\nMAIL FROM:<a@client.example>\r\n");
    EXPECT_EQ(client.read().substr(0, 9), "554 5.5.1");
    EXPECT_EQ(listener.counters().early_talkers, 1u);
}

TEST_F(ListenerTest, AReloadIsForLaterSessions) {
    Client before(loop, port);
    before.read();
    const uint16_t old_port = port;
    configure("new.test.example");
    Client after(loop, port);
    EXPECT_EQ(after.read(), "220 new.test.example ESMTP Postern\r\n");
    before.send("HELO x\r\n");
    EXPECT_EQ(before.read(), "250 mx.test.example Hello x\r\n");
    EXPECT_FALSE(Client(loop, old_port).connected);
}

TEST_F(ListenerTest, BadSettingsChangeNothing) {
    ipc::ListenerSettings settings;
    settings.addresses.emplace_back();
    EXPECT_FALSE(listener.configure(std::move(settings), {}).ok());
    Client client(loop, port);
    EXPECT_EQ(client.read(), "220 mx.test.example ESMTP Postern\r\n");
}

TEST_F(ListenerTest, PausedItAcceptsNothing) {
    ipc::Pause pause;
    pause.request = 7;
    pause.subsystem = ipc::Subsystem::smtp;
    auto done = std::get<ipc::Done>(listener.answer(ipc::Question(pause)));
    EXPECT_EQ(done.request, 7u);
    EXPECT_TRUE(done.ok);
    Client client(loop, port);
    int turns = 0; // of the loop: the connection waits in the kernel meanwhile
    run_until(loop, [&] { return ++turns == 20; });
    EXPECT_EQ(listener.sessions(), 0u);
    pause.paused = false;
    listener.answer(ipc::Question(pause));
    EXPECT_EQ(client.read().substr(0, 3), "220");
}

TEST_F(ListenerTest, AnswersOnlyWhatItCan) {
    ipc::Change remove;
    remove.kind = ipc::ChangeKind::remove;
    remove.request = 9;
    auto done = std::get<ipc::Done>(listener.answer(ipc::Question(remove)));
    EXPECT_EQ(done.request, 9u);
    EXPECT_FALSE(done.ok);
    ipc::Pause pause;
    pause.subsystem = ipc::Subsystem::mta;
    EXPECT_FALSE(std::get<ipc::Done>(listener.answer(ipc::Question(pause))).ok);
}

TEST_F(ListenerTest, DrainEndsWhenTheLastSessionDoes) {
    Client idle(loop, port), busy(loop, port);
    idle.read();
    busy.read();
    busy.send("EHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<b@dest.example>\r\nDATA\r\n");
    busy.read("<CR><LF>.<CR><LF>\r\n");
    bool done = false;
    listener.drain(1min, [&] { done = true; });
    EXPECT_EQ(idle.read().substr(0, 9), "421 4.3.2");
    EXPECT_FALSE(done);
    EXPECT_FALSE(Client(loop, port).connected);
    busy.send("x\r\n.\r\n");
    const std::string last = busy.read("connect again later\r\n");
    EXPECT_EQ(last.substr(0, 9), "250 2.0.0");
    EXPECT_NE(last.find("421 4.3.2"), std::string::npos);
    idle.close(); // or the listener would linger a moment for them to read this
    busy.close();
    EXPECT_TRUE(run_until(loop, [&] { return done; }));
}

TEST_F(ListenerTest, DrainHasALimit) {
    Client busy(loop, port);
    busy.read();
    busy.send("EHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<b@dest.example>\r\nDATA\r\n");
    busy.read("<CR><LF>.<CR><LF>\r\n");
    bool done = false;
    listener.drain(50ms, [&] { done = true; });
    EXPECT_TRUE(run_until(loop, [&] { return done; }));
    EXPECT_EQ(listener.sessions(), 0u);
    EXPECT_TRUE(busy.wait_for_end());
    EXPECT_EQ(busy.said().substr(0, 9), "421 4.3.2");
}

TEST_F(ListenerTest, DrainWithoutSessionsEndsAtOnce) {
    bool done = false;
    listener.drain(1min, [&] { done = true; });
    EXPECT_TRUE(run_until(loop, [&] { return done; }));
}

} // namespace
} // namespace postern::listener::test
