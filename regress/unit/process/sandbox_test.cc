// What a process can still do after it has locked itself in. Each attempt is made in a child
// process of its own.
#include <gtest/gtest.h>

#include <cerrno>
#include <csignal>
#include <fcntl.h>
#include <functional>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

#include "common/process/sandbox.h"

namespace postern {
namespace {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool filtered = false;
#else
constexpr bool filtered = true;
#endif

// The errno of the attempt inside the sandbox; 0: it succeeded.
int attempt(const Sandbox& sandbox, const std::function<bool()>& what) {
    pid_t pid = fork();
    if (pid == 0) {
        if (!enter_sandbox(ipc::Identity(), sandbox))
            _exit(255);
        errno = 0;
        bool done = what();
        _exit(done ? 0 : errno);
    }
    int status = 0;
    waitpid(pid, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

bool make_socket(int family) { return socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0) >= 0; }
bool open_for_reading() { return open("/dev/null", O_RDONLY | O_CLOEXEC) >= 0; }
bool open_for_writing() { return open("/dev/null", O_RDWR | O_CLOEXEC) >= 0; }
bool execute() { return execl("/bin/true", "true", nullptr) == 0; }
bool start_thread() {
    bool ran = false;
    std::thread([&ran] { ran = true; }).join();
    return ran;
}
bool start_process() {
    pid_t pid = static_cast<pid_t>(syscall(SYS_fork));
    if (pid == 0)
        _exit(0);
    return pid > 0;
}

TEST(Sandbox, GivesEachProcessWhatItAsksForAndNoMore) {
    if (!filtered)
        GTEST_SKIP() << "a sanitizer's build has no filter";
    struct Row {
        const char* name;
        Sandbox sandbox;
        std::function<bool()> what;
        bool allowed;
    } rows[] = {
        {"nothing: memory", {}, [] { return malloc(100 << 20) != nullptr; }, true},
        {"nothing: threads", {}, start_thread, true},
        {"nothing: memory files", {}, [] { return memfd_create("x", MFD_CLOEXEC) >= 0; }, true},
        {"nothing: sockets", {}, [] { return make_socket(AF_INET); }, false},
        {"nothing: files", {}, open_for_reading, false},
        {"nothing: programs", {}, execute, false},
        {"nothing: processes", {}, start_process, false},
        {"nothing: debugging", {}, [] { return ptrace(PTRACE_TRACEME, 0, 0, 0) == 0; }, false},
        {"client: TCP", {.network_client = true}, [] { return make_socket(AF_INET); }, true},
        {"client: TCP over IPv6",
         {.network_client = true},
         [] { return make_socket(AF_INET6); },
         true},
        {"client: raw",
         {.network_client = true},
         [] { return socket(AF_PACKET, SOCK_RAW, 0) >= 0; },
         false},
        {"client: files", {.network_client = true}, open_for_reading, false},
        {"server: sockets", {.network_server = true}, [] { return make_socket(AF_INET); }, false},
        {"reader: reading", {.read_files = true}, open_for_reading, true},
        {"reader: writing", {.read_files = true}, open_for_writing, false},
        {"reader: sockets", {.read_files = true}, [] { return make_socket(AF_UNIX); }, false},
        {"services: Unix", {.ask_services = true}, [] { return make_socket(AF_UNIX); }, true},
        {"services: TCP", {.ask_services = true}, [] { return make_socket(AF_INET); }, false},
        {"files: writing", {.open_files = true}, open_for_writing, true},
        {"files: sockets", {.open_files = true}, [] { return make_socket(AF_INET); }, false},
        {"files: programs", {.open_files = true}, execute, false},
    };
    for (const Row& row : rows)
        EXPECT_EQ(attempt(row.sandbox, row.what), row.allowed ? 0 : EPERM) << row.name;
}

TEST(Sandbox, AsRootItGivesUpRootForGood) {
    if (geteuid() != 0)
        GTEST_SKIP() << "needs root";
    pid_t pid = fork();
    if (pid == 0) {
        ipc::Identity identity;
        identity.switch_user = true;
        identity.user_id = identity.group_id = 65534;
        identity.root_directory = "/proc/self/fdinfo"; // a directory with nothing of use in it
        if (!enter_sandbox(identity, Sandbox{.read_files = true}))
            _exit(1);
        if (getuid() != 65534 || geteuid() != 65534 || getgid() != 65534)
            _exit(2);
        if (setuid(0) == 0 || open("/etc/passwd", O_RDONLY) >= 0)
            _exit(3);
        _exit(0);
    }
    int status = 0;
    waitpid(pid, &status, 0);
    EXPECT_TRUE(WIFEXITED(status));
    EXPECT_EQ(WEXITSTATUS(status), 0);
}

// The owner of a process's memory in /proc is its user, or root if it leaves no core file.
uid_t owner_in_proc(const Sandbox& sandbox) {
    int ends[2];
    EXPECT_EQ(pipe(ends), 0);
    const pid_t pid = fork();
    if (pid == 0) {
        const bool ready = setresuid(65534, 65534, 65534) == 0 &&
                           prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) == 0 &&
                           enter_sandbox(ipc::Identity(), sandbox).ok();
        const bool told = write(ends[1], ready ? "y" : "n", 1) == 1;
        for (;;)
            sleep(told ? 100 : 0);
    }
    char ready = 0;
    EXPECT_EQ(read(ends[0], &ready, 1), 1);
    EXPECT_EQ(ready, 'y');
    struct stat status {};
    stat(("/proc/" + std::to_string(pid) + "/mem").c_str(), &status);
    kill(pid, SIGKILL);
    waitpid(pid, nullptr, 0);
    close(ends[0]);
    close(ends[1]);
    return status.st_uid;
}

TEST(Sandbox, WhoHasSecretsLeavesNoCoreFile) {
    if (geteuid() != 0)
        GTEST_SKIP() << "needs root";
    EXPECT_EQ(owner_in_proc({}), 65534u);
    EXPECT_EQ(owner_in_proc({.has_secrets = true}), 0u);
}

} // namespace
} // namespace postern
