// The spool: every message that Postern has answered for, on disk.
//
// It is a log in recycled segment files with group commit (queue/spool/segment.h for the format).
// Owner: the queue process, one thread (its event loop) for everything here. The loop never waits
// for the disk: append_*() only put a record into the batch that is being gathered, a sync thread
// writes it, and completion_fd() tells when there is something to collect(). What does read on the
// calling thread is said so.
//
// Promises
// - A message whose AppendResult is ok is on disk: data, size, directory. It is recovered after any
//   crash, exactly once, byte for byte, until it is removed.
// - A message whose AppendResult is an error is not recovered after a crash. A failed write or sync
//   is never tried again in the same place: the segment is closed at its last good byte (that mark
//   is made durable before the failure is reported, and nothing more is accepted until that has
//   succeeded), and a new segment is begun. The window that remains: the disk refuses the mark too,
//   and the machine stops before it has accepted it; then a refused message can come back, that is,
//   be delivered twice. It is never the other way round.
// - Progress and Removed that were taken are not given up for the disk's sake: if their write fails
//   they are written again elsewhere with a later batch. Hence whatever must not be recorded before
//   a message is durable (a bounce's cause) is to be appended after that message's AppendResult.
// - Damage (a record whose checksum is wrong) costs that record only: it is copied to corrupt/,
//   reported, and the rest is served.
//
// Limits: an envelope plus inline content must fit a segment (max_inline()); larger content has
// its own file. RAM: at most 48 bytes per message here, whatever its size.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/result.h"
#include "queue/spool/file_system.h"
#include "queue/spool/spool_check.h"

namespace postern {

using SpoolId = uint64_t; // of a message; never 0; unique over the life of a spool
using Ticket = uint64_t;  // counts up; 0 where no AppendResult follows

struct SpoolEvent {
    enum class Kind {
        TornTail,  // the crash cut off a write nobody had been answered for; nothing lost
        Damaged,   // a record or segment is unreadable; set aside in corrupt/
        DiskFailed // the disk refused a write, a sync or a read; what that means is in the message
    };
    Kind kind;
    std::string message; // one line for the log; names segment, offset, reason
};

struct SpoolOptions {
    uint64_t segment_size = 32u << 20; // bytes, 16 KiB to 1 GiB
    uint64_t growth_step =
        256u << 10;        // bytes by which a new segment file grows while it is written
    size_t max_spares = 8; // unused segment files kept for recycling
    // Mostly dead segments are copied forward once the segments in use take more than twice the
    // live bytes plus this many segments.
    unsigned compaction_slack = 4;
    // Free disk space (bytes) below which new messages are refused with ENOSPC, so that there is
    // still room to record what happens to the old ones.
    uint64_t min_free = 8u << 20;
    // Bytes that wait in memory for the disk; beyond it a message gets ENOBUFS, beyond twice as
    // many everything else.
    size_t max_pending = 64u << 20;
    unsigned lazy_sync_milliseconds = 500; // at most this old is an unsynced Progress
    bool threaded = true;                  // false: nothing is written but in run_sync_step()
    std::function<uint64_t()> clock;       // microseconds since 1970; by default the system's
    std::function<uint64_t()> uptime;      // microseconds, never set back; by default the system's
    std::function<uint64_t()> random;      // unpredictable; by default the system's
    std::function<void(const SpoolEvent&)>
        report; // called in open() and collect(), on their thread
};

// What became of one append. Append order is kept among completions of the same batch.
struct AppendResult {
    Ticket ticket = 0;
    SpoolId id = 0;
    Result<void> result; // Error::code is the errno: ENOSPC, EIO, ...
};

// Lazy: written once commit() was called (it survives the death of the process then), synced within
// lazy_sync_milliseconds or with the next batch; no AppendResult. Durable: synced with its batch,
// and an AppendResult tells.
enum class Durability { Lazy, Durable };

// A live message as found at start-up.
struct RecoveredMessage {
    SpoolId id = 0;
    std::string envelope;
    bool has_progress = false;
    std::string progress; // the last state given to append_progress()
    uint64_t content_length = 0;
    bool content_in_file = false;
};

// Content that is being received into a file of its own. Without a name until its message is
// appended, so giving it up leaves nothing behind.
class ContentFile {
  public:
    ContentFile() = default;
    explicit ContentFile(std::unique_ptr<File> file) : file_(std::move(file)) {}
    explicit operator bool() const { return file_ != nullptr; }

    // A write-only descriptor for whoever receives the content.
    Result<FileDescriptor> descriptor() const { return file_->descriptor(); }
    File& file() const { return *file_; }

  private:
    std::unique_ptr<File> file_;
};

// Where content is. In a file of its own: a read-only descriptor, which may be passed on; else use
// read_content().
struct Content {
    uint64_t length = 0; // bytes
    uint32_t crc32c = 0; // of all of them
    bool in_file = false;
    FileDescriptor file; // only if in_file; the content begins at `offset`
    uint64_t offset = 0;
};

struct SpoolStatistics {
    uint64_t messages = 0;        // live
    uint64_t live_bytes = 0;      // of records of live messages, in segments
    uint64_t segments = 0;        // in use
    uint64_t spares = 0;          // segment files waiting to be used again
    uint64_t segment_bytes = 0;   // disk taken by both
    uint64_t pending_bytes = 0;   // appended, not yet written, or refused by the disk so far
    uint64_t batches = 0;         // durable writes so far
    uint64_t compacted_bytes = 0; // copied forward so far
    uint64_t write_failures = 0;
    bool unfenced = false;    // the disk refuses even the mark where a failed segment ends
    uint64_t table_bytes = 0; // RAM of the table of messages
};

class Spool {
  public:
    // Takes the lock, starts the sync thread, and can be appended to then. Reads the segments'
    // headers, and in full only the segment that was being written when the process died; that one
    // it also writes once more, since the disk may not have it yet. The indexes of the others are
    // read by the sync thread, between batches. Fails with EWOULDBLOCK if another queue has the
    // spool, and if a segment was written by a newer version of Postern. `files` must outlive the
    // Spool.
    static Result<std::unique_ptr<Spool>> open(FileSystem& files, SpoolOptions options);
    // Without close(): what is pending is dropped, as in a crash.
    virtual ~Spool() = default;

    virtual SpoolId next_id() = 0;

    // -- Recovery. The messages found at start-up, in order of their ids; empty from the second
    // time on. None as long as the indexes are being read: completion_fd() tells when they have
    // been, and no other call knows these messages before. Each is then read by recover(), piece by
    // piece, so that the queue serves while it loads.
    virtual std::optional<std::vector<SpoolId>> take_found() = 0;
    // ENOENT: there is no such message any more: it was removed, or found damaged now, reported and
    // set aside. Any other error may pass: the message is there and can be tried again. Reads on
    // the calling thread.
    virtual Result<RecoveredMessage> recover(SpoolId id) = 0;

    // -- Appending. Fails at once with EMSGSIZE (beyond max_inline()), ENOBUFS (max_pending) or
    // ENOENT (no such live message); otherwise an AppendResult follows (but see Durability::Lazy).
    // Nothing is promised before commit().
    virtual Result<Ticket> append_message(SpoolId id, std::string_view envelope,
                                          std::string_view content) = 0;
    // `length` (bytes) and `crc32c` are what the receiver says; a file of another length refuses
    // the message with EINVAL. The receiver must have finished writing.
    virtual Result<Ticket> append_message(SpoolId id, std::string_view envelope,
                                          ContentFile content, uint64_t length,
                                          uint32_t crc32c) = 0;
    // `state` is the whole state of the message's recipients and replaces the one before. Only for
    // messages that were recovered or whose AppendResult was ok; the same for append_removed().
    virtual Result<Ticket> append_progress(SpoolId id, std::string_view state,
                                           Durability durability) = 0;
    // The message is gone for all calls from here on; its space and its file follow.
    virtual Result<Ticket> append_removed(SpoolId id, Durability durability) = 0;
    // Starts writing what was appended; once per turn of the event loop at most, after all appends.
    virtual void commit() = 0;

    // Envelope plus content (bytes) that append_message() takes.
    virtual size_t max_inline() const = 0;

    // -- Completion. The descriptor (an eventfd, not to be read or closed) is readable while
    // there is something to collect, or to be taken by take_found(). collect() also delivers the
    // reports.
    virtual int completion_fd() const = 0;
    virtual std::vector<AppendResult> collect() = 0;

    // -- Content.
    virtual Result<ContentFile> create_content_file() = 0;
    // Up to `length` bytes from `offset` of the content, wherever it is; shorter only at its end.
    // ENOENT if there is no such message; EBADMSG if it is damaged. (The checksum of content in a
    // file of its own is looked at only if all of it is read; other content is read whole for it,
    // whatever the part.) Reads on the calling thread.
    virtual Result<std::string> read_content(SpoolId id, uint64_t offset, size_t length) = 0;
    virtual Result<Content> open_content(SpoolId id) = 0;
    // The content was found damaged: a copy of the message's record, and the file
    // of the content, go to corrupt/. The message stays until it is removed. The result says where.
    virtual Result<std::string> set_content_aside(SpoolId id) = 0;

    // -- Verification (queue/spool/online_check.h). The next piece is read on a thread of its own;
    // `anew`: the first one. EBUSY if one is being read, EAGAIN while the indexes are, ESRCH if
    // there is nothing to go on with.
    virtual Result<void> check(bool anew) = 0;
    // The piece, once; completion_fd() tells when it is there.
    virtual std::optional<SpoolCheckPiece> take_checked() = 0;

    virtual SpoolStatistics statistics() = 0;

    // For what else the queue keeps in the spool's directory.
    virtual FileSystem& files() = 0;

    // Orderly end: writes what is pending, seals the segment (the next start reads indexes only),
    // stops the thread, releases the lock. Completions of the last batch can still be collected. No
    // append after it.
    virtual Result<void> close() = 0;

    // Only with threaded = false: one turn of the sync thread. Writes what is pending, then does
    // one bounded step of housekeeping. `sync_lazy`: as if lazy_sync_milliseconds had passed. True
    // if there is more to do.
    virtual bool run_sync_step(bool sync_lazy) = 0;
};

} // namespace postern
