// What a session may rely on when it waits for lines and bytes, in simulated time.
#include <gtest/gtest.h>

#include <cerrno>
#include <vector>

#include "common/loop/task.h"
#include "common/net/stream.h"
#include "regress/support/memory_stream.h"
#include "regress/support/simulated_time.h"

namespace postern {
namespace {

using namespace std::chrono_literals;
using test::MemoryStream;
using test::SimulatedTime;

struct Got {
    StreamStatus status;
    std::string text;
    bool crlf;
    bool operator==(const Got&) const = default;
};
std::ostream& operator<<(std::ostream& out, const Got& got) {
    return out << to_string(got.status) << " \"" << got.text << "\" " << got.crlf;
}

Task<void> read_lines(Stream& stream, size_t limit, Duration time_limit, std::vector<Got>& got) {
    while (true) {
        Line line = co_await stream.read_line(limit, time_limit);
        got.push_back({line.status, std::string(line.text), line.crlf});
        if (line.status == StreamStatus::closed || line.status == StreamStatus::timed_out)
            co_return;
    }
}

// Everything that `input` is read as, when it arrives in pieces of so many bytes.
std::vector<Got> lines_of(std::string_view input, size_t limit, size_t piece) {
    SimulatedTime time;
    auto [near, far] = MemoryStream::make_pair(time);
    near->limit_reads(piece);
    std::vector<Got> got;
    TaskGroup tasks;
    tasks.spawn(read_lines(*near, limit, 1min, got));
    far->write(input);
    time.run();
    far->end_output();
    time.run();
    return got;
}

TEST(Stream, ALineCanBeWiped) {
    SimulatedTime time;
    auto [near, far] = MemoryStream::make_pair(time);
    TaskGroup tasks;
    far->write("a password\r\nand more\r\n");
    tasks.spawn([](Stream& stream) -> Task<void> {
        Line line = co_await stream.read_line(100, 1min);
        EXPECT_EQ(line.text, "a password");
        stream.wipe_line();
        EXPECT_EQ(line.text, std::string(10, '\0')) << "where it was";
        line = co_await stream.read_line(100, 1min);
        EXPECT_EQ(line.text, "and more");
    }(*near));
    time.run();
    EXPECT_TRUE(tasks.empty());
}

// A connection that takes a few bytes at a time, and remembers where they were.
class SlowTaker final : public Stream {
  public:
    using Stream::Stream;
    std::string taken;
    std::string behind; // what was left of it in the buffer when the next bytes were sent
    void on_writable() { Stream::on_writable(); }

  protected:
    ssize_t receive(char*, size_t) override { return 0; }
    ssize_t transmit(const char* bytes, size_t size) override {
        behind += std::string_view(bytes - last_, last_);
        if (last_ != 0) {
            last_ = 0;
            errno = EAGAIN;
            return -1;
        }
        last_ = std::min<size_t>(size, 4);
        taken.append(bytes, last_);
        return static_cast<ssize_t>(last_);
    }
    void watch(bool, bool) override {}

  private:
    size_t last_ = 0;
};

TEST(Stream, WhatIsSecretIsOverwrittenWhenItIsSent) {
    SimulatedTime time;
    SlowTaker stream(time);
    stream.write_secret("a password");
    time.run();
    EXPECT_EQ(stream.taken, "a pa");
    EXPECT_EQ(stream.behind, std::string(4, '\0'));
    stream.on_writable();
    EXPECT_EQ(stream.taken, "a passwo");
    EXPECT_EQ(stream.behind, std::string(8, '\0'));
    stream.on_writable();
    EXPECT_EQ(stream.pending_output(), 0u);
    SlowTaker other(time);
    other.write("no secret");
    time.run();
    EXPECT_EQ(other.behind, "no s") << "others need not pay for it";
}

TEST(Stream, ReadsLinesHoweverTheyArrive) {
    const Got end{StreamStatus::closed, "", false};
    auto ok = [](const char* text, bool crlf = true) { return Got{StreamStatus::ok, text, crlf}; };
    const Got long_one{StreamStatus::too_long, "12345678", false}; // what it begins with
    struct Row {
        const char* input;
        std::vector<Got> lines;
    } rows[] = {
        {"", {end}},
        {"a\r\n", {ok("a"), end}},
        {"a\r\nb\r\n\r\n", {ok("a"), ok("b"), ok(""), end}},
        {"a\nb\r\n", {ok("a", false), ok("b"), end}},
        {"\n", {ok("", false), end}},
        {"a\rb\r\n", {ok("a\rb"), end}},
        {"a\r\r\n", {ok("a\r"), end}},
        {"no end", {end}},
        {"12345678\r\n", {ok("12345678"), end}},          // ten bytes: the limit
        {"123456789\r\nb\r\n", {long_one, ok("b"), end}}, // one more
        {"123456789012345678901234567890\r\nb\r\n", {long_one, ok("b"), end}},
        {"123456789012345678901234567890", {end}},
    };
    for (const Row& row : rows)
        for (size_t piece : {0, 1, 2, 3, 7})
            EXPECT_EQ(lines_of(row.input, 10, piece), row.lines) << row.input << " by " << piece;
}

TEST(Stream, AReaderWaitsNoLongerThanItsLimit) {
    SimulatedTime time;
    auto [near, far] = MemoryStream::make_pair(time);
    std::vector<Got> got;
    TaskGroup tasks;
    tasks.spawn(read_lines(*near, 100, 5min, got));
    time.advance(4min);
    far->write("NOOP\r\n");
    time.run();
    ASSERT_EQ(got.size(), 1u);
    far->write("half a li");
    time.advance(4min + 59s);
    EXPECT_EQ(got.size(), 1u) << "the limit starts anew with each wait";
    time.advance(1s);
    ASSERT_EQ(got.size(), 2u);
    EXPECT_EQ(got[1].status, StreamStatus::timed_out);
}

TEST(Stream, AShorterLimitAfterALongerOneHolds) {
    SimulatedTime time;
    auto [near, far] = MemoryStream::make_pair(time);
    std::vector<StreamStatus> got;
    TaskGroup tasks;
    tasks.spawn([](Stream& stream, std::vector<StreamStatus>& got) -> Task<void> {
        got.push_back((co_await stream.read_line(100, 10min)).status);
        got.push_back((co_await stream.read_line(100, 10s)).status);
    }(*near, got));
    far->write("a\r\n");
    time.run();
    time.advance(10s);
    EXPECT_EQ(got, (std::vector{StreamStatus::ok, StreamStatus::timed_out}));
}

TEST(Stream, InputIsBoundedWhileNobodyReads) {
    SimulatedTime time;
    auto [near, far] = MemoryStream::make_pair(time);
    far->write(std::string(4 * Stream::input_limit, 'x'));
    time.run();
    EXPECT_EQ(near->input().size(), Stream::input_limit);
    near->consume(near->input().size());
    time.run();
    EXPECT_GT(near->input().size(), 0u) << "reading goes on once there is room";
}

TEST(Stream, TheBoundOfInputMayBeLower) {
    SimulatedTime time;
    auto [near, far] = MemoryStream::make_pair(time);
    near->limit_input(1000);
    far->write(std::string(5000, 'x'));
    time.run();
    EXPECT_EQ(near->input().size(), 1000u);
    EXPECT_EQ(near->buffered(), 1000u);
    near->limit_input(3000);
    time.run();
    EXPECT_EQ(near->input().size(), 3000u) << "reading goes on at once";
    near->limit_input(1000);
    near->consume(1500);
    time.run();
    EXPECT_EQ(near->input().size(), 1500u) << "what is there stays";
    near->consume(1500);
    time.run();
    EXPECT_EQ(near->input().size(), 1000u);
}

TEST(Stream, ReadMoreGivesWhatComesNext) {
    SimulatedTime time;
    auto [near, far] = MemoryStream::make_pair(time);
    std::string seen;
    std::vector<StreamStatus> statuses;
    TaskGroup tasks;
    tasks.spawn([](Stream& stream, std::string& seen, auto& statuses) -> Task<void> {
        do {
            statuses.push_back(co_await stream.read_more(1min));
            seen += stream.input();
            stream.consume(stream.input().size());
        } while (statuses.back() == StreamStatus::ok);
    }(*near, seen, statuses));
    for (const char* piece : {"one ", "two ", "three"}) {
        far->write(piece);
        time.run();
    }
    far->end_output();
    time.run();
    EXPECT_EQ(seen, "one two three");
    EXPECT_EQ(statuses.back(), StreamStatus::closed);
}

TEST(Stream, WhatIsWrittenInOneTurnTravelsTogether) {
    SimulatedTime time;
    auto [near, far] = MemoryStream::make_pair(time);
    near->write("250 one\r\n");
    near->write("250 two\r\n");
    EXPECT_EQ(near->pending_output(), 18u);
    time.run();
    EXPECT_EQ(near->pending_output(), 0u);
    EXPECT_EQ(far->take(), "250 one\r\n250 two\r\n");
}

TEST(Stream, DrainWaitsForASlowPeerAndGivesUpOnAStalledOne) {
    SimulatedTime time;
    auto [near, far] = MemoryStream::make_pair(time, 1000);
    std::vector<StreamStatus> got;
    TaskGroup tasks;
    auto drain = [](Stream& stream, std::vector<StreamStatus>& got) -> Task<void> {
        got.push_back(co_await stream.drain(1min));
    };
    far->stop_reading(true);
    near->write(std::string(10000, 'x'));
    tasks.spawn(drain(*near, got));
    time.advance(50s);
    far->stop_reading(false); // takes some: the limit starts anew
    time.run();
    EXPECT_EQ(got, std::vector{StreamStatus::ok});
    far->stop_reading(true);
    near->write(std::string(10000, 'x'));
    tasks.spawn(drain(*near, got));
    time.advance(59s);
    EXPECT_EQ(got.size(), 1u);
    time.advance(1s);
    EXPECT_EQ(got.back(), StreamStatus::timed_out);
}

TEST(Stream, ABrokenConnectionEndsBothWaits) {
    SimulatedTime time;
    auto [near, far] = MemoryStream::make_pair(time, 1000);
    std::vector<Got> lines;
    std::vector<StreamStatus> drains;
    TaskGroup tasks;
    far->stop_reading(true);
    near->write(std::string(10000, 'x'));
    tasks.spawn(read_lines(*near, 100, 10min, lines));
    tasks.spawn([](Stream& stream, std::vector<StreamStatus>& got) -> Task<void> {
        got.push_back(co_await stream.drain(10min));
    }(*near, drains));
    time.run();
    far->reset();
    time.run();
    ASSERT_EQ(lines.size(), 1u);
    EXPECT_EQ(lines[0].status, StreamStatus::closed);
    EXPECT_EQ(drains, std::vector{StreamStatus::closed});
    EXPECT_TRUE(tasks.empty());
}

TEST(Stream, OutlivesATaskThatIsDroppedWhileItWaits) {
    SimulatedTime time;
    auto [near, far] = MemoryStream::make_pair(time);
    std::vector<Got> got;
    {
        TaskGroup tasks;
        tasks.spawn(read_lines(*near, 100, 1min, got));
    }
    far->write("a\r\n");
    time.advance(2min);
    EXPECT_TRUE(got.empty());
    EXPECT_EQ(near->input(), "a\r\n");
}

} // namespace
} // namespace postern
