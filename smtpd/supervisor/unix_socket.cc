#include "smtpd/supervisor/unix_socket.h"

#include <cstring>
#include <grp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <utility>

#include "smtpd/supervisor/machine.h"

namespace postern {

namespace {

// Makes room for a socket: removes one that nobody listens on.
Result<void> clear_path(const std::string& path, const sockaddr_un& address, int type) {
    struct stat status;
    if (lstat(path.c_str(), &status) < 0)
        return {};
    if (!S_ISSOCK(status.st_mode))
        return Error{path + " exists and is not a socket"};
    FileDescriptor probe(socket(AF_UNIX, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    if (!probe)
        return system_error("socket");
    if (connect(probe.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 ||
        errno == EAGAIN)
        return Error{path + ": another smtpd, or another program, answers there"};
    if (errno != ECONNREFUSED) // EPROTOTYPE: it is of another kind than ours
        return system_error("a socket is there: connect to " + path);
    unlink(path.c_str());
    return {};
}

} // namespace

BoundPath::BoundPath(std::string path) : path_(std::move(path)) {
    struct stat status {};
    if (lstat(path_.c_str(), &status) < 0)
        path_.clear();
    device_ = status.st_dev;
    inode_ = status.st_ino;
}

BoundPath& BoundPath::operator=(BoundPath&& other) noexcept {
    if (this == &other)
        return *this;
    remove();
    path_ = std::exchange(other.path_, {});
    device_ = other.device_;
    inode_ = other.inode_;
    return *this;
}

void BoundPath::remove() {
    struct stat status;
    if (!path_.empty() && lstat(path_.c_str(), &status) == 0 && status.st_dev == device_ &&
        status.st_ino == inode_)
        unlink(path_.c_str());
    path_.clear();
}

Result<FileDescriptor> listen_on_path(const std::string& path, int type, mode_t mode, int backlog) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.size() >= sizeof address.sun_path)
        return system_error(path, ENAMETOOLONG);
    std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
    if (size_t slash = path.rfind('/'); slash != std::string::npos && slash > 0)
        if (Result<void> made = make_directories(path.substr(0, slash), 0755); !made)
            return made.error();
    if (Result<void> cleared = clear_path(path, address, type); !cleared)
        return cleared.error();
    FileDescriptor socket(::socket(AF_UNIX, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    if (!socket)
        return system_error("socket");
    const mode_t before = umask(0777 & ~mode);
    const int bound = bind(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof address);
    const Error error = system_error("bind " + path);
    umask(before);
    if (bound < 0)
        return error;
    if (listen(socket.get(), backlog) < 0)
        return system_error("listen on " + path);
    return socket;
}

Result<FileDescriptor> listen_on(const UnixSocket& where, int backlog) {
    gid_t group = static_cast<gid_t>(-1);
    if (!where.group.empty()) {
        const struct group* entry = getgrnam(where.group.c_str());
        if (!entry)
            return Error{"listen on " + where.path + ": there is no group " + where.group};
        group = entry->gr_gid;
    }
    Result<FileDescriptor> socket = listen_on_path(where.path, SOCK_STREAM, where.mode, backlog);
    if (socket && lchown(where.path.c_str(), static_cast<uid_t>(-1), group) < 0) {
        const Error error = system_error("give " + where.path + " to the group " + where.group);
        unlink(where.path.c_str());
        return error;
    }
    return socket;
}

} // namespace postern
