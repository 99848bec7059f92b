// The spool's files on a real disk, by system calls relative to the spool's directory.
#include "queue/spool/posix_file_system.h"

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstdio>
#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/uio.h>
#include <unistd.h>

namespace postern {

namespace {

template <class Call> auto retry_interrupted(Call call) {
    auto result = call();
    while (result < 0 && errno == EINTR)
        result = call();
    return result;
}

class PosixFile : public File {
  public:
    PosixFile(FileDescriptor fd, std::string name) : fd_(std::move(fd)), name_(std::move(name)) {}
    ~PosixFile() override;

    Result<size_t> read_at(uint64_t offset, std::span<char> out) override;
    Result<void> write_at(uint64_t offset, std::span<const std::string_view> pieces,
                          bool durable) override;
    Result<void> sync() override;
    Result<uint64_t> size() override;
    void drop_cached(uint64_t offset, uint64_t length) override {
        (void)::posix_fadvise(fd_.get(), static_cast<off_t>(offset), static_cast<off_t>(length),
                              POSIX_FADV_DONTNEED);
    }
    Result<FileDescriptor> descriptor() override;

    int fd() const { return fd_.get(); }
    const std::string& name() const { return name_; }
    // A file that has only a temporary name so far is unlinked when it is closed.
    void set_temporary(int directory) { directory_ = directory; }
    void became_permanent() { directory_ = -1; }
    bool temporary() const { return directory_ >= 0; }

  private:
    Error failure(const char* what, int code = errno) const {
        return system_error(name_ + ": " + what, code);
    }

    FileDescriptor fd_;
    std::string name_;
    int directory_ = -1;
    std::atomic<bool> durable_writes_ = true; // the kernel knows RWF_DSYNC here
};

PosixFile::~PosixFile() {
    if (temporary())
        ::unlinkat(directory_, name_.c_str(), 0);
}

Result<size_t> PosixFile::read_at(uint64_t offset, std::span<char> out) {
    size_t done = 0;
    while (done < out.size()) {
        ssize_t got = retry_interrupted([&] {
            return ::pread(fd_.get(), out.data() + done, out.size() - done,
                           static_cast<off_t>(offset + done));
        });
        if (got < 0)
            return failure("read");
        if (got == 0)
            break;
        done += static_cast<size_t>(got);
    }
    return done;
}

Result<void> PosixFile::write_at(uint64_t offset, std::span<const std::string_view> pieces,
                                 bool durable) {
    std::vector<iovec> vectors;
    vectors.reserve(pieces.size());
    for (std::string_view piece : pieces)
        if (!piece.empty())
            vectors.push_back({const_cast<char*>(piece.data()), piece.size()});
    bool flags_work = durable_writes_.load(std::memory_order_relaxed);
    size_t first = 0;
    while (first < vectors.size()) {
        int count = static_cast<int>(std::min<size_t>(vectors.size() - first, IOV_MAX));
        ssize_t written = retry_interrupted([&] {
            return ::pwritev2(fd_.get(), vectors.data() + first, count, static_cast<off_t>(offset),
                              durable && flags_work ? RWF_DSYNC : 0);
        });
        if (written < 0 && flags_work && durable && (errno == EOPNOTSUPP || errno == ENOSYS)) {
            durable_writes_ = flags_work = false;
            continue;
        }
        if (written <= 0)
            return failure("write", written == 0 ? ENOSPC : errno);
        offset += static_cast<uint64_t>(written);
        auto left = static_cast<size_t>(written);
        while (left > 0 && left >= vectors[first].iov_len)
            left -= vectors[first++].iov_len;
        if (left > 0) {
            vectors[first].iov_base = static_cast<char*>(vectors[first].iov_base) + left;
            vectors[first].iov_len -= left;
        }
    }
    return durable && !flags_work ? sync() : Result<void>();
}

Result<void> PosixFile::sync() {
    // Not repeated when interrupted: a second fdatasync may succeed for pages that were dropped.
    if (::fdatasync(fd_.get()) != 0)
        return failure("fdatasync");
    return {};
}

Result<uint64_t> PosixFile::size() {
    struct stat status;
    if (::fstat(fd_.get(), &status) != 0)
        return failure("fstat");
    return static_cast<uint64_t>(status.st_size);
}

Result<FileDescriptor> PosixFile::descriptor() {
    FileDescriptor copy(::fcntl(fd_.get(), F_DUPFD_CLOEXEC, 0));
    if (!copy)
        return failure("duplicate");
    return copy;
}

class PosixLock : public FileLock {
  public:
    explicit PosixLock(FileDescriptor fd) : fd_(std::move(fd)) {}

  private:
    FileDescriptor fd_;
};

} // namespace

PosixFileSystem::PosixFileSystem(FileDescriptor root)
    : root_(std::move(root)),
      proc_fds_(::open("/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC)),
      unnamed_files_(static_cast<bool>(proc_fds_)) {}

Result<std::unique_ptr<PosixFileSystem>>
PosixFileSystem::open_directory(const std::string& directory) {
    FileDescriptor root(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!root)
        return system_error(directory);
    return adopt(std::move(root));
}

Result<std::unique_ptr<PosixFileSystem>> PosixFileSystem::adopt(FileDescriptor directory) {
    return std::unique_ptr<PosixFileSystem>(new PosixFileSystem(std::move(directory)));
}

Result<FileDescriptor> PosixFileSystem::open_at(const std::string& path, int flags) {
    FileDescriptor fd(retry_interrupted(
        [&] { return ::openat(root_.get(), path.c_str(), flags | O_CLOEXEC | O_NOFOLLOW, 0600); }));
    if (!fd)
        return system_error(path);
    return fd;
}

Result<std::unique_ptr<File>> PosixFileSystem::open(const std::string& path, OpenMode mode) {
    int flags = mode == OpenMode::Read        ? O_RDONLY
                : mode == OpenMode::ReadWrite ? O_RDWR
                                              : O_RDWR | O_CREAT | O_EXCL;
    auto fd = open_at(path, flags);
    if (!fd)
        return fd.error();
    return std::unique_ptr<File>(std::make_unique<PosixFile>(std::move(*fd), path));
}

Result<std::unique_ptr<File>> PosixFileSystem::create_unnamed(const std::string& directory) {
    if (unnamed_files_) {
        auto fd = open_at(directory, O_WRONLY | O_TMPFILE);
        if (fd)
            return std::unique_ptr<File>(
                std::make_unique<PosixFile>(std::move(*fd), directory + "/(unnamed)"));
        if (fd.error().code != EOPNOTSUPP && fd.error().code != EISDIR)
            return fd.error();
        unnamed_files_ = false; // known for good: the spool does not change its file system
    }
    std::string path;
    Result<FileDescriptor> fd = Error{};
    do { // names that an earlier process left behind are passed over
        path = directory + "/.tmp." + std::to_string(++temporary_);
        fd = open_at(path, O_WRONLY | O_CREAT | O_EXCL);
    } while (!fd && fd.error().code == EEXIST);
    if (!fd)
        return fd.error();
    auto file = std::make_unique<PosixFile>(std::move(*fd), path);
    file->set_temporary(root_.get());
    return std::unique_ptr<File>(std::move(file));
}

Result<void> PosixFileSystem::link_unnamed(File& file, const std::string& path) {
    auto& real = static_cast<PosixFile&>(file); // only this class makes Files for this class
    if (real.temporary()) {
        if (::renameat2(root_.get(), real.name().c_str(), root_.get(), path.c_str(),
                        RENAME_NOREPLACE) != 0)
            return system_error(path + ": rename");
        real.became_permanent();
        return {};
    }
    std::string number = std::to_string(real.fd());
    if (::linkat(proc_fds_.get(), number.c_str(), root_.get(), path.c_str(), AT_SYMLINK_FOLLOW) !=
        0)
        return system_error(path + ": link");
    return {};
}

Result<void> PosixFileSystem::rename(const std::string& from, const std::string& to) {
    if (::renameat(root_.get(), from.c_str(), root_.get(), to.c_str()) != 0)
        return system_error(from + ": rename to " + to);
    return {};
}

Result<void> PosixFileSystem::unlink(const std::string& path) {
    if (::unlinkat(root_.get(), path.c_str(), 0) != 0)
        return system_error(path + ": unlink");
    return {};
}

Result<void> PosixFileSystem::make_directory(const std::string& path) {
    if (::mkdirat(root_.get(), path.c_str(), 0700) != 0 && errno != EEXIST)
        return system_error(path + ": mkdir");
    return {};
}

Result<std::vector<std::string>> PosixFileSystem::list(const std::string& directory) {
    auto fd = open_at(directory.empty() ? "." : directory, O_RDONLY | O_DIRECTORY);
    if (!fd)
        return fd.error();
    DIR* stream = ::fdopendir(fd->get());
    if (stream == nullptr)
        return system_error(directory + ": fdopendir");
    (void)fd->release(); // now the stream's
    std::vector<std::string> names;
    errno = 0;
    while (const dirent* entry = ::readdir(stream)) {
        std::string name = entry->d_name;
        if (name != "." && name != "..")
            names.push_back(std::move(name));
        errno = 0;
    }
    int code = errno;
    ::closedir(stream);
    if (code != 0)
        return system_error(directory + ": readdir", code);
    return names;
}

Result<void> PosixFileSystem::sync_directory(const std::string& directory) {
    auto fd = open_at(directory.empty() ? "." : directory, O_RDONLY | O_DIRECTORY);
    if (!fd)
        return fd.error();
    if (::fsync(fd->get()) != 0)
        return system_error(directory + ": fsync");
    return {};
}

Result<std::unique_ptr<FileLock>> PosixFileSystem::lock(const std::string& path, LockMode mode) {
    auto fd = open_at(path, mode == LockMode::MakeFile ? O_RDWR | O_CREAT : O_RDWR);
    if (!fd)
        return fd.error();
    if (::flock(fd->get(), LOCK_EX | LOCK_NB) != 0)
        return system_error(path);
    return std::unique_ptr<FileLock>(std::make_unique<PosixLock>(std::move(*fd)));
}

Result<uint64_t> PosixFileSystem::free_space() {
    struct statvfs status;
    if (::fstatvfs(root_.get(), &status) != 0)
        return system_error("statvfs");
    return static_cast<uint64_t>(status.f_bavail) * status.f_frsize;
}

} // namespace postern
