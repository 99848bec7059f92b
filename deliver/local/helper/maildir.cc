#include "deliver/local/helper/maildir.h"

#include <cstdio>
#include <ctime>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "deliver/local/helper/files.h"

namespace postern {

namespace {

constexpr mode_t directory_mode = 0700;
constexpr mode_t file_mode = 0600;
constexpr unsigned name_attempts = 10;

// Makes a directory, and its name durable.
Result<void> make_directory(const std::string& path) {
    if (::mkdir(path.c_str(), directory_mode) < 0) {
        if (errno == EEXIST)
            return {};
        return system_error("make directory " + path);
    }
    return sync_parent(path);
}

bool is_directory(const std::string& path) {
    struct stat status;
    return ::stat(path.c_str(), &status) == 0 && S_ISDIR(status.st_mode);
}

// The Maildir and what is above it, where it is not there yet.
Result<void> make_maildir(const std::string& path) {
    if (path.empty() || path.front() != '/')
        return Error{"the path of the Maildir is not absolute", EINVAL};
    for (size_t slash = path.find('/', 1); !is_directory(path); slash = path.find('/', slash + 1)) {
        if (Result<void> made = make_directory(path.substr(0, slash)); !made)
            return made;
        if (slash == std::string::npos)
            break;
    }
    for (const char* part : {"/tmp", "/new", "/cur"})
        if (!is_directory(path + part))
            if (Result<void> made = make_directory(path + part); !made)
                return made;
    return {};
}

Result<void> write_message(int fd, const LocalMessage& message) {
    MessageText text(message);
    for (;;) {
        Result<std::string> piece = text.next();
        if (!piece)
            return piece.error();
        if (piece->empty())
            return {};
        if (Result<void> written = write_all(fd, *piece); !written)
            return written;
    }
}

// Never over a file that is there.
Result<void> move_to_new(const std::string& from, const std::string& to) {
    if (::renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), RENAME_NOREPLACE) == 0)
        return {};
    // Not every file system can do that.
    if (errno != EINVAL && errno != ENOSYS)
        return system_error("move to " + to);
    if (::link(from.c_str(), to.c_str()) < 0)
        return system_error("link " + to);
    ::unlink(from.c_str());
    return {};
}

// A file in tmp/ which goes when it has not been moved to new/.
class TemporaryFile {
  public:
    ~TemporaryFile() {
        if (file_)
            ::unlink(path().c_str());
    }
    TemporaryFile(const TemporaryFile&) = delete;
    explicit TemporaryFile(std::string maildir) : maildir_(std::move(maildir)) {}

    Result<void> create() {
        char host[256] = "localhost";
        ::gethostname(host, sizeof host - 1);
        for (unsigned attempt = 0; attempt < name_attempts; ++attempt) {
            timespec now{};
            ::clock_gettime(CLOCK_REALTIME, &now);
            name_ = unique_name(now.tv_sec, now.tv_nsec / 1000, ::getpid(), attempt, host);
            file_ = FileDescriptor(
                ::open(path().c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, file_mode));
            if (file_)
                return {};
            if (errno != EEXIST)
                break;
        }
        return system_error("create " + path());
    }

    // Synced, closed, and in new/ under its name, which nothing had before; then new/ is synced.
    Result<void> deliver() {
        if (Result<void> synced = sync(file_.get(), path()); !synced)
            return synced;
        const std::string target = maildir_ + "/new/" + name_;
        if (Result<void> moved = move_to_new(path(), target); !moved)
            return moved;
        Result<FileDescriptor> directory = open_directory(maildir_ + "/new");
        Result<void> synced =
            directory ? sync(directory->get(), maildir_ + "/new") : Result<void>(directory.error());
        if (!synced)
            ::unlink(target.c_str()); // it is tried again, and is not to be there twice
        file_.reset();
        return synced;
    }

    int fd() const { return file_.get(); }
    const std::string& name() const { return name_; }

  private:
    std::string path() const { return maildir_ + "/tmp/" + name_; }

    std::string maildir_;
    std::string name_;
    FileDescriptor file_;
};

} // namespace

std::string unique_name(int64_t seconds, int64_t microseconds, int64_t process, unsigned attempt,
                        std::string_view host) {
    std::string name = std::to_string(seconds) + ".M" + std::to_string(microseconds) + "P" +
                       std::to_string(process) + "Q" + std::to_string(attempt) + ".";
    for (char c : host) {
        if (c == '/')
            name += "\\057";
        else if (c == ':')
            name += "\\072";
        else
            name += c;
    }
    return name;
}

Result<std::string> store_in_maildir(const std::string& path, const LocalMessage& message) {
    if (Result<void> made = make_maildir(path); !made)
        return made.error();
    TemporaryFile file(path);
    if (Result<void> created = file.create(); !created)
        return created.error();
    if (Result<void> written = write_message(file.fd(), message); !written)
        return written.error();
    if (Result<void> delivered = file.deliver(); !delivered)
        return delivered.error();
    return file.name();
}

} // namespace postern
