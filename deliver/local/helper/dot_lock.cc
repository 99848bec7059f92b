#include "deliver/local/helper/dot_lock.h"

#include <cerrno>
#include <climits>
#include <csignal>
#include <cstdlib>
#include <ctime>
#include <fcntl.h>
#include <string_view>
#include <unistd.h>

#include "common/base/file_descriptor.h"

namespace postern {

namespace {

constexpr off_t largest_lock = 1024; // octets: a longer file is somebody's data

std::string host_name() {
    char name[256] = "";
    return ::gethostname(name, sizeof name - 1) == 0 ? name : "";
}

// The mode and the content are what others expect: readable, with a process id in front.
FileDescriptor make_lock(const std::string& path) {
    FileDescriptor lock(
        ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0444));
    if (!lock)
        return lock;
    const std::string holder = std::to_string(::getpid()) + " " + host_name() + "\n";
    // Without it the lock holds as well.
    [[maybe_unused]] const ssize_t written = ::write(lock.get(), holder.data(), holder.size());
    return lock;
}

bool is_lock(const struct stat& status) {
    return S_ISREG(status.st_mode) && status.st_size <= largest_lock &&
           status.st_uid == ::geteuid();
}

// Whether one of our own, of this host, has died with it in his hand.
bool has_lost_its_holder(int lock) {
    char text[largest_lock];
    const ssize_t size = ::pread(lock, text, sizeof text - 1, 0);
    if (size <= 0)
        return false;
    text[size] = '\0';
    char* end = nullptr;
    const long holder = std::strtol(text, &end, 10);
    // Without a host it may be the process of another that shares the folder.
    if (holder <= 0 || holder > INT_MAX || std::string_view(end) != " " + host_name() + "\n")
        return false;
    return ::kill(static_cast<pid_t>(holder), 0) < 0 && errno == ESRCH;
}

bool is_same(const struct stat& one, const struct stat& other) {
    return one.st_dev == other.st_dev && one.st_ino == other.st_ino;
}

// Whether it is gone.
bool remove_if_stale(const std::string& path, std::chrono::seconds stale_after) {
    struct stat named, opened;
    if (::lstat(path.c_str(), &named) < 0)
        return errno == ENOENT;
    if (!is_lock(named))
        return false;
    const FileDescriptor lock(::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
    if (!lock || ::fstat(lock.get(), &opened) < 0 || !is_lock(opened) || !is_same(named, opened))
        return false;
    if (opened.st_mtime + stale_after.count() >= ::time(nullptr) &&
        !has_lost_its_holder(lock.get()))
        return false;
    // Another may have taken it away, and made his own, while we looked.
    return ::lstat(path.c_str(), &named) == 0 && is_same(named, opened) &&
           ::unlink(path.c_str()) == 0;
}

} // namespace

Result<bool> DotLock::take(const std::string& file, std::chrono::seconds stale_after) {
    const std::string path = file + ".lock";
    // Twice: again after a stale one.
    for (int attempt = 0; attempt < 2; ++attempt) {
        if (const FileDescriptor made = make_lock(path)) {
            path_ = path;
            if (::fstat(made.get(), &ours_) < 0)
                return system_error("look at " + path);
            return true;
        }
        if (errno != EEXIST)
            return system_error("make " + path);
        if (!remove_if_stale(path, stale_after))
            return false;
    }
    return false;
}

void DotLock::release() {
    struct stat named;
    // Not if another has taken it for one that was left behind, and made his own.
    if (!path_.empty() && ::lstat(path_.c_str(), &named) == 0 && is_same(named, ours_))
        ::unlink(path_.c_str());
    path_.clear();
}

} // namespace postern
