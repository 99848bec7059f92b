#include "deliver/local/helper/dot_lock.h"

#include <ctime>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/file_descriptor.h"

namespace postern {

namespace {

bool make_lock(const std::string& path) {
    // The mode and the content are what others expect: readable, with a process id.
    FileDescriptor lock(
        ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0444));
    if (!lock)
        return false;
    const std::string process = std::to_string(::getpid()) + "\n";
    // Without it the lock holds as well.
    [[maybe_unused]] const ssize_t written = ::write(lock.get(), process.data(), process.size());
    return true;
}

// Whether it is gone.
bool remove_if_stale(const std::string& path, std::chrono::seconds stale_after) {
    struct stat status;
    if (::lstat(path.c_str(), &status) < 0)
        return errno == ENOENT;
    const bool stale = status.st_mtime + stale_after.count() < ::time(nullptr);
    return stale && ::unlink(path.c_str()) == 0;
}

} // namespace

Result<bool> DotLock::take(const std::string& file, std::chrono::seconds stale_after) {
    const std::string path = file + ".lock";
    // Twice: again after a stale one.
    for (int attempt = 0; attempt < 2; ++attempt) {
        if (make_lock(path)) {
            path_ = path;
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
    if (!path_.empty())
        ::unlink(path_.c_str());
    path_.clear();
}

} // namespace postern
