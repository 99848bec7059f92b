// When much is in use: less patience, the longest idle go, and memory has a bound.
#include "smtpd/listener/pressure.h"

#include <array>
#include <cerrno>
#include <malloc.h>

#include "regress/unit/listener/dialogue.h"

namespace postern::listener::test {
namespace {

const TimePoint start = TimePoint() + 1000h;

TEST(PressureTest, Sessions) {
    Pressure pressure;
    pressure.configure(10, 0);
    for (int i = 0; i < 7; ++i)
        pressure.session_began();
    EXPECT_FALSE(pressure.high(start));
    EXPECT_EQ(pressure.surplus_sessions(start), 0u);
    pressure.session_began();
    EXPECT_TRUE(pressure.high(start));
    EXPECT_EQ(pressure.surplus_sessions(start), 1u);
    pressure.session_began();
    pressure.session_began();
    EXPECT_EQ(pressure.surplus_sessions(start), 3u);
    for (int i = 0; i < 3; ++i)
        pressure.session_ended();
    EXPECT_FALSE(pressure.high(start));
}

TEST(PressureTest, Memory) {
    Pressure pressure;
    pressure.configure(0, 1000);
    pressure.memory_changed(0, 799);
    EXPECT_FALSE(pressure.high(start));
    pressure.memory_changed(99, 100);
    EXPECT_TRUE(pressure.high(start));
    EXPECT_FALSE(pressure.memory_full());
    EXPECT_EQ(pressure.surplus_sessions(start), 1u);
    pressure.memory_changed(0, 200);
    EXPECT_TRUE(pressure.memory_full());
    pressure.memory_changed(1000, 0);
    EXPECT_EQ(pressure.memory(), 0u);
    EXPECT_FALSE(pressure.high(start));
}

TEST(PressureTest, ContentFiles) {
    Pressure pressure;
    pressure.files_changed(306, 384);
    EXPECT_FALSE(pressure.high(start));
    pressure.files_changed(307, 384);
    EXPECT_TRUE(pressure.high(start));
    EXPECT_EQ(pressure.surplus_sessions(start), 0u) << "those that wait have none";
    pressure.files_changed(0, 384);
    EXPECT_FALSE(pressure.high(start));
}

TEST(PressureTest, Descriptors) {
    Pressure pressure;
    pressure.configure(1000, 0);
    for (int i = 0; i < 100; ++i)
        pressure.session_began();
    pressure.descriptors_ran_out(start);
    EXPECT_TRUE(pressure.high(start + 59s));
    EXPECT_EQ(pressure.surplus_sessions(start), 6u);
    EXPECT_FALSE(pressure.high(start + 60s));
    EXPECT_EQ(pressure.surplus_sessions(start + 60s), 0u);
}

TEST(PressureTest, NoLimits) {
    Pressure pressure;
    for (int i = 0; i < 100; ++i)
        pressure.session_began();
    pressure.memory_changed(0, uint64_t{1} << 40);
    EXPECT_FALSE(pressure.high(start));
    EXPECT_FALSE(pressure.memory_full());
}

TEST(PressureTest, TheLongestIdleFirst) {
    const std::vector<IdleSession> idle{
        {start + 5s, 1}, {start + 1s, 2}, {start + 9s, 3}, {start + 3s, 4}};
    EXPECT_EQ(longest_idle(idle, 2), (std::vector<uint64_t>{2, 4}));
    EXPECT_EQ(longest_idle(idle, 9), (std::vector<uint64_t>{2, 4, 1, 3}));
    EXPECT_EQ(longest_idle(idle, 0), std::vector<uint64_t>());
}

class UnderPressure : public Dialogue {
  public:
    void press() { pressure.descriptors_ran_out(time.now()); }
    void fill_memory() {
        pressure.configure(10, 1'000'000);
        pressure.memory_changed(0, 1'000'000);
    }
};

TEST_F(UnderPressure, ACommandWithinTenSeconds) {
    press();
    greet();
    play(R"(
        pass 9s
        C: NOOP
        S: 250 *
        pass 9s
        open
        pass 1s
        S: 421 4.4.2 *
        closed
    )");
}

TEST_F(UnderPressure, ContentWithinThirty) {
    begin_mail();
    press();
    play(R"(
        C: DATA
        S: 354 *
        pass 29s
        C: x
        pass 29s
        open
        pass 1s
        S: 421 4.4.2 *
        closed
    )");
}

TEST_F(UnderPressure, FewerQuestionsAtOnce) {
    press();
    lookup.delay = 1s;
    greet();
    std::string burst = "MAIL FROM:<a@client.example>\r\n";
    for (int i = 0; i < 20; ++i)
        burst += "RCPT TO:<user" + std::to_string(i) + "@dest.example>\r\n";
    send(burst);
    time.advance(1min);
    receive();
    EXPECT_EQ(lookup.queries.size(), 20u);
    EXPECT_EQ(lookup.most_at_once, static_cast<int>(Session::max_lookups_pressed));
}

TEST_F(UnderPressure, SheddingIsFor) {
    greet();
    EXPECT_EQ(session->waiting_since(), time.now());
    time.advance(20s);
    EXPECT_EQ(session->waiting_since(), time.now() - 20s);
    session->shed();
    play("S: 421 4.3.2 mx.test.example Too busy *\nclosed");
    EXPECT_EQ(counters.shed, 1u);
}

// While a message is with the queue nobody waits for the client.
TEST_F(UnderPressure, WhatIsUnderWayDoesNotCountAsIdle) {
    queue.delay = 1min;
    begin_mail();
    play("C: DATA\nS: 354 *");
    EXPECT_EQ(session->waiting_since(), time.now());
    play("C: .\npass 20s\nsilence");
    EXPECT_EQ(session->waiting_since(), TimePoint::max());
    play("pass 40s\nS: 250 2.0.0 *");
}

TEST_F(UnderPressure, StalledContentIsShedToo) {
    begin_mail();
    play("C: DATA\nS: 354 *\nC: Subject: x\npass 20s");
    EXPECT_EQ(session->waiting_since(), time.now() - 20s);
    session->shed();
    play("S: 421 4.3.2 *\nclosed");
    EXPECT_EQ(queue.messages.size(), 0u);
}

TEST_F(UnderPressure, AnOctetNowAndThenIsNoProgress) {
    begin_mail();
    play("C: DATA\nS: 354 *");
    const TimePoint begun = time.now();
    for (int i = 0; i < 5; ++i) {
        send("x");
        time.advance(9s);
    }
    EXPECT_EQ(session->waiting_since(), begun);
    EXPECT_EQ(session->overdue_at(), begun + patience::pressed_content);
    send(std::string(16 * 1024, 'x'));
    EXPECT_EQ(session->waiting_since(), time.now());
}

// Commands have ten seconds, content has thirty.
TEST_F(UnderPressure, EachWaitHasItsOwnPatience) {
    greet();
    EXPECT_EQ(session->overdue_at(), time.now() + 10s);
    play("C: MAIL FROM:<>\nS: 250 *\nC: RCPT TO:<user@dest.example>\nS: 250 *\nC: DATA\nS: 354 *");
    EXPECT_EQ(session->overdue_at(), time.now() + 30s);
}

TEST_F(UnderPressure, WithoutMemoryNothingIsBegun) {
    greet();
    fill_memory();
    play(R"(
        C: MAIL FROM:<a@client.example>
        S: 452 4.3.1 *
        C: NOOP
        S: 250 *
    )");
    EXPECT_EQ(counters.refused_memory, 1u);
}

TEST_F(UnderPressure, WithoutMemoryNoMoreRecipients) {
    lookup.delay = 1s;
    greet();
    play("C: MAIL FROM:<a@client.example>\nC: RCPT TO:<a@dest.example>\nS: 250 *");
    fill_memory();
    play(R"(
        C: RCPT TO:<b@dest.example>
        pass 1s
        S: 250 2.1.5 *
        S: 452 4.3.1 *
        C: DATA
        S: 452 4.3.1 *
        C: BDAT 6 LAST
        C= RSET\r\n
        S: 452 4.3.1 *
        C: BDAT 6 LAST
        C= RSET\r\n
        S: 503 *
    )");
}

// What has begun goes on, in a file.
TEST_F(UnderPressure, WithoutMemoryContentGoesIntoAFile) {
    begin_mail();
    play("C: DATA\nS: 354 *");
    fill_memory();
    send("Subject: x\r\n\r\n");
    for (int i = 0; i < 100; ++i)
        send(std::string(98, 'x') + "\r\n");
    play("C: .\nS: 250 2.0.0 *");
    ASSERT_EQ(queue.messages.size(), 1u);
    EXPECT_TRUE(queue.messages[0].in_file);
    EXPECT_TRUE(queue.messages[0].content.ends_with("x\r\n"));
}

TEST_F(UnderPressure, NothingIsLeftBehind) {
    begin_mail();
    EXPECT_GT(pressure.memory(), 0u);
    send("BDAT 300000\r\n" + std::string(200'000, 'x'));
    EXPECT_GT(pressure.memory(), 64'000u);
    session.reset();
    EXPECT_EQ(pressure.memory(), 0u);
}

// Sends a script as fast as it is read, and looks for refusals in what it hears. Holds no buffers,
// so that what is measured is the session's.
class PushingStream final : public Stream {
  public:
    PushingStream(Executor& executor, std::string_view script)
        : Stream(executor), script_(script) {}

    void push() {
        static std::array<char, 64 * 1024> scratch;
        if (wanted_)
            on_readable(scratch);
    }
    bool done() const { return script_.empty(); }
    bool refused() const { return refused_; }

  protected:
    ssize_t receive(char* buffer, size_t size) override {
        const size_t length = std::min({size, script_.size(), size_t{4096}});
        if (length == 0) {
            errno = EAGAIN;
            return -1;
        }
        script_.copy(buffer, length);
        script_.remove_prefix(length);
        return static_cast<ssize_t>(length);
    }
    ssize_t transmit(const char* bytes, size_t size) override {
        refused_ = refused_ || std::string_view(bytes, size).find("452 4.3.1") != std::string::npos;
        return static_cast<ssize_t>(size);
    }
    void watch(bool input, bool) override { wanted_ = input; }

  private:
    std::string_view script_;
    bool wanted_ = true;
    bool refused_ = false;
};

// Clients that push as many recipients as they can. What is noted is what is taken, and all of
// them together stay below the limit, and little above it where they are many.
class Pushers : public testing::Test, SessionOwner {
  public:
    void push(size_t clients, uint64_t max_memory) {
        ipc::ListenAddress address;
        address.hostname = "mx.test.example";
        settings_->addresses.push_back(address);
        settings_->max_recipients = 1000;
        pressure_.configure(0, max_memory);
        clients_.configure(settings_->clients, 0);
        std::string script = "EHLO client.example\r\nMAIL FROM:<a@client.example>\r\n";
        for (int i = 0; i < 1000; ++i)
            script += "RCPT TO:<a.name.of.usual.length." + std::to_string(i) + "@dest.example>\r\n";
        sessions_.reserve(clients);
        const size_t before = in_use();
        for (size_t i = 0; i < clients; ++i) {
            auto stream = std::make_unique<PushingStream>(time_, script);
            PushingStream& client = *stream;
            Connection connection;
            connection.id = i;
            connection.client = *IpAddress::parse("192.0.2.7");
            connection.settings = settings_;
            sessions_.push_back(
                std::make_unique<Session>(services_, static_cast<SessionOwner&>(*this),
                                          std::move(connection), std::move(stream)));
            sessions_.back()->start();
            while (!client.done()) {
                client.push();
                time_.run();
            }
            refused_ += client.refused();
            lookup_.queries.clear();
        }
        lookup_.queries.shrink_to_fit();
        taken_ = in_use() - before;
    }

    static size_t in_use() { return mallinfo2().uordblks + mallinfo2().hblkhd; }

    postern::test::SimulatedTime time_;
    FakeQueue queue_{time_};
    FakeLookup lookup_{time_};
    FakeResolver resolver_{time_};
    SessionCounters counters_;
    ClientLimits clients_{0x5ec7e7};
    Pressure pressure_;
    std::shared_ptr<ipc::ListenerSettings> settings_ = std::make_shared<ipc::ListenerSettings>();
    std::vector<std::unique_ptr<Session>> sessions_;
    size_t taken_ = 0;
    size_t refused_ = 0;

  private:
    void ended(Session&) override {}
    FakeAccounts accounts_{time_};
    LoginDelays delays_;
    SessionServices services_{time_,   queue_,    lookup_,  resolver_, accounts_,
                              delays_, counters_, clients_, pressure_};
};

TEST_F(Pushers, WhatIsNotedIsWhatIsTaken) {
    push(200, 0);
    EXPECT_EQ(refused_, 0u);
    RecordProperty("bytes_of_a_session", static_cast<int>(taken_ / sessions_.size()));
    EXPECT_GT(pressure_.memory(), taken_ * 8 / 10) << taken_;
    EXPECT_LT(pressure_.memory(), taken_ * 13 / 10) << taken_;
    EXPECT_LT(taken_ / sessions_.size(), 160u * 1024);
}

TEST_F(Pushers, FourThousandStayWithinTheLimit) {
    constexpr uint64_t limit = 32 * 1024 * 1024;
    push(4000, limit);
    EXPECT_GT(refused_, 3000u);
    // A session costs its 4 KiB even if it is refused everything.
    EXPECT_LT(pressure_.memory(), limit + 4000 * 6 * 1024);
    EXPECT_LT(taken_, (limit + 4000 * 6 * 1024) * 13 / 10);
    sessions_.clear();
    EXPECT_EQ(pressure_.memory(), 0u);
}

} // namespace
} // namespace postern::listener::test
