#include "common/process/process.h"

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <fcntl.h>
#include <malloc.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>

namespace postern {

namespace {

constexpr int environment_failed = 70; // EX_SOFTWARE
constexpr off_t settings_limit = 256 * 1024 * 1024;

[[noreturn]] void fatal(const std::string& why) {
    log::error(why);
    std::exit(environment_failed);
}

// Buffers of messages come and go all the time: memory that was returned to the system for each of
// them would be faulted in again for the next.
void keep_freed_memory() {
    mallopt(M_TRIM_THRESHOLD, 4 << 20);
    mallopt(M_TOP_PAD, 1 << 20);
    mallopt(M_MMAP_THRESHOLD, 1 << 20);
}

} // namespace

Process::Process(ipc::Role role, Duration cut_off_after)
    : role_(role), peers_(
                       loop_, [this](ipc::Role peer) { cut_off(peer); }, cut_off_after) {
    log::open(std::string("postern-") + ipc::role_name(role), log::Output::standard_error);
    keep_freed_memory();
    std::signal(SIGPIPE, SIG_IGN);
    // A terminal's ^C and hangup reach the whole group; the supervisor decides what they mean.
    std::signal(SIGINT, SIG_IGN);
    std::signal(SIGHUP, SIG_IGN);
    struct stat status;
    if (fstat(ipc::supervision_fd, &status) < 0 || !S_ISSOCK(status.st_mode)) {
        std::fprintf(stderr, "postern-%s is started by smtpd, not by hand\n", ipc::role_name(role));
        std::exit(64); // EX_USAGE
    }
    fcntl(ipc::supervision_fd, F_SETFD, FD_CLOEXEC);
}

ipc::Configure Process::first_configure() {
    ipc::Configure first;
    bool received = false;
    supervisor_ = std::make_unique<ipc::Channel<ipc::FromSupervisor, ipc::ToSupervisor>>(
        loop_, FileDescriptor(ipc::supervision_fd),
        [&](ipc::FromSupervisor&& message) {
            if (running_)
                return dispatch(std::move(message));
            if (received)
                return early_.push_back(std::move(message));
            auto* configure = std::get_if<ipc::Configure>(&message);
            if (!configure)
                fatal("the supervisor did not begin with settings");
            first = std::move(*configure);
            received = true;
            loop_.stop();
        },
        [this](const std::string& reason) {
            log::warning("the supervisor is gone", {{"reason", reason}});
            quit(environment_failed);
        });
    loop_.run();
    if (!received)
        std::exit(environment_failed);
    log::open(std::string("postern-") + ipc::role_name(role_),
              first.syslog ? log::Output::supervisor : log::Output::standard_error);
    log::set_verbose(first.orders.verbose);
    return first;
}

void Process::lock_in(const ipc::Identity& identity, const Sandbox& sandbox) {
    if (Result<void> entered = enter_sandbox(identity, sandbox); !entered)
        fatal("cannot drop privileges: " + entered.error().message);
}

int Process::run(Handlers handlers) {
    handlers_ = std::move(handlers);
    send(ipc::Ready{static_cast<uint32_t>(getpid())});
    running_ = true;
    for (ipc::FromSupervisor& message : early_)
        dispatch(std::move(message));
    early_.clear();
    loop_.run();
    return status_;
}

void Process::quit(int status) {
    status_ = status;
    loop_.stop();
}

// The supervisor starts us anew, with channels to everybody. What we had in flight goes back.
void Process::cut_off(ipc::Role peer) {
    log::error("this process was cut off, it ends to be started anew",
               {{"peer", ipc::role_name(peer)}});
    quit(environment_failed);
}

void Process::send(ipc::ToSupervisor message) { supervisor_->send(std::move(message)); }

void Process::dispatch(ipc::FromSupervisor&& message) {
    std::visit(
        ipc::Overloaded{
            [this](ipc::Configure& configure) {
                if (handlers_.configure)
                    handlers_.configure(std::move(configure));
            },
            [this](ipc::Connect& connect) {
                if (depends_on(role_, connect.role))
                    peers_.watch(connect.role, connect.index, connect.channel);
                handlers_.connect(std::move(connect));
            },
            [this](ipc::Drain& drain) { handlers_.drain(std::chrono::seconds(drain.seconds)); },
            [this](ipc::Exited& exited) {
                if (handlers_.exited)
                    handlers_.exited(std::move(exited));
            },
        },
        message);
}

Result<FileDescriptor> make_memory_file(const char* name, std::string_view bytes) {
    FileDescriptor file(memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING));
    if (!file)
        return system_error("memfd_create");
    while (!bytes.empty()) {
        ssize_t written = ::write(file.get(), bytes.data(), bytes.size());
        if (written < 0)
            return system_error("write to a memory file");
        bytes.remove_prefix(static_cast<size_t>(written));
    }
    if (fcntl(file.get(), F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) <
        0)
        return system_error("seal a memory file");
    return file;
}

Result<std::string> read_memory_file(const FileDescriptor& file) {
    struct stat status;
    if (fstat(file.get(), &status) < 0)
        return system_error("fstat of the settings");
    if (status.st_size > settings_limit)
        return Error{"the settings are too large"};
    std::string bytes(static_cast<size_t>(status.st_size), '\0');
    size_t done = 0;
    while (done < bytes.size()) {
        ssize_t got =
            ::pread(file.get(), bytes.data() + done, bytes.size() - done, static_cast<off_t>(done));
        if (got < 0)
            return system_error("read the settings");
        if (got == 0)
            return Error{"the settings are cut short"};
        done += static_cast<size_t>(got);
    }
    return bytes;
}

} // namespace postern
