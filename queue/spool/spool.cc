// The event loop's side of the spool: gathers records, wakes the sync thread, hands out what came
// of it. The other side is queue/spool/committer.cc.
#include "queue/spool/spool.h"

#include <atomic>
#include <cassert>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <csignal>
#include <cstdio>
#include <optional>
#include <pthread.h>
#include <sys/eventfd.h>
#include <thread>
#include <unistd.h>

#include "common/base/crc32c.h"
#include "queue/spool/batch.h"
#include "queue/spool/committer.h"
#include "queue/spool/message_reader.h"
#include "queue/spool/online_check.h"
#include "queue/spool/recovery.h"

namespace postern {

namespace {

template <typename Clock> uint64_t microseconds_by() {
    return static_cast<uint64_t>(
        std::chrono::duration_cast<std::chrono::microseconds>(Clock::now().time_since_epoch())
            .count());
}

SpoolOptions with_defaults(SpoolOptions options) {
    if (!options.clock)
        options.clock = microseconds_by<std::chrono::system_clock>;
    if (!options.uptime)
        options.uptime = microseconds_by<std::chrono::steady_clock>;
    return options;
}

class LogSpool : public Spool {
  public:
    LogSpool(FileSystem& files, SpoolOptions options, std::unique_ptr<FileLock> lock)
        : files_(files), options_(with_defaults(std::move(options))), lock_(std::move(lock)),
          segment_files_(files), reader_(files, segment_files_, state_) {}
    ~LogSpool() override;

    // Begins to recover and starts the thread; called once.
    Result<void> start();

    SpoolId next_id() override;
    std::optional<std::vector<SpoolId>> take_found() override;
    Result<RecoveredMessage> recover(SpoolId id) override;
    Result<Ticket> append_message(SpoolId id, std::string_view envelope,
                                  std::string_view content) override;
    Result<Ticket> append_message(SpoolId id, std::string_view envelope, ContentFile content,
                                  uint64_t length, uint32_t crc32c) override;
    Result<Ticket> append_progress(SpoolId id, std::string_view state,
                                   Durability durability) override;
    Result<Ticket> append_removed(SpoolId id, Durability durability) override;
    void commit() override;
    size_t max_inline() const override;
    int completion_fd() const override { return completion_fd_.get(); }
    std::vector<AppendResult> collect() override;
    Result<ContentFile> create_content_file() override;
    Result<std::string> read_content(SpoolId id, uint64_t offset, size_t length) override {
        return reader_.read_content(id, offset, length);
    }
    Result<Content> open_content(SpoolId id) override { return reader_.open_content(id); }
    Result<std::string> set_content_aside(SpoolId id) override {
        return reader_.set_message_aside(id);
    }
    Result<void> check(bool anew) override;
    std::optional<SpoolCheckPiece> take_checked() override;
    SpoolStatistics statistics() override;
    FileSystem& files() override { return files_; }
    Result<void> close() override;
    bool run_sync_step(bool sync_lazy) override;

  private:
    uint64_t pending_bytes();
    Result<void> may_append(size_t size, bool is_message);
    std::optional<std::string> unwritten_progress(SpoolId id);
    Error set_aside(SpoolId id, const Error& error);
    void report(SpoolEvent::Kind kind, const std::string& message);
    Ticket ticket_for(Durability durability) {
        return durability == Durability::Durable ? ++last_ticket_ : 0;
    }
    Result<void> start_thread(std::thread& thread, void (LogSpool::*run)());
    void run_thread();
    void run_check();
    void stop_threads();
    void take_pending(Batch& batch);
    bool write_and_tell(bool sync_lazy);
    void signal();

    FileSystem& files_;
    const SpoolOptions options_;
    std::unique_ptr<FileLock> lock_;
    SpoolState state_;
    SegmentFiles segment_files_;
    MessageReader reader_;
    std::unique_ptr<Committer> committer_; // the sync thread's
    FileDescriptor completion_fd_;

    // The event loop's alone.
    Ticket last_ticket_ = 0;
    bool closed_ = false;
    std::unique_ptr<OnlineCheck> check_; // of check_thread_ while checking_
    bool checking_ = false;
    std::atomic<bool> stop_check_ = false;
    std::thread check_thread_;

    std::mutex pending_mutex_; // guards the following
    std::condition_variable wake_;
    Batch pending_;
    bool committed_ = false; // commit() was called for what is pending
    bool sleeping_ = false;  // the thread waits for it
    bool stopping_ = false;

    Batch writing_; // the sync thread's; the two batches change places
    std::thread thread_;
};

LogSpool::~LogSpool() { stop_threads(); }

Result<void> LogSpool::start() {
    completion_fd_ = FileDescriptor(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
    if (!completion_fd_)
        return system_error("eventfd");
    auto recovery = std::make_unique<Recovery>(files_, segment_files_, state_);
    auto begun = recovery->begin();
    for (const SpoolEvent& event : std::exchange(state_.events, {}))
        report(event.kind, event.message);
    if (!begun)
        return begun.error();
    committer_ =
        std::make_unique<Committer>(files_, segment_files_, state_, options_, std::move(recovery));
    return options_.threaded ? start_thread(thread_, &LogSpool::run_thread) : Result<void>();
}

Result<void> LogSpool::start_thread(std::thread& thread, void (LogSpool::*run)()) {
    // Signals are the event loop's.
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    Result<void> started;
    try {
        thread = std::thread(run, this);
    } catch (const std::system_error& error) {
        started = Error{std::string("thread: ") + error.what(), error.code().value()};
    }
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    return started;
}

void LogSpool::report(SpoolEvent::Kind kind, const std::string& message) {
    if (options_.report)
        options_.report({kind, message});
}

SpoolId LogSpool::next_id() {
    // From the time, so that an id is not used again even if its every trace has been recycled; but
    // never below one that was seen, should the clock have been set back.
    const uint64_t now = options_.clock();
    std::lock_guard lock(state_.mutex);
    state_.highest_id = std::max(state_.highest_id + 1, now);
    return state_.highest_id;
}

std::optional<std::vector<SpoolId>> LogSpool::take_found() {
    std::lock_guard lock(state_.mutex);
    if (!state_.found)
        return std::nullopt;
    return std::exchange(*state_.found, {});
}

Result<RecoveredMessage> LogSpool::recover(SpoolId id) {
    auto message = reader_.read_message(id);
    if (!message)
        return message.error().code == EBADMSG ? set_aside(id, message.error()) : message.error();
    if (std::optional<std::string> unwritten = unwritten_progress(id)) {
        message->has_progress = true;
        message->progress = std::move(*unwritten);
        return message;
    }
    auto progress = reader_.read_progress(id);
    if (progress) {
        message->has_progress = progress->has_progress;
        message->progress = std::move(progress->progress);
    } else if (progress.error().code == EBADMSG) {
        report(SpoolEvent::Kind::Damaged,
               progress.error().message + "; recipients already served may be served again");
    } else {
        return progress.error();
    }
    return message;
}

std::optional<std::string> LogSpool::unwritten_progress(SpoolId id) {
    std::lock_guard lock(state_.mutex);
    const auto found = state_.unwritten.find(id);
    return found == state_.unwritten.end() ? std::nullopt : std::optional(found->second.latest);
}

// ENOENT, unless it could not be set aside.
Error LogSpool::set_aside(SpoolId id, const Error& error) {
    char name[40];
    std::snprintf(name, sizeof name, "message %016llx: ", static_cast<unsigned long long>(id));
    auto saved = reader_.set_message_aside(id);
    if (!saved)
        return Error{error.message + "; it cannot be set aside: " + saved.error().message, EIO};
    if (auto removed = append_removed(id, Durability::Lazy); !removed)
        return removed.error();
    commit();
    report(SpoolEvent::Kind::Damaged, name + error.message + "; set aside as " + *saved);
    return Error{name + error.message, ENOENT};
}

size_t LogSpool::max_inline() const {
    return SegmentWriter::longest_record(options_.segment_size) - record_header_size -
           message_prefix_size - 8;
}

uint64_t LogSpool::pending_bytes() {
    uint64_t bytes = 0;
    {
        std::lock_guard lock(state_.mutex);
        bytes = state_.requeued_bytes;
    }
    std::lock_guard lock(pending_mutex_);
    return bytes + pending_.data.size();
}

Result<void> LogSpool::may_append(size_t size, bool is_message) {
    if (closed_)
        return Error{"the spool is closed", ESHUTDOWN};
    if (size > max_inline())
        return Error{"record of " + std::to_string(size) + " bytes does not fit a segment",
                     EMSGSIZE};
    // The records of old mail have as much room again: they end its waiting.
    const uint64_t limit = options_.max_pending * (is_message ? 1 : 2);
    if (pending_bytes() + size > limit)
        return Error{"too much is waiting for the disk", ENOBUFS};
    return {};
}

Result<Ticket> LogSpool::append_message(SpoolId id, std::string_view envelope,
                                        std::string_view content) {
    assert(id != 0);
    if (auto may = may_append(envelope.size() + content.size(), true); !may)
        return may.error();
    std::string prefix = encode_message_prefix(content.size(), crc32c(content), envelope);
    std::lock_guard lock(pending_mutex_);
    Operation& operation = pending_.add(RecordType::Message, 0, id, {prefix, envelope, content});
    operation.durable = true;
    return operation.ticket = ++last_ticket_;
}

Result<Ticket> LogSpool::append_message(SpoolId id, std::string_view envelope, ContentFile content,
                                        uint64_t length, uint32_t crc) {
    assert(id != 0 && content);
    if (auto may = may_append(envelope.size(), true); !may)
        return may.error();
    std::string prefix = encode_message_prefix(length, crc, envelope);
    std::lock_guard lock(pending_mutex_);
    Operation& operation =
        pending_.add(RecordType::Message, record_flag_content_file, id, {prefix, envelope});
    operation.durable = true;
    operation.content = std::move(content);
    operation.content_length = length;
    return operation.ticket = ++last_ticket_;
}

Result<Ticket> LogSpool::append_progress(SpoolId id, std::string_view state,
                                         Durability durability) {
    if (auto may = may_append(state.size(), false); !may)
        return may.error();
    {
        std::lock_guard lock(state_.mutex);
        if (!state_.table.find(id, nullptr))
            return Error{"no such message", ENOENT};
        SpoolState::Unwritten& unwritten = state_.unwritten[id];
        ++unwritten.records;
        unwritten.latest = state;
    }
    std::lock_guard lock(pending_mutex_);
    Operation& operation = pending_.add(RecordType::Progress, 0, id, {state});
    operation.durable = durability == Durability::Durable;
    return operation.ticket = ticket_for(durability);
}

Result<Ticket> LogSpool::append_removed(SpoolId id, Durability durability) {
    if (auto may = may_append(0, false); !may)
        return may.error();
    TableEntry entry;
    uint64_t epoch = 0;
    {
        std::lock_guard lock(state_.mutex);
        if (!state_.table.find(id, &entry))
            return Error{"no such message", ENOENT};
        epoch = state_.segments.at(entry.message.slot).header.epoch;
        state_.segments.begin_leaving(entry.message.slot);
        if (entry.progress.exists())
            state_.segments.begin_leaving(entry.progress.slot);
        state_.table.erase(id);
        state_.unwritten.erase(id);
    }
    std::lock_guard lock(pending_mutex_);
    Operation& operation = pending_.add(RecordType::Removed, 0, id, {encode_removed(epoch)});
    operation.durable = durability == Durability::Durable;
    operation.target_epoch = epoch;
    operation.old_message = entry.message;
    operation.old_progress = entry.progress;
    operation.content_in_file = entry.content_in_file;
    return operation.ticket = ticket_for(durability);
}

void LogSpool::commit() {
    bool wake = false;
    {
        std::lock_guard lock(pending_mutex_);
        committed_ = committed_ || !pending_.empty();
        wake = committed_ && sleeping_;
    }
    if (wake)
        wake_.notify_one();
}

std::vector<AppendResult> LogSpool::collect() {
    uint64_t count = 0;
    // Emptied before looking, so that nothing that comes later goes unnoticed.
    (void)!::read(completion_fd_.get(), &count, sizeof count);
    std::vector<AppendResult> completions;
    std::vector<SpoolEvent> events;
    {
        std::lock_guard lock(state_.mutex);
        completions.swap(state_.completions);
        events.swap(state_.events);
        state_.found_untold = false;
        state_.told = 0;
    }
    for (const SpoolEvent& event : events)
        report(event.kind, event.message);
    return completions;
}

void LogSpool::signal() {
    {
        std::lock_guard lock(state_.mutex);
        const size_t waiting = state_.completions.size() + state_.events.size() +
                               (state_.found_untold ? 1 : 0) + (state_.checked ? 1 : 0);
        if (std::exchange(state_.told, waiting) == waiting)
            return; // nothing, or nothing new
    }
    uint64_t one = 1;
    (void)!::write(completion_fd_.get(), &one, sizeof one);
}

Result<ContentFile> LogSpool::create_content_file() {
    auto file = files_.create_unnamed("content");
    if (!file)
        return file.error();
    return ContentFile(std::move(*file));
}

Result<void> LogSpool::check(bool anew) {
    if (closed_)
        return Error{"the spool is closed", ESHUTDOWN};
    if (checking_)
        return Error{"a check of the spool is under way", EBUSY};
    {
        std::lock_guard lock(state_.mutex);
        if (!state_.found)
            return Error{"the spool is still being read", EAGAIN};
    }
    if (!anew && !check_)
        return Error{"there is no check to go on with", ESRCH};
    if (anew)
        check_ = std::make_unique<OnlineCheck>(files_, state_, reader_);
    checking_ = true;
    auto started =
        options_.threaded ? start_thread(check_thread_, &LogSpool::run_check) : Result<void>();
    checking_ = checking_ && started;
    return started;
}

void LogSpool::run_check() {
    SpoolCheckPiece piece = check_->step(stop_check_);
    {
        std::lock_guard lock(state_.mutex);
        state_.checked = std::move(piece);
    }
    signal();
}

std::optional<SpoolCheckPiece> LogSpool::take_checked() {
    std::optional<SpoolCheckPiece> piece;
    {
        std::lock_guard lock(state_.mutex);
        piece = std::exchange(state_.checked, std::nullopt);
        state_.told = 0;
    }
    if (!piece)
        return piece;
    if (check_thread_.joinable())
        check_thread_.join(); // it is at its end
    checking_ = false;
    if (piece->last)
        check_.reset();
    return piece;
}

SpoolStatistics LogSpool::statistics() {
    SpoolStatistics statistics;
    {
        std::lock_guard lock(state_.mutex);
        statistics.messages = state_.table.size();
        statistics.live_bytes = state_.segments.live_bytes();
        statistics.segments = state_.segments.used_count();
        statistics.spares = state_.segments.spare_count();
        statistics.segment_bytes = state_.segments.used_bytes() + state_.segments.spare_bytes();
        statistics.batches = state_.batches;
        statistics.compacted_bytes = state_.compacted_bytes;
        statistics.write_failures = state_.write_failures;
        statistics.unfenced = state_.unfenced;
        statistics.table_bytes = state_.table.memory();
    }
    statistics.pending_bytes = pending_bytes();
    return statistics;
}

void LogSpool::take_pending(Batch& batch) {
    std::lock_guard lock(pending_mutex_);
    std::swap(batch, pending_);
    committed_ = false;
}

// Who waits for the batch does not wait for the housekeeping as well.
bool LogSpool::write_and_tell(bool sync_lazy) {
    committer_->write(writing_, sync_lazy);
    signal();
    return committer_->keep_house();
}

bool LogSpool::run_sync_step(bool sync_lazy) {
    assert(!options_.threaded);
    take_pending(writing_);
    const bool more = write_and_tell(sync_lazy);
    if (checking_)
        run_check();
    signal();
    return more;
}

// Commits what arrived during the last sync; sleeps only if that is nothing.
void LogSpool::run_thread() {
    using Clock = std::chrono::steady_clock;
    const auto lazy_delay = std::chrono::milliseconds(options_.lazy_sync_milliseconds);
    Clock::time_point lazy_since{};
    bool lazy = false;
    bool more = true; // there are indexes to read
    while (true) {
        bool due = false;
        {
            std::unique_lock lock(pending_mutex_);
            auto ready = [this] { return stopping_ || committed_; };
            sleeping_ = true;
            auto until = Clock::time_point::max();
            if (lazy)
                until = lazy_since + lazy_delay;
            if (auto delay = committer_->retry_after())
                until = std::min(until, Clock::now() + *delay);
            if (more)
                (void)0; // housekeeping goes on
            else if (until != Clock::time_point::max())
                wake_.wait_until(lock, until, ready);
            else
                wake_.wait(lock, ready);
            sleeping_ = false;
            if (stopping_)
                return;
            std::swap(writing_, pending_);
            committed_ = false;
        }
        due = lazy && Clock::now() >= lazy_since + lazy_delay;
        more = write_and_tell(due);
        signal();
        bool was_lazy = lazy;
        lazy = committer_->has_unsynced();
        if (lazy && (!was_lazy || due))
            lazy_since = Clock::now();
    }
}

void LogSpool::stop_threads() {
    stop_check_ = true;
    if (check_thread_.joinable())
        check_thread_.join();
    if (!thread_.joinable())
        return;
    {
        std::lock_guard lock(pending_mutex_);
        stopping_ = true;
    }
    wake_.notify_one();
    thread_.join();
}

Result<void> LogSpool::close() {
    if (closed_)
        return {};
    closed_ = true;
    stop_threads(); // what it has begun is finished
    take_pending(writing_);
    auto result = committer_->close(writing_);
    signal();
    lock_.reset();
    return result;
}

Result<void> check_options(const SpoolOptions& options) {
    if (options.segment_size < (16u << 10) || options.segment_size > (1u << 30))
        return Error{"segment size must be between 16 KiB and 1 GiB", EINVAL};
    if (options.growth_step == 0)
        return Error{"growth step must not be 0", EINVAL};
    return {};
}

} // namespace

Result<std::unique_ptr<Spool>> Spool::open(FileSystem& files, SpoolOptions options) {
    if (auto good = check_options(options); !good)
        return good.error();
    auto lock = files.lock("lock", LockMode::MakeFile);
    if (!lock)
        return lock.error().code == EWOULDBLOCK
                   ? Error{"the spool is in use by another process", EWOULDBLOCK}
                   : lock.error();
    auto spool = std::make_unique<LogSpool>(files, std::move(options), std::move(*lock));
    if (auto started = spool->start(); !started)
        return started.error();
    return std::unique_ptr<Spool>(std::move(spool));
}

} // namespace postern
