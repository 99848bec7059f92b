// The helper of local deliveries: what is run, as whom, and what it is told. echo(1) takes its
// place.
#include "smtpd/supervisor/local_delivery.h"

#include <gtest/gtest.h>

#include <csignal>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

namespace postern {
namespace {

struct LocalDeliveryTest : testing::Test {
    LocalDeliveryTest() {
        char name[] = "/tmp/postern-test-XXXXXX";
        programs = mkdtemp(name); // mode 0700: nobody else can look into it
        Action action;
        action.name = "box";
        action.kind = ActionKind::maildir;
        action.maildir_path = "/var/mail/%{rcpt.user}";
        configuration.actions.push_back(action);
    }
    ~LocalDeliveryTest() override { std::filesystem::remove_all(programs); }

    void install_helper() {
        std::filesystem::copy_file("/bin/echo", programs + "/postern-deliver");
    }

    // What `local` hears in the end; `output` is what the helper said.
    ipc::Exited run(bool root, const std::string& user, const std::string& action = "box") {
        ipc::Exited heard;
        LocalDelivery delivery(programs, root,
                               [&](ipc::Exited exited) { heard = std::move(exited); });
        int pipe[2];
        EXPECT_EQ(pipe2(pipe, O_CLOEXEC), 0);
        FileDescriptor read_end(pipe[0]);
        ipc::Spawn spawn;
        spawn.request = 7;
        spawn.action = action;
        spawn.user = user;
        spawn.reverse_path = "a@s.example";
        spawn.recipient = "box@d.example";
        spawn.content = FileDescriptor(open("/dev/null", O_RDONLY | O_CLOEXEC));
        spawn.output = FileDescriptor(pipe[1]);
        delivery.spawn(configuration, std::move(spawn));
        char buffer[512];
        ssize_t size;
        output.clear();
        while ((size = read(read_end.get(), buffer, sizeof buffer)) > 0)
            output.append(buffer, static_cast<size_t>(size));
        int status = 0;
        while (delivery.running() > 0) {
            const pid_t pid = waitpid(-1, &status, 0);
            if (pid < 0)
                break;
            delivery.ended(pid, status);
        }
        EXPECT_EQ(heard.request, 7u);
        return heard;
    }

    std::string programs, output;
    Configuration configuration;
};

TEST_F(LocalDeliveryTest, TheHelperIsToldThePath) {
    install_helper();
    EXPECT_EQ(run(false, "whoever").status, 0);
    EXPECT_EQ(output, "--forward maildir /var/mail/box\n");
}

TEST_F(LocalDeliveryTest, AsRootTheUserNeedNotReachTheHelpersFolder) {
    if (geteuid() != 0)
        GTEST_SKIP() << "needs root";
    install_helper();
    EXPECT_EQ(run(true, "nobody").status, 0);
    EXPECT_EQ(output, "--forward maildir /var/mail/box\n");
}

TEST_F(LocalDeliveryTest, WithoutTheHelperItIsForLaterAndSaysWhy) {
    EXPECT_EQ(run(false, "whoever").status, EX_TEMPFAIL);
    EXPECT_EQ(output, programs + "/postern-deliver: No such file or directory\n");
}

TEST_F(LocalDeliveryTest, OnlyWhatTheConfigurationNamesIsRun) {
    install_helper();
    ipc::Exited exited = run(false, "whoever", "another");
    EXPECT_EQ(exited.status, EX_TEMPFAIL);
    EXPECT_EQ(exited.error, "there is no local action another");
    configuration.actions[0].user = "vmail";
    exited = run(false, "root");
    EXPECT_EQ(exited.status, EX_TEMPFAIL);
    EXPECT_EQ(exited.error, "action box does not deliver as root");
    configuration.actions[0].user.clear();
    exited = run(true, "no-such-user");
    EXPECT_EQ(exited.status, EX_TEMPFAIL);
    EXPECT_EQ(exited.error, "there is no user no-such-user");
    EXPECT_EQ(output, "");
}

// The real helper, with a command that has started another.
TEST_F(LocalDeliveryTest, WithAHelperAllThatItHasStartedEnds) {
    std::filesystem::create_symlink(POSTERN_DELIVER, programs + "/postern-deliver");
    configuration.actions[0].kind = ActionKind::mda;
    configuration.actions[0].user = "whoever";
    configuration.actions[0].command = {"/bin/sh", "-c",
                                        "sleep 1000 & echo $! >" + programs + "/pid; mv " +
                                            programs + "/pid " + programs + "/there; wait"};
    ipc::Exited heard;
    LocalDelivery delivery(programs, false, [&](ipc::Exited exited) { heard = std::move(exited); });
    ipc::Spawn spawn;
    spawn.request = 7;
    spawn.action = "box";
    spawn.user = "whoever";
    spawn.recipient = "box@d.example";
    spawn.content = FileDescriptor(open("/dev/null", O_RDONLY | O_CLOEXEC));
    spawn.output = FileDescriptor(open("/dev/null", O_WRONLY | O_CLOEXEC));
    delivery.spawn(configuration, std::move(spawn));
    ASSERT_EQ(delivery.running(), 1u);
    while (!std::filesystem::exists(programs + "/there"))
        usleep(1000);
    pid_t sleeper = 0;
    std::ifstream(programs + "/there") >> sleeper;
    ASSERT_GT(sleeper, 0);
    EXPECT_EQ(kill(sleeper, 0), 0);
    delivery.kill(7);
    int status = 0;
    const pid_t helper = waitpid(-1, &status, 0);
    EXPECT_TRUE(delivery.ended(helper, status));
    EXPECT_EQ(heard.error, "ended by signal 9");
    // It is no child of ours: whoever has it now waits for it.
    const std::string state = "/proc/" + std::to_string(sleeper) + "/stat";
    const auto is_gone = [&] {
        std::ifstream file(state);
        std::string pid, name, letter;
        return !(file >> pid >> name >> letter) || letter == "Z";
    };
    while (!is_gone())
        usleep(1000);
}

// RFC 5321 4.5.1 lets everybody write to postmaster: such mail waits, and says what for.
TEST_F(LocalDeliveryTest, NothingIsRunAsRoot) {
    install_helper();
    for (const char* configured : {"", "root"}) {
        configuration.actions[0].user = configured;
        ipc::Exited exited = run(true, "root");
        EXPECT_EQ(exited.status, EX_CONFIG);
        EXPECT_EQ(exited.error,
                  "nothing is delivered as root: give this mail an action with a user");
        EXPECT_EQ(output, "");
    }
}

} // namespace
} // namespace postern
