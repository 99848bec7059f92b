// A process that is started, without the program that it would be.
#include <gtest/gtest.h>

#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <sys/resource.h>
#include <sys/wait.h>

#include "smtpd/supervisor/child.h"

namespace postern {
namespace {

struct ChildTest : testing::Test {
    ChildTest() {
        char name[] = "/tmp/postern-test-XXXXXX";
        folder = mkdtemp(name);
    }
    ~ChildTest() override { std::filesystem::remove_all(folder); }
    void program(const std::string& script) {
        const std::string path = folder + "/postern-control";
        std::ofstream(path) << "#!/bin/sh\n" << script;
        std::filesystem::permissions(path, std::filesystem::perms::owner_all);
    }

    std::string folder;
    EventLoop loop;
};

TEST_F(ChildTest, WhatItSaysLastIsPassedOn) {
    program("printf '<6>serving' >&2\nprintf 'terminate called\\n' >&2\nexit 70\n");
    std::vector<std::pair<std::string, log::Line>> lines;
    Child child(
        loop, {ipc::Role::control, 0}, [](Child&, ipc::ToSupervisor&&) {},
        [&](const std::string& sender, const log::Line& line) {
            lines.emplace_back(sender, line);
            return true;
        });
    ASSERT_TRUE(child.start(folder));
    const std::string sender = "postern-control[" + std::to_string(child.pid()) + "]";
    int status = 0;
    ASSERT_EQ(waitpid(child.pid(), &status, 0), child.pid());
    EXPECT_EQ(WEXITSTATUS(status), 70);
    EXPECT_TRUE(lines.empty()) << "the loop does not run";
    child.ended();
    const std::vector<std::pair<std::string, log::Line>> expected = {
        {sender, {log::Level::info, "serving"}},
        {sender, {log::Level::error, "terminate called"}},
    };
    EXPECT_EQ(lines, expected);
}

// No more descriptors than are open, for as long as this lives.
class NoDescriptors {
  public:
    NoDescriptors() {
        getrlimit(RLIMIT_NOFILE, &before_);
        rlimit none = before_;
        none.rlim_cur = static_cast<rlim_t>(FileDescriptor(open("/dev/null", O_RDONLY)).get());
        setrlimit(RLIMIT_NOFILE, &none);
    }
    ~NoDescriptors() { setrlimit(RLIMIT_NOFILE, &before_); }

  private:
    rlimit before_;
};

TEST_F(ChildTest, WithoutDescriptorsItIsStartedLater) {
    program("exit 0\n");
    Child child(
        loop, {ipc::Role::control, 0}, [](Child&, ipc::ToSupervisor&&) {},
        [](const std::string&, const log::Line&) { return true; });
    {
        NoDescriptors none;
        const Result<void> started = child.start(folder);
        ASSERT_FALSE(started);
        EXPECT_EQ(started.error().code, EMFILE);
        EXPECT_FALSE(child.running());
    }
    ASSERT_TRUE(child.start(folder));
    int status = 0;
    ASSERT_EQ(waitpid(child.pid(), &status, 0), child.pid());
    EXPECT_EQ(status, 0);
    child.ended();
}

TEST_F(ChildTest, WithoutItsProgramItIsStartedLater) {
    Child child(
        loop, {ipc::Role::control, 0}, [](Child&, ipc::ToSupervisor&&) {},
        [](const std::string&, const log::Line&) { return true; });
    const Result<void> started = child.start(folder);
    ASSERT_FALSE(started);
    EXPECT_EQ(started.error().message, folder + "/postern-control: No such file or directory");
    EXPECT_FALSE(child.running());
}

TEST_F(ChildTest, NothingOfOursGoesWithIt) {
    program("exec >&2; echo $(ls /proc/$$/fd); grep -E 'Sig(Blk|Ign)' /proc/$$/status\n");
    std::vector<std::string> lines;
    Child child(
        loop, {ipc::Role::control, 0}, [](Child&, ipc::ToSupervisor&&) {},
        [&](const std::string&, const log::Line& line) {
            lines.push_back(line.text);
            return true;
        });
    const FileDescriptor ours(fcntl(0, F_DUPFD, 100));
    const auto before = signal(SIGPIPE, SIG_IGN);
    ASSERT_TRUE(child.start(folder));
    signal(SIGPIPE, before);
    int status = 0;
    ASSERT_EQ(waitpid(child.pid(), &status, 0), child.pid());
    child.ended();
    ASSERT_EQ(lines.size(), 3u);
    EXPECT_EQ(lines[0].find("100"), std::string::npos) << lines[0];
    const auto signals = [](const std::string& line) {
        return std::stoull(line.substr(line.find_first_of("0123456789")), nullptr, 16);
    };
    EXPECT_EQ(signals(lines[1]), 0u) << lines[1];
    // The C library may have its own ignored until it needs them.
    EXPECT_EQ(signals(lines[2]) & ((1ull << (SIGRTMIN - 3)) - 1), 0u) << lines[2];
}

// An ordinary burst: 5,000 bounces in a turn of the queue.
TEST_F(ChildTest, ABurstOfLinesFindsRoom) {
    if (geteuid() != 0)
        GTEST_SKIP() << "the system may grant less";
    program("i=0\nline=\"<6>$(printf %0200d 0)\"\n"
            "while [ $i -lt 5000 ]; do printf $line >&2 || exit 1; i=$((i + 1)); done\n");
    Child child(
        loop, {ipc::Role::control, 0}, [](Child&, ipc::ToSupervisor&&) {},
        [](const std::string&, const log::Line&) { return true; });
    ASSERT_TRUE(child.start(folder));
    int status = 0;
    ASSERT_EQ(waitpid(child.pid(), &status, 0), child.pid());
    EXPECT_EQ(status, 0);
    child.ended();
}

} // namespace
} // namespace postern
