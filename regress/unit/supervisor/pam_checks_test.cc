// The helper that asks PAM: what is run, with what, and that nothing of it stays behind. Scripts
// take its place.
#include "smtpd/supervisor/pam_checks.h"

#include <gtest/gtest.h>

#include <csignal>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <sys/stat.h>
#include <sys/wait.h>

#include "common/base/file_descriptor.h"
#include "common/ipc/pam_settings.h"
#include "common/loop/event_loop.h"

namespace postern {
namespace {

using namespace std::chrono_literals;

struct PamChecksTest : testing::Test {
    PamChecksTest() {
        configuration.listens.emplace_back().auth = {AuthMode::required, "pam:smtpd", "", false};
    }
    ~PamChecksTest() override {
        checks.end_all();
        wait_for_all();
        std::filesystem::remove_all(programs);
    }

    void install_helper(const std::string& script) {
        const std::string path = programs + "/postern-pam-check";
        std::ofstream(path) << "#!/bin/sh\n" << script << "\n";
        chmod(path.c_str(), 0700);
    }
    // Asks for a helper; the read end of what it writes.
    FileDescriptor spawn(uint32_t request, const std::string& service = "smtpd",
                         const std::string& question = "") {
        int input[2], output[2];
        EXPECT_EQ(pipe2(input, O_CLOEXEC), 0);
        EXPECT_EQ(pipe2(output, O_CLOEXEC), 0);
        EXPECT_EQ(write(input[1], question.data(), question.size()),
                  static_cast<ssize_t>(question.size()));
        close(input[1]);
        ipc::SpawnCheck spawn;
        spawn.request = request;
        spawn.service = service;
        spawn.question = FileDescriptor(input[0]);
        spawn.finding = FileDescriptor(output[1]);
        checks.spawn(configuration, spawn);
        return FileDescriptor(output[0]);
    }
    // As the supervisor does.
    void wait_for_all() {
        siginfo_t end{};
        while (checks.running() > 0 && waitid(P_ALL, 0, &end, WEXITED | WNOWAIT) == 0) {
            int status = 0;
            checks.ending(end.si_pid);
            waitpid(end.si_pid, &status, 0);
            checks.ended(end.si_pid, status);
        }
    }
    static std::string read_all(const FileDescriptor& pipe) {
        std::string text;
        char buffer[512];
        ssize_t size;
        while ((size = read(pipe.get(), buffer, sizeof buffer)) > 0)
            text.append(buffer, static_cast<size_t>(size));
        return text;
    }
    // What the helper writes when it is asked once.
    std::string output_of(const std::string& script, const std::string& question = "") {
        install_helper(script);
        const FileDescriptor pipe = spawn(7, "smtpd", question);
        std::string output = read_all(pipe);
        wait_for_all();
        return output;
    }

    static std::string make_directory() {
        char name[] = "/tmp/postern-test-XXXXXX";
        return mkdtemp(name);
    }

    std::string programs = make_directory();
    Configuration configuration;
    std::vector<ipc::Exited> heard;
    PamChecks checks{programs, [this](ipc::Exited exited) { heard.push_back(std::move(exited)); }};
};

TEST_F(PamChecksTest, TheHelperIsToldTheServiceAndTheQuestion) {
    EXPECT_EQ(output_of("echo \"$@\" >&4; cat <&3 >&4", "question"), "smtpd\nquestion");
    ASSERT_EQ(heard.size(), 1u);
    EXPECT_EQ(heard[0].request, 7u);
    EXPECT_EQ(heard[0].status, 0);
    EXPECT_EQ(heard[0].error, "");
}

TEST_F(PamChecksTest, TheHelperHasNothingOfOurs) {
    setenv("POSTERN_SECRET", "x", 1);
    const FileDescriptor inheritable(open("/dev/zero", O_RDONLY)); // not close-on-exec
    const std::string output =
        output_of("exec 9>&4 3<&- 4>&-\n" // out of the way of a shell's own
                  "for fd in /proc/$$/fd/*; do readlink $fd; done >&9\n"
                  "echo printed; echo printed >&2\n"
                  // Signal 32 is the C library's own; who ran the test may ignore it.
                  "grep -E 'SigBlk|SigIgn' /proc/$$/status | sed 's/8\\(0000000\\)$/0\\1/' >&9\n"
                  "ulimit -c >&9; umask >&9; pwd >&9; env | grep -E '^[A-Z]*SECRET|^HOME' >&9\n"
                  "test $(cut -d' ' -f6 /proc/$$/stat) = $$ && echo leads a session >&9\n");
    EXPECT_EQ(output.find("zero"), std::string::npos) << output;
    EXPECT_EQ(output.find("socket"), std::string::npos) << output;
    EXPECT_NE(output.find("SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n0\n0077\n/\n"
                          "leads a session\n"),
              std::string::npos)
        << output;
    unsetenv("POSTERN_SECRET");
}

TEST_F(PamChecksTest, OnlyWhatTheConfigurationNamesIsAsked) {
    install_helper("exit 0");
    for (const char* service : {"login", "", "../smtpd", "SMTPD", "pam:smtpd"}) {
        spawn(1, service);
        ASSERT_EQ(heard.size(), 1u) << service;
        EXPECT_EQ(heard[0].status, EX_TEMPFAIL);
        EXPECT_EQ(heard[0].error, "the configuration has no such service of PAM");
        heard.clear();
    }
    EXPECT_EQ(checks.running(), 0u);
}

TEST_F(PamChecksTest, SaysHowAHelperEnds) {
    struct Row {
        const char* script;
        int status;
        const char* error;
    } rows[] = {
        {"exit 0", 0, ""},
        {"exit 70", 70, ""},
        {"kill -SEGV $$", EX_TEMPFAIL, "ended by signal 11"},
        {"kill -KILL $$", EX_TEMPFAIL, "ended by signal 9"},
    };
    for (const Row& row : rows) {
        heard.clear();
        output_of(row.script);
        ASSERT_EQ(heard.size(), 1u) << row.script;
        EXPECT_EQ(heard[0].status, row.status) << row.script;
        EXPECT_EQ(heard[0].error, row.error) << row.script;
    }
    std::filesystem::remove(programs + "/postern-pam-check");
    heard.clear();
    spawn(7);
    wait_for_all();
    ASSERT_EQ(heard.size(), 1u);
    EXPECT_EQ(heard[0].status, EX_OSFILE);
}

TEST_F(PamChecksTest, NoMoreThanTheLimitAtOnce) {
    install_helper("exec sleep 1000");
    std::vector<FileDescriptor> pipes;
    for (uint32_t i = 0; i < ipc::pam_helper_limit; ++i)
        pipes.push_back(spawn(i));
    EXPECT_TRUE(heard.empty());
    spawn(1000);
    ASSERT_EQ(heard.size(), 1u);
    EXPECT_EQ(heard[0].request, 1000u);
    EXPECT_EQ(heard[0].status, EX_TEMPFAIL);
    EXPECT_EQ(checks.running(), size_t{ipc::pam_helper_limit});
}

// The end of the pipe says that nobody has it any more: nor has a process in the background, which
// nobody else would end.
TEST_F(PamChecksTest, WhatAHelperHasStartedEndsWithIt) {
    install_helper("sleep 1000 & echo started >&4");
    const FileDescriptor first = spawn(7);
    wait_for_all();
    EXPECT_EQ(read_all(first), "started\n") << "ended by itself";
    install_helper("trap '' HUP INT; sleep 1000 & echo started >&4; wait");
    const FileDescriptor pipe = spawn(8);
    char text[8] = {};
    ASSERT_EQ(read(pipe.get(), text, sizeof text), 8);
    checks.kill(7);
    checks.kill(8);
    wait_for_all();
    EXPECT_EQ(read_all(pipe), "") << "told to end";
    EXPECT_EQ(heard.back().request, 8u);
    EXPECT_EQ(heard.back().error, "ended by signal 15");
}

TEST_F(PamChecksTest, OneThatDoesNotHeedIsKilled) {
    install_helper("trap '' TERM; echo started >&4; while :; do sleep 0.1; done");
    const FileDescriptor pipe = spawn(7);
    char text[8] = {};
    ASSERT_EQ(read(pipe.get(), text, sizeof text), 8);
    checks.kill(7);
    checks.kill(7);
    wait_for_all();
    ASSERT_EQ(heard.size(), 1u);
    EXPECT_EQ(heard[0].error, "ended by signal 9");
}

// However early it comes: until it runs another program, the helper has our handlers, and our
// loop's wake-up socket.
TEST_F(PamChecksTest, WhatEndsAHelperDoesNotEndUs) {
    EventLoop loop;
    bool ended = false;
    SignalWatch watch(loop, SIGTERM, [&] { ended = true; });
    install_helper("exec sleep 1000");
    for (uint32_t i = 0; i < 200; ++i) {
        spawn(i);
        checks.kill(i);
        wait_for_all();
    }
    struct Stop final : Timer {
        explicit Stop(EventLoop& loop) : loop_(loop) { arm(loop, loop.now() + 1ms); }
        void expired() override { loop_.stop(); }
        EventLoop& loop_;
    } stop(loop);
    loop.run();
    EXPECT_FALSE(ended);
    ASSERT_EQ(heard.size(), 200u);
}

TEST_F(PamChecksTest, NobodyHearsOfThoseWhoseAskerHasDied) {
    install_helper("exec sleep 1000");
    const FileDescriptor pipe = spawn(9);
    checks.end_all();
    EXPECT_EQ(read_all(pipe), "");
    wait_for_all();
    EXPECT_TRUE(heard.empty());
    EXPECT_EQ(checks.running(), 0u);
}

} // namespace
} // namespace postern
