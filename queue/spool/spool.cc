// The event loop's side of the spool: gathers records, wakes the sync thread, hands out what came
// of it. The other side is queue/spool/committer.cc.
#include "queue/spool/spool.h"

#include <cassert>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <optional>
#include <sys/eventfd.h>
#include <unistd.h>

#include "common/base/crc32c.h"
#include "queue/spool/check_thread.h"
#include "queue/spool/committer.h"
#include "queue/spool/message_reader.h"
#include "queue/spool/recovery.h"
#include "queue/spool/sync_thread.h"

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
          segment_files_(files), reader_(files, segment_files_, state_),
          check_(files, state_, reader_, options_.threaded, [this] { signal(); }) {}

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
    void commit() override { sync_->commit(); }
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
    std::optional<SpoolCheckPiece> take_checked() override { return check_.take(); }
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
    void signal();

    FileSystem& files_;
    const SpoolOptions options_;
    std::unique_ptr<FileLock> lock_;
    SpoolState state_;
    SegmentFiles segment_files_;
    MessageReader reader_;
    FileDescriptor completion_fd_;

    // The event loop's alone.
    Ticket last_ticket_ = 0;
    bool closed_ = false;
    CheckThread check_;
    std::unique_ptr<SyncThread> sync_;
};

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
    sync_ = std::make_unique<SyncThread>(
        std::make_unique<Committer>(files_, segment_files_, state_, options_, std::move(recovery)),
        options_, [this] { signal(); });
    return sync_->start();
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
    return bytes + sync_->pending_bytes();
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
    return sync_->append([&](Batch& batch) {
        Operation& operation = batch.add(RecordType::Message, 0, id, {prefix, envelope, content});
        operation.durable = true;
        return operation.ticket = ++last_ticket_;
    });
}

Result<Ticket> LogSpool::append_message(SpoolId id, std::string_view envelope, ContentFile content,
                                        uint64_t length, uint32_t crc) {
    assert(id != 0 && content);
    if (auto may = may_append(envelope.size(), true); !may)
        return may.error();
    std::string prefix = encode_message_prefix(length, crc, envelope);
    return sync_->append([&](Batch& batch) {
        Operation& operation =
            batch.add(RecordType::Message, record_flag_content_file, id, {prefix, envelope});
        operation.durable = true;
        operation.content = std::move(content);
        operation.content_length = length;
        return operation.ticket = ++last_ticket_;
    });
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
    return sync_->append([&](Batch& batch) {
        Operation& operation = batch.add(RecordType::Progress, 0, id, {state});
        operation.durable = durability == Durability::Durable;
        return operation.ticket = ticket_for(durability);
    });
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
    return sync_->append([&](Batch& batch) {
        Operation& operation = batch.add(RecordType::Removed, 0, id, {encode_removed(epoch)});
        operation.durable = durability == Durability::Durable;
        operation.target_epoch = epoch;
        operation.old_message = entry.message;
        operation.old_progress = entry.progress;
        operation.content_in_file = entry.content_in_file;
        return operation.ticket = ticket_for(durability);
    });
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
    return check_.start(anew);
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

bool LogSpool::run_sync_step(bool sync_lazy) {
    const bool more = sync_->step(sync_lazy);
    if (check_.running())
        check_.run();
    return more;
}

Result<void> LogSpool::close() {
    if (closed_)
        return {};
    closed_ = true;
    check_.ask_to_stop();
    auto result = sync_->close(); // what was written counts more than who reads
    check_.stop();
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
