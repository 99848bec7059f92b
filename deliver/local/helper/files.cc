#include "deliver/local/helper/files.h"

#include <fcntl.h>
#include <sysexits.h>
#include <unistd.h>

namespace postern {

Result<void> write_all(int fd, std::string_view bytes) {
    while (!bytes.empty()) {
        const ssize_t written = ::write(fd, bytes.data(), bytes.size());
        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0)
            return system_error("write the message");
        bytes.remove_prefix(static_cast<size_t>(written));
    }
    return {};
}

Result<void> sync(int fd, const std::string& what) {
    if (::fsync(fd) < 0)
        return system_error("sync " + what);
    return {};
}

Result<FileDescriptor> open_directory(const std::string& path) {
    FileDescriptor directory(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!directory)
        return system_error("open " + path);
    return directory;
}

Result<void> sync_parent(const std::string& path) {
    const size_t slash = path.rfind('/');
    Result<FileDescriptor> parent = open_directory(slash == 0 ? "/" : path.substr(0, slash));
    if (!parent)
        return parent.error().code == EACCES ? Result<void>() : parent.error();
    return sync(parent->get(), "the directory of " + path);
}

int exit_status_of(int code) {
    switch (code) {
    case EACCES:
    case EPERM:
        return EX_NOPERM;
    case EROFS:
    case ENOTDIR:
    case ENOENT:
    case EISDIR:
    case ENAMETOOLONG:
    case ELOOP:
    case EINVAL:
        return EX_CANTCREAT;
    case EIO:
        return EX_IOERR;
    default: // ENOSPC, EDQUOT, EMFILE, ENOMEM, …
        return EX_TEMPFAIL;
    }
}

} // namespace postern
