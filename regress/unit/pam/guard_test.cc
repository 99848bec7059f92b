// How a guarded child ends, and that nothing of it stays behind. Each one is a process of its own.
#include "smtpd/pam/check/guard.h"

#include <gtest/gtest.h>

#include <csignal>
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/file_descriptor.h"

namespace postern::pam {
namespace {

class GuardTest : public testing::Test {
  protected:
    GuardTest() {
        int ends[2];
        EXPECT_EQ(pipe(ends), 0);
        life_ = FileDescriptor(ends[0]);
        write_end_ = FileDescriptor(ends[1]);
    }
    // Whoever lives has the write end of a pipe.
    void start(const std::function<int()>& body) {
        guard_ = fork();
        if (guard_ == 0)
            run_guarded([&] {
                life_.reset();
                return body();
            });
        write_end_.reset();
    }
    int end() {
        int status = 0;
        waitpid(guard_, &status, 0);
        char more;
        fcntl(life_.get(), F_SETFL, O_NONBLOCK);
        while (read(life_.get(), &more, 1) > 0) {
        }
        EXPECT_EQ(read(life_.get(), &more, 1), 0) << "somebody lives";
        return status;
    }
    void tell() { EXPECT_EQ(write(write_end_.get(), "x", 1), 1); }
    void wait_until_told() {
        char x;
        EXPECT_EQ(read(life_.get(), &x, 1), 1);
    }
    // What pam_exec(8) and daemons do.
    void leave_somebody_behind() {
        if (fork() != 0)
            return;
        setsid();
        if (fork() != 0)
            _exit(0);
        setsid();
        signal(SIGTERM, SIG_IGN);
        tell();
        for (;;)
            pause();
    }

    FileDescriptor life_, write_end_;
    pid_t guard_ = -1;
};

TEST_F(GuardTest, EndsAsItsChild) {
    struct Row {
        int exit_status, signal;
    } rows[] = {{0, 0}, {70, 0}, {0, SIGSEGV}, {0, SIGKILL}, {0, SIGTERM}, {0, SIGALRM}};
    for (const Row& row : rows) {
        guard_ = fork();
        if (guard_ == 0)
            run_guarded([&] {
                if (row.signal != 0)
                    raise(row.signal);
                return row.exit_status;
            });
        int status = 0;
        ASSERT_EQ(waitpid(guard_, &status, 0), guard_);
        if (row.signal == 0)
            EXPECT_EQ(status, W_EXITCODE(row.exit_status, 0));
        else
            EXPECT_EQ(WTERMSIG(status), row.signal);
    }
}

TEST_F(GuardTest, WhoIsLeftBehindIsEnded) {
    start([&] {
        leave_somebody_behind();
        return 0;
    });
    EXPECT_EQ(end(), 0);
}

TEST_F(GuardTest, WhenToldToEndItEndsAll) {
    start([&] {
        leave_somebody_behind();
        for (;;)
            pause();
        return 0;
    });
    wait_until_told();
    kill(guard_, SIGTERM);
    EXPECT_EQ(end(), SIGKILL);
}

} // namespace
} // namespace postern::pam
