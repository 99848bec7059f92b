#include "deliver/local/maildir/maildir.h"

#include <algorithm>
#include <cstdio>
#include <ctime>
#include <fcntl.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>
#include <vector>

#include "common/base/file_descriptor.h"

namespace postern {

namespace {

constexpr mode_t directory_mode = 0700;
constexpr mode_t file_mode = 0600;
constexpr size_t chunk_size = 128 * 1024;
constexpr unsigned name_attempts = 10;

Result<FileDescriptor> open_directory(const std::string& path) {
    FileDescriptor directory(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!directory)
        return system_error("open " + path);
    return directory;
}

Result<void> sync(const FileDescriptor& file, const std::string& what) {
    if (::fsync(file.get()) < 0)
        return system_error("sync " + what);
    return {};
}

// Makes a directory, and its name durable.
Result<void> make_directory(const std::string& path) {
    if (::mkdir(path.c_str(), directory_mode) < 0) {
        if (errno == EEXIST)
            return {};
        return system_error("make directory " + path);
    }
    const size_t slash = path.rfind('/');
    Result<FileDescriptor> parent = open_directory(slash == 0 ? "/" : path.substr(0, slash));
    // Some parents may be searched only (a home directory's, such as /home of another's): then the
    // name is as durable as the system makes it.
    if (!parent)
        return parent.error().code == EACCES ? Result<void>() : parent.error();
    return sync(*parent, "the directory of " + path);
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

// Reads a file without moving its offset, which others may share; a pipe as it comes.
class ContentReader {
  public:
    explicit ContentReader(int fd) : fd_(fd), offset_(::lseek(fd, 0, SEEK_CUR)) {}

    // Nothing at the end.
    Result<std::string_view> read() {
        for (;;) {
            const ssize_t got = offset_ < 0 ? ::read(fd_, chunk_.data(), chunk_.size())
                                            : ::pread(fd_, chunk_.data(), chunk_.size(), offset_);
            if (got < 0 && errno == EINTR)
                continue;
            if (got < 0)
                return system_error("read the message");
            offset_ += offset_ < 0 ? 0 : got;
            return std::string_view(chunk_.data(), static_cast<size_t>(got));
        }
    }

  private:
    int fd_;
    off_t offset_; // negative: it has none
    std::vector<char> chunk_ = std::vector<char>(chunk_size);
};

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

// An address has no control characters; if it had, it would not end its line.
void append_one_line(std::string& out, std::string_view address) {
    for (char c : address)
        out += static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? '?' : c;
}

// RFC 5321 4.4: the reverse-path is kept in the final delivery.
std::string header_of(const MaildirMessage& message) {
    std::string header = "Return-Path: <";
    append_one_line(header, message.reverse_path);
    header += ">\nDelivered-To: ";
    append_one_line(header, message.recipient);
    return header + "\n";
}

Result<void> write_message(int fd, const MaildirMessage& message) {
    std::string out = header_of(message);
    LineEnds line_ends;
    ContentReader reader(message.content);
    for (;;) {
        Result<std::string_view> piece = reader.read();
        if (!piece)
            return piece.error();
        if (piece->empty())
            line_ends.finish(out);
        else
            line_ends.convert(*piece, out);
        if (Result<void> written = write_all(fd, out); !written)
            return written;
        if (piece->empty())
            return {};
        out.clear();
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
        if (Result<void> synced = sync(file_, path()); !synced)
            return synced;
        const std::string target = maildir_ + "/new/" + name_;
        if (Result<void> moved = move_to_new(path(), target); !moved)
            return moved;
        Result<FileDescriptor> directory = open_directory(maildir_ + "/new");
        Result<void> synced =
            directory ? sync(*directory, maildir_ + "/new") : Result<void>(directory.error());
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

void LineEnds::convert(std::string_view piece, std::string& out) {
    while (!piece.empty()) {
        if (held_) {
            held_ = false;
            if (piece.front() != '\n') {
                out += '\r';
                at_line_start_ = false;
            }
        }
        const size_t end = piece.find('\r');
        const std::string_view text = piece.substr(0, end);
        out += text;
        if (!text.empty())
            at_line_start_ = text.back() == '\n';
        if (end == std::string_view::npos)
            return;
        held_ = true;
        piece.remove_prefix(end + 1);
    }
}

void LineEnds::finish(std::string& out) {
    if (held_) {
        out += '\r';
        at_line_start_ = false;
        held_ = false;
    }
    if (!at_line_start_)
        out += '\n';
    at_line_start_ = true;
}

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

Result<std::string> store_message(const MaildirMessage& message) {
    if (Result<void> made = make_maildir(message.path); !made)
        return made.error();
    TemporaryFile file(message.path);
    if (Result<void> created = file.create(); !created)
        return created.error();
    if (Result<void> written = write_message(file.fd(), message); !written)
        return written.error();
    if (Result<void> delivered = file.deliver(); !delivered)
        return delivered.error();
    return file.name();
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
