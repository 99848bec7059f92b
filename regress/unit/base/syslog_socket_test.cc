// A syslog daemon that is slow, or gone, or another one than before.
#include <gtest/gtest.h>

#include <filesystem>
#include <regex>
#include <sys/socket.h>
#include <sys/un.h>
#include <syslog.h>

#include "common/base/log.h"
#include "common/base/syslog_socket.h"

namespace postern {
namespace {

using namespace std::chrono_literals;

// The daemon's end.
class Daemon {
  public:
    explicit Daemon(const std::string& path)
        : socket_(::socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)) {
        ::unlink(path.c_str());
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        path.copy(address.sun_path, sizeof address.sun_path - 1);
        EXPECT_EQ(
            ::bind(socket_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    }

    // The next line, from the sender on; empty: there is none.
    std::string take() {
        const std::string whole = take_whole();
        return whole.substr(std::min(whole.size(), whole.find('>') + 17));
    }
    std::string take_whole() {
        char buffer[4096];
        const ssize_t size = ::recv(socket_.get(), buffer, sizeof buffer, 0);
        return std::string(buffer, static_cast<size_t>(std::max<ssize_t>(size, 0)));
    }
    size_t take_all() {
        size_t lines = 0;
        while (!take_whole().empty())
            ++lines;
        return lines;
    }

  private:
    FileDescriptor socket_;
};

struct SyslogSocketTest : testing::Test {
    SyslogSocketTest() {
        char name[] = "/tmp/postern-test-XXXXXX";
        folder = mkdtemp(name);
        path = folder + "/log";
    }
    ~SyslogSocketTest() override { std::filesystem::remove_all(folder); }
    SyslogSocket socket() {
        return SyslogSocket(path, [this] { return now; });
    }

    std::string folder, path;
    SyslogSocket::Clock::time_point now{1000h};
};

TEST_F(SyslogSocketTest, ALineLooksAsDaemonsExpectIt) {
    Daemon daemon(path);
    SyslogSocket log = socket();
    ASSERT_TRUE(log.offer(LOG_WARNING, "postern-queue[4711]", "warning: full"));
    const std::string line = daemon.take_whole();
    EXPECT_TRUE(std::regex_match(
        line, std::regex("<20>[A-Z][a-z]{2} [ 1-3][0-9] [0-2][0-9]:[0-5][0-9]:[0-6][0-9] "
                         "postern-queue\\[4711\\]: warning: full")))
        << line;
}

TEST_F(SyslogSocketTest, AHungDaemonIsNotWaitedFor) {
    Daemon daemon(path);
    SyslogSocket log = socket();
    size_t taken = 0;
    while (log.offer(LOG_INFO, "a", "b"))
        ASSERT_LT(++taken, 100'000u);
    const auto start = std::chrono::steady_clock::now();
    for (int i = 0; i < 1000; ++i)
        EXPECT_FALSE(log.send(LOG_INFO, "a", "b"));
    EXPECT_LT(std::chrono::steady_clock::now() - start, 5s) << "a moment, once";
    EXPECT_EQ(daemon.take_all(), taken);
    EXPECT_TRUE(log.send(LOG_INFO, "a", "c"));
    EXPECT_EQ(daemon.take(), "a: c");
}

TEST_F(SyslogSocketTest, ADaemonThatComesBackGetsLinesAgain) {
    SyslogSocket log = socket();
    EXPECT_FALSE(log.offer(LOG_INFO, "a", "nobody there yet"));
    auto daemon = std::make_unique<Daemon>(path);
    EXPECT_FALSE(log.offer(LOG_INFO, "a", "one attempt in a second"));
    now += 1s;
    EXPECT_TRUE(log.offer(LOG_INFO, "a", "b"));
    EXPECT_EQ(daemon->take(), "a: b");
    daemon.reset();
    EXPECT_FALSE(log.offer(LOG_INFO, "a", "gone"));
    now += 1s;
    EXPECT_FALSE(log.offer(LOG_INFO, "a", "still gone"));
    daemon = std::make_unique<Daemon>(path);
    now += 1s;
    EXPECT_TRUE(log.offer(LOG_INFO, "a", "c"));
    EXPECT_EQ(daemon->take(), "a: c");
}

// The socket of the one that hangs lives on without a name.
TEST_F(SyslogSocketTest, ADaemonThatTakesTheHungOnesPlaceGetsTheLines) {
    Daemon hung(path);
    SyslogSocket log = socket();
    while (log.offer(LOG_INFO, "a", "b")) {
    }
    Daemon fresh(path);
    now += 1s;
    EXPECT_TRUE(log.offer(LOG_INFO, "a", "c"));
    EXPECT_EQ(fresh.take(), "a: c");
}

// Whatever the log is opened to.
TEST_F(SyslogSocketTest, TheLogCountsWhatTheDaemonDoesNotTake) {
    auto daemon = std::make_unique<Daemon>(path);
    log::open("smtpd", log::Output::syslog, path);
    const std::string self = "smtpd[" + std::to_string(getpid()) + "]: ";
    log::error("no luck", {{"reason", "two\nlines"}});
    EXPECT_EQ(daemon->take(), self + "error: no luck reason=\"two\\x0alines\"");
    const log::Line line{log::Level::info, "delivered"};
    EXPECT_TRUE(log::pass_on("postern-queue[4711]", line));
    EXPECT_EQ(daemon->take(), "postern-queue[4711]: delivered");
    size_t taken = 0;
    while (log::pass_on("postern-queue[4711]", line))
        ASSERT_LT(++taken, 100'000u);
    log::info("one");
    log::info("two");
    EXPECT_EQ(daemon->take_all(), taken);
    EXPECT_TRUE(log::pass_on("postern-queue[4711]", line));
    EXPECT_EQ(daemon->take(), self + "warning: log lines were lost lines=2");
    EXPECT_EQ(daemon->take(), "postern-queue[4711]: delivered");
    log::info("on we go");
    EXPECT_EQ(daemon->take(), self + "on we go");
    EXPECT_EQ(daemon->take(), "");
    log::open("postern-test", log::Output::standard_error);
}

} // namespace
} // namespace postern
