#include "deliver/local/helper/mbox.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <csignal>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <functional>
#include <sstream>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

#include "common/base/file_descriptor.h"
#include "deliver/local/helper/dot_lock.h"

namespace postern {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

constexpr const char* header = "Return-Path: <from@far.test>\nDelivered-To: alice@here.test\n";
constexpr const char* from_line = "From from@far.test Thu Nov 26 06:05:55 2026\n";
constexpr int64_t now = 1795673155;

class MboxTest : public testing::Test {
  protected:
    MboxTest() {
        char name[] = "/tmp/postern-mbox-XXXXXX";
        root_ = mkdtemp(name);
        path_ = root_ / "alice";
    }
    ~MboxTest() override { fs::remove_all(root_); }

    static FileDescriptor file_with(std::string_view bytes) {
        FileDescriptor file(memfd_create("message", MFD_CLOEXEC));
        EXPECT_EQ(write(file.get(), bytes.data(), bytes.size()),
                  static_cast<ssize_t>(bytes.size()));
        EXPECT_EQ(lseek(file.get(), 0, SEEK_SET), 0);
        return file;
    }
    Result<void> append(std::string_view content, MboxOptions options = {}) {
        const FileDescriptor file = file_with(content);
        return append_to_mbox(path_, {"from@far.test", "alice@here.test", file.get()}, now,
                              options);
    }
    std::string contents() {
        std::ostringstream out;
        out << std::ifstream(path_, std::ios::binary).rdbuf();
        return out.str();
    }
    void put(std::string_view text) { std::ofstream(path_, std::ios::binary) << text; }
    bool is_locked() { return fs::exists(path_.string() + ".lock"); }

    fs::path root_, path_;
};

const std::string stored = std::string(from_line) + header + "Subject: x\n\nbody\n\n";

TEST_F(MboxTest, MessagesFollowEachOther) {
    ASSERT_TRUE(append("Subject: x\r\n\r\nbody\r\n").ok());
    EXPECT_EQ(contents(), stored);
    ASSERT_TRUE(append("Subject: x\r\n\r\nFrom me\r\n>From you").ok());
    EXPECT_EQ(contents(), stored + from_line + header + "Subject: x\n\n>From me\n>>From you\n\n");
    struct stat status;
    ASSERT_EQ(stat(path_.c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 07777, 0600u);
    EXPECT_FALSE(is_locked());
}

TEST_F(MboxTest, LargeContent) {
    std::string content;
    while (content.size() < 1'000'000)
        content += "From line " + std::to_string(content.size()) + "\r\n";
    ASSERT_TRUE(append(content).ok());
    std::string expected = std::string(from_line) + header;
    for (size_t start = 0, end; (end = content.find('\r', start)) != content.npos; start = end + 2)
        expected += ">" + content.substr(start, end - start) + "\n";
    EXPECT_EQ(contents(), expected + "\n");
}

TEST_F(MboxTest, BehindWhatACrashHasLeft) {
    put("From a\nSubject: cut o");
    ASSERT_TRUE(append("Subject: x\r\n\r\nbody\r\n").ok());
    EXPECT_EQ(contents(), "From a\nSubject: cut o\n\n" + stored);
}

TEST_F(MboxTest, AfterAFailureItIsAsLongAsBefore) {
    put("From a\n\n");
    rlimit before;
    ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
    signal(SIGXFSZ, SIG_IGN);
    rlimit small = before;
    small.rlim_cur = 100'000;
    ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &small), 0);
    signal(SIGPIPE, SIG_IGN);
    const std::string half(60'000, 'x'); // by a pipe: a memory file has the same limit
    int pipe_ends[2];
    ASSERT_EQ(pipe(pipe_ends), 0);
    std::thread writer([&] {
        for (int i = 0; i < 3 && write(pipe_ends[1], half.data(), half.size()) > 0; ++i) {
        }
        close(pipe_ends[1]);
    });
    const Result<void> failed =
        append_to_mbox(path_, {"", "alice@here.test", pipe_ends[0]}, now, {});
    close(pipe_ends[0]);
    writer.join();
    setrlimit(RLIMIT_FSIZE, &before);
    ASSERT_FALSE(failed.ok());
    EXPECT_EQ(failed.error().code, EFBIG);
    EXPECT_EQ(contents(), "From a\n\n");
    EXPECT_FALSE(is_locked());
}

// A helper is killed after a time, and so has to be done before.
TEST_F(MboxTest, ItEndsInTime) {
    put("From a\n\n");
    const Result<void> failed = append("x\r\n", {.time_limit = 0ms});
    ASSERT_FALSE(failed.ok());
    EXPECT_EQ(failed.error().code, ETIMEDOUT);
    EXPECT_EQ(contents(), "From a\n\n");
    EXPECT_FALSE(is_locked());
    fs::remove(path_);
    EXPECT_FALSE(append("x\r\n", {.time_limit = 0ms}).ok());
    EXPECT_FALSE(fs::exists(path_));
}

// Who heeds no lock writes at the end, too: nothing of his is overwritten, or cut off.
TEST_F(MboxTest, WhatOthersWriteMeanwhileStays) {
    for (const bool in_time : {true, false}) {
        put("From a\n\n");
        int pipe_ends[2];
        ASSERT_EQ(pipe(pipe_ends), 0);
        std::thread writer([&] {
            const std::string part(200'000, 'x'); // more than the pipe holds: some of it is stored
            EXPECT_EQ(write(pipe_ends[1], part.data(), part.size()),
                      static_cast<ssize_t>(part.size()));
            while (contents().size() < 20)
                std::this_thread::sleep_for(1ms);
            std::ofstream(path_, std::ios::binary | std::ios::app) << "From b\n\n";
            if (!in_time)
                std::this_thread::sleep_for(600ms);
            close(pipe_ends[1]);
        });
        const MboxOptions options{.time_limit = in_time ? 60'000ms : 500ms};
        const Result<void> done =
            append_to_mbox(path_, {"", "alice@here.test", pipe_ends[0]}, now, options);
        writer.join();
        close(pipe_ends[0]);
        EXPECT_EQ(done.ok(), in_time);
        const std::string all = contents();
        EXPECT_TRUE(all.starts_with("From a\n\n"));
        EXPECT_NE(all.find("From b\n\n"), all.npos);
        EXPECT_EQ(std::count(all.begin(), all.end(), 'x'), 200'000);
        EXPECT_FALSE(is_locked());
    }
}

TEST_F(MboxTest, OnlyAFileOfTheUsersAlone) {
    struct {
        const char* what;
        std::function<void()> make;
        int code;
        const char* says;
    } const cases[] = {
        {"a symbolic link", [&] { fs::create_symlink(root_ / "other", path_); }, ELOOP, ""},
        {"a second name",
         [&] {
             std::ofstream(root_ / "other") << "x";
             fs::create_hard_link(root_ / "other", path_);
         },
         EPERM, "second name"},
        {"a directory", [&] { fs::create_directory(path_); }, EISDIR, ""},
        {"a named pipe", [&] { mkfifo(path_.c_str(), 0600); }, EPERM, "no regular file"},
        {"for everybody to write to",
         [&] {
             put("");
             chmod(path_.c_str(), 0602);
         },
         EPERM, "everybody"},
        {"another's",
         [&] {
             put("");
             if (chown(path_.c_str(), 12345, 12345) != 0)
                 chmod(path_.c_str(), 0602); // only root can try
         },
         EPERM, ""},
    };
    for (const auto& c : cases) {
        c.make();
        const Result<void> refused = append("x\r\n");
        ASSERT_FALSE(refused.ok()) << c.what;
        EXPECT_EQ(refused.error().code, c.code) << c.what;
        EXPECT_NE(refused.error().message.find(c.says), std::string::npos)
            << refused.error().message;
        fs::remove_all(path_);
        fs::remove(root_ / "other");
    }
    path_ = "relative";
    EXPECT_FALSE(append("x\r\n").ok());
    path_ = "/dev/null";
    EXPECT_TRUE(append("x\r\n").ok());
}

TEST_F(MboxTest, WaitsForTheOtherLocks) {
    put("");
    const MboxOptions impatient{.lock_wait = 50ms};
    DotLock lock;
    ASSERT_TRUE(*lock.take(path_, 500s));
    Result<void> locked = append("x\r\n", impatient);
    ASSERT_FALSE(locked.ok());
    EXPECT_EQ(locked.error().code, EAGAIN);
    EXPECT_NE(locked.error().message.find("locked"), std::string::npos);
    EXPECT_EQ(contents(), "");
    std::thread releaser([&] {
        std::this_thread::sleep_for(30ms);
        lock.release();
    });
    EXPECT_TRUE(append("x\r\n").ok());
    releaser.join();
}

// A lock of fcntl(2) is a process's: another holds it.
TEST_F(MboxTest, WaitsForAnotherProcess) {
    put("");
    int ready[2];
    ASSERT_EQ(pipe(ready), 0);
    const pid_t other = fork();
    if (other == 0) {
        const int file = open(path_.c_str(), O_RDWR);
        struct flock whole {};
        whole.l_type = F_WRLCK;
        fcntl(file, F_SETLK, &whole);
        [[maybe_unused]] const ssize_t told = write(ready[1], "x", 1);
        pause();
        _exit(0);
    }
    char byte;
    ASSERT_EQ(read(ready[0], &byte, 1), 1);
    EXPECT_FALSE(append("x\r\n", {.lock_wait = 50ms}).ok());
    EXPECT_FALSE(is_locked());
    kill(other, SIGKILL);
    waitpid(other, nullptr, 0);
    EXPECT_TRUE(append("x\r\n").ok());
    close(ready[0]);
    close(ready[1]);
}

TEST_F(MboxTest, ALockThatWasLeftBehindIsTakenAway) {
    const std::string lock = path_.string() + ".lock";
    std::ofstream(lock) << "1\n";
    const timespec old[2] = {{::time(nullptr) - 600, 0}, {::time(nullptr) - 600, 0}};
    ASSERT_EQ(utimensat(AT_FDCWD, lock.c_str(), old, 0), 0);
    EXPECT_TRUE(append("x\r\n", {.lock_wait = 50ms}).ok());
    EXPECT_FALSE(is_locked());
}

// A process of ours that was killed need not be waited for.
TEST_F(MboxTest, ALockWhoseHolderIsGoneIsStaleAtOnce) {
    const pid_t gone = fork();
    if (gone == 0)
        _exit(0);
    waitpid(gone, nullptr, 0);
    char host[256] = "";
    ASSERT_EQ(gethostname(host, sizeof host - 1), 0);
    const std::string lock = path_.string() + ".lock";
    const std::string dead = std::to_string(gone);
    const std::string living = std::to_string(getpid());
    struct {
        std::string text;
        bool is_stale;
    } const cases[] = {
        {dead + " " + host + "\n", true},
        {living + " " + host + "\n", false},
        {dead + "\n", false}, // perhaps of another host that shares the folder
        {dead + " another-host\n", false},
        {"0 " + std::string(host) + "\n", false},
        {"-1 " + std::string(host) + "\n", false},
        {"", false},
    };
    for (const auto& c : cases) {
        std::ofstream(lock) << c.text;
        EXPECT_EQ(append("x\r\n", {.lock_wait = 10ms}).ok(), c.is_stale) << c.text;
        EXPECT_EQ(is_locked(), !c.is_stale) << c.text;
        fs::remove(lock);
    }
}

TEST_F(MboxTest, WhatIsNoLockOfOursIsLeftAlone) {
    const std::string lock = path_.string() + ".lock";
    const timespec old[2] = {{::time(nullptr) - 600, 0}, {::time(nullptr) - 600, 0}};
    struct {
        const char* what;
        std::function<void()> make;
    } const cases[] = {
        {"a directory", [&] { fs::create_directory(lock); }},
        {"a large file", [&] { std::ofstream(lock) << std::string(2000, 'x'); }},
        {"a symbolic link", [&] { fs::create_symlink(root_ / "other", lock); }},
        {"a named pipe", [&] { mkfifo(lock.c_str(), 0600); }},
        {"another's",
         [&] {
             std::ofstream(lock) << "1\n";
             if (chown(lock.c_str(), 12345, 12345) != 0) { // only root can try
                 fs::remove(lock);
                 fs::create_directory(lock);
             }
         }},
    };
    for (const auto& c : cases) {
        c.make();
        ASSERT_EQ(utimensat(AT_FDCWD, lock.c_str(), old, AT_SYMLINK_NOFOLLOW), 0);
        EXPECT_FALSE(append("x\r\n", {.lock_wait = 10ms}).ok()) << c.what;
        EXPECT_TRUE(fs::exists(fs::symlink_status(lock))) << c.what;
        fs::remove_all(lock);
    }
}

// Another has taken ours for one that was left behind.
TEST_F(MboxTest, TheLockOfAnotherIsNotReleased) {
    DotLock lock;
    ASSERT_TRUE(*lock.take(path_, 500s));
    const std::string name = path_.string() + ".lock";
    fs::rename(name, root_ / "ours");
    std::ofstream(name) << "1\n";
    lock.release();
    EXPECT_TRUE(is_locked());
}

TEST_F(MboxTest, WhereNoLockFileCanBeMadeTheOtherLockWillDo) {
    if (geteuid() == 0)
        GTEST_SKIP() << "root can make files everywhere";
    put("");
    chmod(root_.c_str(), 0500);
    EXPECT_TRUE(append("x\r\n").ok());
    chmod(root_.c_str(), 0700);
}

TEST_F(MboxTest, ManyAtOnceDoNotMix) {
    constexpr int writers = 8;
    const std::string body(30'000, 'y');
    std::vector<pid_t> processes;
    for (int i = 0; i < writers; ++i)
        if (const pid_t pid = fork(); pid == 0)
            _exit(append(body + "\r\n").ok() ? 0 : 1);
        else
            processes.push_back(pid);
    for (pid_t pid : processes) {
        int status = 1;
        waitpid(pid, &status, 0);
        EXPECT_EQ(status, 0);
    }
    std::string expected;
    for (int i = 0; i < writers; ++i)
        expected += std::string(from_line) + header + body + "\n\n";
    EXPECT_EQ(contents(), expected);
}

} // namespace
} // namespace postern
