// The frame that all processes share, seen from their supervisor. The process is a child of the
// test.
#include <gtest/gtest.h>

#include <sys/wait.h>
#include <unistd.h>

#include "common/process/process.h"

namespace postern {
namespace {

using ipc::Role;
using namespace std::chrono_literals;

// A relay that does nothing but hold its channels; what becomes of it.
class Subject {
  public:
    explicit Subject(Duration patience) {
        auto [ours, theirs] = ipc::make_pair();
        pid_ = fork();
        if (pid_ == 0)
            live(std::move(theirs), patience);
        channel_ = std::make_unique<ipc::Channel<ipc::ToSupervisor, ipc::FromSupervisor>>(
            loop_, std::move(ours), [this](ipc::ToSupervisor&&) { loop_.stop(); },
            [this](const std::string&) { loop_.stop(); });
        ipc::Configure configure;
        Result<FileDescriptor> settings = make_memory_file("settings", "");
        EXPECT_TRUE(settings);
        configure.settings = std::move(*settings);
        channel_->send(std::move(configure));
    }
    ~Subject() {
        kill(pid_, SIGKILL);
        if (!ended_)
            waitpid(pid_, nullptr, 0);
    }
    Subject(const Subject&) = delete;

    FileDescriptor connect(Role role) {
        auto [ours, theirs] = ipc::make_pair();
        channel_->send(ipc::Connect{role, 0, std::move(theirs)});
        loop_.run(); // until it is ready, and the message has left
        return std::move(ours);
    }
    // Its exit status, if it ends within the time.
    std::optional<int> end_within(std::chrono::milliseconds limit) {
        int status = 0;
        for (auto waited = 0ms; waited < limit && !ended_; waited += 10ms) {
            ended_ = waitpid(pid_, &status, WNOHANG) == pid_;
            if (!ended_)
                usleep(10'000);
        }
        return ended_ ? std::optional(WEXITSTATUS(status)) : std::nullopt;
    }

  private:
    [[noreturn]] static void live(FileDescriptor channel, Duration patience) {
        dup2(channel.get(), ipc::supervision_fd);
        Process process(Role::relay, patience);
        process.first_configure();
        std::vector<std::unique_ptr<ipc::PacketChannel>> peers;
        Process::Handlers handlers;
        handlers.connect = [&](ipc::Connect connect) {
            peers.push_back(std::make_unique<ipc::PacketChannel>(
                process.loop(), std::move(connect.channel), [](auto&&...) { return true; },
                [](const std::string&) {}));
        };
        _exit(process.run(std::move(handlers)));
    }

    EventLoop loop_;
    pid_t pid_ = -1;
    bool ended_ = false;
    std::unique_ptr<ipc::Channel<ipc::ToSupervisor, ipc::FromSupervisor>> channel_;
};

// The subject is a relay: the queue gives it mail, and the others answer its questions, about
// addresses, passwords and signatures.
TEST(Process, EndsWhenSomebodyItNeedsHasCutItOff) {
    for (const Role role : {Role::queue, Role::resolver, Role::lookup, Role::keyholder}) {
        Subject subject(50ms);
        FileDescriptor peer = subject.connect(role);
        EXPECT_EQ(subject.end_within(200ms), std::nullopt) << ipc::role_name(role);
        peer.reset();
        EXPECT_EQ(subject.end_within(5s), 70)
            << "to be started anew, with a channel to " << ipc::role_name(role);
    }
}

TEST(Process, LivesOnWithoutSomebodyWhoOnlyAsks) {
    Subject subject(50ms);
    FileDescriptor control = subject.connect(Role::control);
    control.reset();
    EXPECT_EQ(subject.end_within(500ms), std::nullopt);
}

} // namespace
} // namespace postern
