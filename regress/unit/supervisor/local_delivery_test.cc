// The helper of local deliveries: what is run, as whom, and what it is told. echo(1) takes its
// place.
#include "smtpd/supervisor/local_delivery.h"

#include <gtest/gtest.h>

#include <csignal>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <pwd.h>
#include <set>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>
#include <vector>

#include "regress/support/simulated_time.h"

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
        LocalDelivery delivery(time, programs, root,
                               [&](ipc::Exited exited) { heard = std::move(exited); });
        delivery.set_own_users(own_users);
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

    // A helper that sleeps for very long.
    ipc::Spawn sleeper(uint32_t request) {
        if (!std::filesystem::exists(programs + "/postern-deliver"))
            std::filesystem::create_symlink(POSTERN_DELIVER, programs + "/postern-deliver");
        configuration.actions[0].kind = ActionKind::mda;
        configuration.actions[0].user = "whoever";
        configuration.actions[0].command = {"sleep", "1000"};
        ipc::Spawn spawn;
        spawn.request = request;
        spawn.action = "box";
        spawn.user = "whoever";
        spawn.recipient = "box@d.example";
        spawn.content = FileDescriptor(open("/dev/null", O_RDONLY | O_CLOEXEC));
        spawn.output = FileDescriptor(open("/dev/null", O_WRONLY | O_CLOEXEC));
        return spawn;
    }
    static int wait_for_all(LocalDelivery& delivery) {
        int killed = 0, status = 0;
        while (delivery.running() > 0) {
            const pid_t pid = waitpid(-1, &status, 0);
            if (pid < 0)
                return -1;
            killed += WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
            delivery.ended(pid, status);
        }
        return killed;
    }

    test::SimulatedTime time;
    std::string programs, output;
    std::set<uid_t> own_users;
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
    LocalDelivery delivery(time, programs, false,
                           [&](ipc::Exited exited) { heard = std::move(exited); });
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

// A process of the gateway could be looked into by all that its user runs.
TEST_F(LocalDeliveryTest, NothingIsRunAsTheUserOfOneOfOurProcesses) {
    if (geteuid() != 0)
        GTEST_SKIP() << "needs root";
    install_helper();
    own_users = {getpwnam("nobody")->pw_uid};
    for (const char* configured : {"", "nobody"}) {
        configuration.actions[0].user = configured;
        const ipc::Exited exited = run(true, "nobody");
        EXPECT_EQ(exited.status, EX_CONFIG);
        EXPECT_EQ(exited.error, "nothing is delivered as nobody, whom a process of the gateway "
                                "runs as: give this mail an action with another user");
        EXPECT_EQ(output, "");
    }
    configuration.actions[0].user.clear();
    EXPECT_EQ(run(true, "daemon").status, 0);
}

// `local` ends them; if it has died, or does not, we do.
TEST_F(LocalDeliveryTest, AHelperHasItsTimeAndNoMore) {
    using namespace std::chrono_literals;
    std::vector<std::string> heard;
    LocalDelivery delivery(time, programs, false,
                           [&](ipc::Exited exited) { heard.push_back(exited.error); });
    delivery.spawn(configuration, sleeper(1));
    delivery.forget();
    time.advance(10s);
    delivery.spawn(configuration, sleeper(2));
    ASSERT_EQ(delivery.running(), 2u);
    time.advance(ipc::helper_run_time + ipc::helper_end_time - 11s);
    int status = 0;
    EXPECT_EQ(waitpid(-1, &status, WNOHANG), 0) << "one has ended too early";
    time.advance(2s);
    const pid_t first = waitpid(-1, &status, 0);
    EXPECT_TRUE(delivery.ended(first, status));
    EXPECT_EQ(heard.size(), 0u);
    EXPECT_EQ(time.until_next_timer(), 9s);
    time.advance(9s);
    EXPECT_EQ(wait_for_all(delivery), 1);
    EXPECT_EQ(heard, std::vector<std::string>{"ended by signal 9"});
    EXPECT_EQ(time.until_next_timer(), Duration::max());
}

TEST_F(LocalDeliveryTest, NoMoreThanTheLimitAtOnceAndAllEndWithUs) {
    std::vector<ipc::Exited> heard;
    LocalDelivery delivery(time, programs, false,
                           [&](ipc::Exited exited) { heard.push_back(std::move(exited)); });
    for (uint32_t i = 0; i < ipc::local_helpers_limit; ++i)
        delivery.spawn(configuration, sleeper(i));
    EXPECT_EQ(delivery.running(), ipc::local_helpers_limit);
    EXPECT_EQ(heard.size(), 0u);
    delivery.spawn(configuration, sleeper(1000));
    ASSERT_EQ(heard.size(), 1u);
    EXPECT_EQ(heard[0].request, 1000u);
    EXPECT_EQ(heard[0].status, EX_TEMPFAIL);
    EXPECT_EQ(heard[0].error, "there are too many local deliveries");
    delivery.end_all();
    EXPECT_EQ(wait_for_all(delivery), static_cast<int>(ipc::local_helpers_limit));
    EXPECT_EQ(heard.size(), 1u);
}

} // namespace
} // namespace postern
