#include "common/process/system_call_filter.h"

#include <cerrno>
#include <fcntl.h>
#include <initializer_list>
#include <linux/sched.h>
#include <memory>
#include <seccomp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

namespace postern {

namespace {

// What the C library, libevent and our loop need to run at all.
constexpr int always[] = {
    SCMP_SYS(brk),
    SCMP_SYS(mmap),
    SCMP_SYS(munmap),
    SCMP_SYS(mremap),
    SCMP_SYS(mprotect),
    SCMP_SYS(madvise),
    SCMP_SYS(futex),
    SCMP_SYS(set_robust_list),
    SCMP_SYS(rseq),
    SCMP_SYS(sched_yield),
    SCMP_SYS(sched_getaffinity),
    SCMP_SYS(restart_syscall),
    SCMP_SYS(rt_sigaction),
    SCMP_SYS(rt_sigprocmask),
    SCMP_SYS(rt_sigreturn),
    SCMP_SYS(sigaltstack),
    SCMP_SYS(clock_gettime),
    SCMP_SYS(clock_nanosleep),
    SCMP_SYS(gettimeofday),
    SCMP_SYS(time),
    SCMP_SYS(nanosleep),
    SCMP_SYS(getrandom),
    SCMP_SYS(uname),
    SCMP_SYS(getpid),
    SCMP_SYS(gettid),
    SCMP_SYS(getuid),
    SCMP_SYS(geteuid),
    SCMP_SYS(getgid),
    SCMP_SYS(getegid),
    SCMP_SYS(getrlimit),
    SCMP_SYS(prlimit64),
    SCMP_SYS(getrusage),
    SCMP_SYS(sysinfo),
    SCMP_SYS(exit),
    SCMP_SYS(exit_group),
    SCMP_SYS(tgkill),
    SCMP_SYS(close),
    SCMP_SYS(read),
    SCMP_SYS(write),
    SCMP_SYS(readv),
    SCMP_SYS(writev),
    SCMP_SYS(pread64),
    SCMP_SYS(pwrite64),
    SCMP_SYS(lseek),
    SCMP_SYS(fstat),
    SCMP_SYS(newfstatat),
    SCMP_SYS(fcntl),
    SCMP_SYS(dup),
    SCMP_SYS(pipe2),
    SCMP_SYS(eventfd2),
    SCMP_SYS(memfd_create),
    SCMP_SYS(ftruncate),
    SCMP_SYS(sendfile),
    SCMP_SYS(epoll_create1),
    SCMP_SYS(epoll_ctl),
    SCMP_SYS(epoll_wait),
    SCMP_SYS(epoll_pwait),
    SCMP_SYS(epoll_pwait2),
    SCMP_SYS(poll),
    SCMP_SYS(ppoll),
    SCMP_SYS(recvmsg),
    SCMP_SYS(recvmmsg),
    SCMP_SYS(sendmsg),
    SCMP_SYS(recvfrom),
    SCMP_SYS(sendto),
    SCMP_SYS(shutdown),
    SCMP_SYS(getsockopt),
    SCMP_SYS(setsockopt),
    SCMP_SYS(getsockname),
    SCMP_SYS(getpeername),
    SCMP_SYS(socketpair),
};

constexpr int for_network_client[] = {SCMP_SYS(connect), SCMP_SYS(bind)};
constexpr int for_network_server[] = {SCMP_SYS(accept4)};
constexpr int for_files[] = {
    SCMP_SYS(openat),     SCMP_SYS(open),
    SCMP_SYS(unlinkat),   SCMP_SYS(unlink),
    SCMP_SYS(renameat),   SCMP_SYS(renameat2),
    SCMP_SYS(rename),     SCMP_SYS(linkat),
    SCMP_SYS(mkdirat),    SCMP_SYS(mkdir),
    SCMP_SYS(getdents64), SCMP_SYS(fsync),
    SCMP_SYS(fdatasync),  SCMP_SYS(sync_file_range),
    SCMP_SYS(fallocate),  SCMP_SYS(flock),
    SCMP_SYS(fstatfs),    SCMP_SYS(statfs),
    SCMP_SYS(pwritev),    SCMP_SYS(pwritev2),
    SCMP_SYS(preadv),     SCMP_SYS(statx),
    SCMP_SYS(access),     SCMP_SYS(faccessat),
    SCMP_SYS(readlinkat), SCMP_SYS(stat),
    SCMP_SYS(lstat),      SCMP_SYS(fchmod),
    SCMP_SYS(fadvise64),
};
constexpr int for_reading[] = {SCMP_SYS(access),   SCMP_SYS(faccessat),  SCMP_SYS(faccessat2),
                               SCMP_SYS(stat),     SCMP_SYS(lstat),      SCMP_SYS(statx),
                               SCMP_SYS(readlink), SCMP_SYS(getdents64), SCMP_SYS(statfs),
                               SCMP_SYS(fstatfs)};

constexpr int for_names[] = {SCMP_SYS(sendmmsg)};

class Filter {
  public:
    Filter() : context_(seccomp_init(SCMP_ACT_ERRNO(EPERM)), seccomp_release) {}
    bool made() const { return context_ != nullptr; }

    template <size_t N> void allow(const int (&calls)[N]) {
        for (int call : calls)
            add(SCMP_ACT_ALLOW, call, {});
    }
    void add(uint32_t action, int call, std::initializer_list<scmp_arg_cmp> arguments) {
        int result =
            seccomp_rule_add_array(context_.get(), action, call,
                                   static_cast<unsigned>(arguments.size()), arguments.begin());
        // A call that this architecture does not have, or a rule that is there already, is no
        // error.
        if (result < 0 && result != -EDOM && result != -EEXIST)
            error_ = result;
    }
    Result<void> load() {
        if (error_ == 0) {
            seccomp_attr_set(context_.get(), SCMP_FLTATR_CTL_OPTIMIZE, 2);
            error_ = seccomp_load(context_.get());
        }
        if (error_ < 0)
            return system_error("the system call filter", -error_);
        return {};
    }

  private:
    std::unique_ptr<void, void (*)(scmp_filter_ctx)> context_;
    int error_ = 0;
};

void allow_threads(Filter& filter) {
    // clone(2) for threads only. clone3's flags cannot be looked at: the C library falls back.
    filter.add(SCMP_ACT_ALLOW, SCMP_SYS(clone),
               {SCMP_A0_64(SCMP_CMP_MASKED_EQ, CLONE_THREAD, CLONE_THREAD)});
    filter.add(SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), {});
}

void allow_sockets(Filter& filter, std::initializer_list<uint64_t> families) {
    for (uint64_t family : families)
        filter.add(SCMP_ACT_ALLOW, SCMP_SYS(socket), {SCMP_A0_64(SCMP_CMP_EQ, family)});
}

void allow_opening_for_reading(Filter& filter) {
    constexpr uint64_t writing = O_WRONLY | O_RDWR | O_CREAT | O_TRUNC;
    filter.add(SCMP_ACT_ALLOW, SCMP_SYS(openat),
               {SCMP_A2_64(SCMP_CMP_MASKED_EQ, writing, O_RDONLY)});
    filter.add(SCMP_ACT_ALLOW, SCMP_SYS(open), {SCMP_A1_64(SCMP_CMP_MASKED_EQ, writing, O_RDONLY)});
}

} // namespace

Result<void> install_system_call_filter(const Sandbox& sandbox) {
    Filter filter;
    if (!filter.made())
        return Error{"the system call filter cannot be made"};
    filter.allow(always);
    allow_threads(filter);
    if (sandbox.network_client) {
        filter.allow(for_network_client);
        allow_sockets(filter, {AF_INET, AF_INET6, AF_UNIX});
    }
    if (sandbox.resolve_names) {
        filter.allow(for_names);
        filter.add(SCMP_ACT_ALLOW, SCMP_SYS(ioctl), {SCMP_A1_64(SCMP_CMP_EQ, FIONREAD)});
        allow_sockets(filter, {AF_NETLINK});
    }
    if (sandbox.ask_services) {
        filter.allow(for_network_client);
        allow_sockets(filter, {AF_UNIX, AF_NETLINK});
    }
    if (sandbox.network_server)
        filter.allow(for_network_server);
    if (sandbox.open_files)
        filter.allow(for_files);
    if (sandbox.read_files) {
        filter.allow(for_reading);
        allow_opening_for_reading(filter);
    }
    return filter.load();
}

} // namespace postern
