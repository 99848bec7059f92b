#include "deliver/local/helper/command.h"

#include <gtest/gtest.h>

#include <csignal>
#include <fcntl.h>
#include <fstream>
#include <string>
#include <sys/mman.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/base/file_descriptor.h"

namespace postern {
namespace {

class CommandTest : public testing::Test {
  protected:
    CommandTest() { signal(SIGPIPE, SIG_IGN); }

    static Result<CommandEnd> run(std::vector<std::string> words,
                                  std::string_view content = "Subject: x\r\n\r\nbody\r\n") {
        FileDescriptor file(memfd_create("message", MFD_CLOEXEC));
        EXPECT_EQ(write(file.get(), content.data(), content.size()),
                  static_cast<ssize_t>(content.size()));
        EXPECT_EQ(lseek(file.get(), 0, SEEK_SET), 0);
        return run_command(words, {"from@far.test", "alice@here.test", file.get()});
    }
    static Result<CommandEnd> shell(const std::string& script) {
        return run({"/bin/sh", "-c", script});
    }
};

TEST_F(CommandTest, GetsTheMessage) {
    const Result<CommandEnd> end = run({"cat"});
    ASSERT_TRUE(end.ok()) << end.error().message;
    EXPECT_EQ(end->status, 0);
    EXPECT_EQ(end->output, "Return-Path: <from@far.test>\nDelivered-To: alice@here.test\n"
                           "Subject: x\n\nbody\n");
}

TEST_F(CommandTest, NoShellSeesItsWords) {
    const Result<CommandEnd> end = run({"echo", "$(id)", "a  b", "; exit 1", "", "`id`"});
    ASSERT_TRUE(end.ok());
    EXPECT_EQ(end->output, "$(id) a  b ; exit 1  `id`\n");
}

TEST_F(CommandTest, ItsEndIsWhatCounts) {
    struct {
        const char* script;
        int status;
        const char* words;
    } const cases[] = {
        {"cat >/dev/null", EX_OK, ""},
        {"exit 0", EX_OK, ""}, // has not read anything
        {"exec <&-; echo done; exit 0", EX_OK, ""},
        {"exit 67", EX_NOUSER, "the command ended with status 67"},
        {"echo no >&2; echo way; exit 69", EX_UNAVAILABLE,
         "the command ended with status 69: no\nway\n"},
        {"exit 75", EX_TEMPFAIL, "the command ended with status 75"},
        {"exit 1", EX_TEMPFAIL, "the command ended with status 1"},
        {"exit 200", EX_TEMPFAIL, "the command ended with status 200"},
        {"kill -9 $$", EX_TEMPFAIL, "the command was ended by signal 9"},
    };
    for (const auto& c : cases) {
        const Result<CommandEnd> end = shell(c.script);
        ASSERT_TRUE(end.ok()) << c.script;
        const Verdict verdict = verdict_on(*end);
        EXPECT_EQ(verdict.status, c.status) << c.script;
        EXPECT_EQ(verdict.words, c.words) << c.script;
    }
}

TEST_F(CommandTest, WhatItSaysIsReadAllTheTimeAndKeptInPart) {
    // More than a pipe holds, in both directions.
    const std::string large(500'000, 'x');
    const Result<CommandEnd> end = run({"/bin/sh", "-c", "tee /dev/stderr"}, large);
    ASSERT_TRUE(end.ok());
    EXPECT_EQ(end->status, 0);
    EXPECT_EQ(end->output.size(), command_output_limit);
}

TEST_F(CommandTest, WhatItLeavesRunningIsNotWaitedFor) {
    const Result<CommandEnd> end = shell("sleep 30 & echo $!; exit 0");
    ASSERT_TRUE(end.ok());
    EXPECT_EQ(end->status, 0);
    kill(std::stoi(end->output), SIGKILL);
}

TEST_F(CommandTest, HasNothingOfOursButTheEnvironment) {
    const FileDescriptor open_here(open("/dev/null", O_RDONLY));
    setenv("POSTERN_TEST", "kept", 1);
    const Result<CommandEnd> end =
        // The C library keeps signal 32 for itself, as it was when we were started.
        shell("ls /proc/self/fd; grep SigIgn /proc/self/status | sed s/8......./00000000/; "
              "grep SigBlk /proc/self/status; echo $POSTERN_TEST");
    unsetenv("POSTERN_TEST");
    ASSERT_TRUE(end.ok());
    // 3 is the directory that ls reads.
    EXPECT_EQ(end->output, "0\n1\n2\n3\nSigIgn:\t0000000000000000\nSigBlk:\t0000000000000000\n"
                           "kept\n");
}

TEST_F(CommandTest, SaysWhyItCannotBeStarted) {
    for (const char* program : {"/no/such/program", "no-such-program", "/etc/passwd"}) {
        const Result<CommandEnd> end = run({program});
        ASSERT_FALSE(end.ok()) << program;
        EXPECT_TRUE(end.error().message.starts_with(std::string(program) + ": "))
            << end.error().message;
    }
    EXPECT_FALSE(run({}).ok());
}

TEST_F(CommandTest, APartOfAMessageIsNoMessage) {
    const pid_t helper = fork(); // whoever leads a process group would end all of it
    if (helper == 0) {
        const FileDescriptor directory(open("/", O_RDONLY | O_CLOEXEC));
        _exit(run_command({"/bin/sh", "-c", "cat >/dev/null"}, {"", "a@b", directory.get()}).ok());
    }
    int status = 0;
    ASSERT_EQ(waitpid(helper, &status, 0), helper);
    EXPECT_TRUE(WIFEXITED(status));
    EXPECT_EQ(WEXITSTATUS(status), 0);
}

// What the command has started has its standard input, and must not see the end of it either.
TEST_F(CommandTest, APartOfAMessageIsNoMessageToAnyOfThem) {
    const std::string taken = "/tmp/postern-taken-" + std::to_string(getpid());
    int said[2];
    ASSERT_EQ(pipe2(said, O_CLOEXEC), 0);
    const pid_t helper = fork();
    if (helper == 0) {
        setsid();
        dup2(said[1], 2);
        const FileDescriptor directory(open("/", O_RDONLY | O_CLOEXEC));
        (void)run_command({"/bin/sh", "-c", "(cat; echo >" + taken + ") & wait"},
                          {"", "a@b", directory.get()});
        _exit(0);
    }
    close(said[1]);
    int status = 0;
    ASSERT_EQ(waitpid(helper, &status, 0), helper);
    EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    std::string all;
    char buffer[1000];
    ssize_t got;
    while ((got = read(said[0], buffer, sizeof buffer)) > 0)
        all.append(buffer, static_cast<size_t>(got));
    close(said[0]);
    EXPECT_EQ(all, "read the message: Is a directory\n");
    for (int i = 0; i < 1000 && kill(-helper, 0) == 0; ++i) // until the last of them has ended
        usleep(1000);
    EXPECT_NE(access(taken.c_str(), F_OK), 0);
    unlink(taken.c_str());
}

TEST_F(CommandTest, ItEndsWithUs) {
    const pid_t helper = fork();
    if (helper == 0) {
        (void)shell("exec sleep 1000");
        _exit(0);
    }
    const std::string children =
        "/proc/" + std::to_string(helper) + "/task/" + std::to_string(helper) + "/children";
    pid_t command = 0;
    while (!(std::ifstream(children) >> command))
        usleep(1000);
    const std::string name = "/proc/" + std::to_string(command) + "/comm";
    std::string running;
    while (std::getline(std::ifstream(name), running) && running != "sleep")
        usleep(1000);
    kill(helper, SIGKILL);
    waitpid(helper, nullptr, 0);
    const auto is_gone = [&] {
        std::ifstream file("/proc/" + std::to_string(command) + "/stat");
        std::string pid, comm, state;
        return !(file >> pid >> comm >> state) || state == "Z";
    };
    while (!is_gone())
        usleep(1000);
}

} // namespace
} // namespace postern
