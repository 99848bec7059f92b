#include "deliver/local/helper/mbox.h"

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <sys/stat.h>
#include <thread>
#include <unistd.h>

#include "deliver/local/helper/dot_lock.h"
#include "deliver/local/helper/files.h"
#include "deliver/local/helper/mbox_text.h"

namespace postern {

namespace {

using Clock = std::chrono::steady_clock;

constexpr mode_t file_mode = 0600;
constexpr auto lock_interval = std::chrono::milliseconds(100);
constexpr int open_flags = O_RDWR | O_APPEND | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;

// A mailbox that is open, and ours alone while this lives.
class Mbox {
  public:
    Mbox(const std::string& path, const MboxOptions& options)
        : path_(path), options_(options), until_(Clock::now() + options.lock_wait),
          deadline_(Clock::now() + options.time_limit) {}

    // Opens it and takes the locks. Fails with EAGAIN when its time is over.
    Result<void> lock();
    // Fails with the file as it was, but for what others have written who heed no lock.
    Result<void> append(const LocalMessage& message, int64_t now);

  private:
    Result<void> open();
    Result<void> check();
    Result<bool> try_locks();
    bool is_still_there() const;
    Result<std::string> separator() const;
    Result<void> put(std::string_view text);
    Result<void> write(const LocalMessage& message, int64_t now);
    void take_back();

    const std::string& path_;
    const MboxOptions& options_;
    Clock::time_point until_;
    Clock::time_point deadline_;
    FileDescriptor file_;
    bool is_new_ = false;
    off_t length_ = 0;  // before
    off_t written_ = 0; // behind that, by us
    DotLock dot_lock_;  // goes before the file is closed, and with that the other lock
};

Result<void> Mbox::open() {
    is_new_ = false;
    file_ = FileDescriptor(::open(path_.c_str(), open_flags));
    if (!file_ && errno == ENOENT) {
        file_ = FileDescriptor(::open(path_.c_str(), open_flags | O_CREAT | O_EXCL, file_mode));
        is_new_ = static_cast<bool>(file_);
        if (!file_ && errno == EEXIST) // made by another just now
            file_ = FileDescriptor(::open(path_.c_str(), open_flags));
    }
    if (!file_)
        return system_error("open " + path_);
    return check();
}

Result<void> Mbox::check() {
    struct stat status;
    if (::fstat(file_.get(), &status) < 0)
        return system_error("look at " + path_);
    const char* fault = nullptr;
    if (!S_ISREG(status.st_mode))
        fault = "is no regular file";
    else if (status.st_uid != ::geteuid())
        fault = "belongs to another user";
    else if (status.st_nlink > 1)
        fault = "has a second name";
    else if (status.st_mode & S_IWOTH)
        fault = "is for everybody to write to";
    return fault ? Error{path_ + " " + fault, EPERM} : Result<void>();
}

// Whether the name still is that of the file which is open: who rewrites a mailbox may have put
// another in its place before we had the lock.
bool Mbox::is_still_there() const {
    struct stat opened, named;
    return ::fstat(file_.get(), &opened) == 0 && ::lstat(path_.c_str(), &named) == 0 &&
           opened.st_dev == named.st_dev && opened.st_ino == named.st_ino;
}

// fcntl's first, and both or none: everybody who does it in this order gets on with each other.
Result<bool> Mbox::try_locks() {
    struct flock whole {};
    whole.l_type = F_WRLCK;
    whole.l_whence = SEEK_SET;
    if (::fcntl(file_.get(), F_SETLK, &whole) < 0)
        return errno == EAGAIN || errno == EACCES ? Result(false)
                                                  : Result<bool>(system_error("lock " + path_));
    Result<bool> taken = dot_lock_.take(path_, options_.stale_after);
    if (!taken) {
        const int code = taken.error().code;
        return code == EACCES || code == EPERM ? Result(true) : std::move(taken);
    }
    if (!*taken) {
        whole.l_type = F_UNLCK;
        ::fcntl(file_.get(), F_SETLK, &whole);
    }
    return taken;
}

Result<void> Mbox::lock() {
    for (;;) {
        if (!file_)
            if (Result<void> opened = open(); !opened)
                return opened;
        Result<bool> locked = try_locks();
        if (!locked)
            return locked.error();
        if (*locked && is_still_there())
            return check();
        if (*locked) {
            dot_lock_.release();
            file_.reset();
        }
        if (Clock::now() >= until_)
            return Error{path_ + " is locked by another program", EAGAIN};
        if (!*locked)
            std::this_thread::sleep_for(lock_interval);
    }
}

Result<std::string> Mbox::separator() const {
    char tail[2];
    const off_t size = std::min<off_t>(length_, sizeof tail);
    const ssize_t got = ::pread(file_.get(), tail, static_cast<size_t>(size), length_ - size);
    if (got != size)
        return system_error("read the end of " + path_);
    return std::string(mbox_separator({tail, static_cast<size_t>(got)}));
}

// Behind what is there. A part of it counts as well, if there is no room for all.
Result<void> Mbox::put(std::string_view text) {
    while (!text.empty()) {
        // Who runs us ends us soon: then nobody would take back what is there already.
        if (Clock::now() >= deadline_)
            return Error{"it takes too long to write to " + path_, ETIMEDOUT};
        const ssize_t size = ::write(file_.get(), text.data(), text.size());
        if (size < 0 && errno == EINTR)
            continue;
        if (size < 0)
            return system_error("write to " + path_);
        written_ += size;
        text.remove_prefix(static_cast<size_t>(size));
    }
    return {};
}

Result<void> Mbox::write(const LocalMessage& message, int64_t now) {
    Result<std::string> before = separator();
    if (!before)
        return before.error();
    std::string out = *before + mbox_from_line(message.reverse_path, now);
    MessageText text(message);
    MboxQuoting quoting;
    for (;;) {
        Result<std::string> piece = text.next();
        if (!piece)
            return piece.error();
        quoting.convert(*piece, out);
        if (piece->empty()) {
            quoting.finish(out);
            out += '\n'; // the empty line at the end
        }
        if (Result<void> done = put(out); !done)
            return done;
        if (piece->empty())
            return {};
        out.clear();
    }
}

// It comes again, and is not to be there twice. Where others have written behind it, who heed no
// lock, it stays: what they have written is not ours to cut.
void Mbox::take_back() {
    struct stat status;
    if (::fstat(file_.get(), &status) < 0 || status.st_size != length_ + written_)
        return;
    if (::ftruncate(file_.get(), length_) == 0)
        ::fsync(file_.get());
    if (is_new_ && length_ == 0)
        ::unlink(path_.c_str());
}

Result<void> Mbox::append(const LocalMessage& message, int64_t now) {
    length_ = ::lseek(file_.get(), 0, SEEK_END);
    if (length_ < 0)
        return system_error("find the end of " + path_);
    Result<void> done = write(message, now);
    if (done)
        done = sync(file_.get(), path_);
    // Whoever has made an empty one need not have synced it.
    if (done && length_ == 0)
        done = sync_parent(path_);
    if (!done)
        take_back();
    return done;
}

} // namespace

Result<void> append_to_mbox(const std::string& path, const LocalMessage& message, int64_t now,
                            const MboxOptions& options) {
    if (path == "/dev/null")
        return {};
    if (!path.starts_with('/'))
        return Error{"the path of the mailbox is not absolute", EINVAL};
    Mbox mbox(path, options);
    if (Result<void> locked = mbox.lock(); !locked)
        return locked;
    return mbox.append(message, now);
}

} // namespace postern
