// What the event loop's thread and the sync thread of a spool share, under one mutex that is never
// held across a system call; and the open segment files.
#pragma once

#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "queue/spool/file_system.h"
#include "queue/spool/message_table.h"
#include "queue/spool/segment_set.h"
#include "queue/spool/spool.h"

namespace postern {

// Segment files are opened when they are needed, and only so many are kept open. Thread-safe; a
// file that somebody still reads stays open until he lets go of it.
class SegmentFiles {
  public:
    explicit SegmentFiles(FileSystem& files) : files_(files) {}

    Result<std::shared_ptr<File>> get(uint16_t slot);
    // A file that was made, in place of any other.
    void put(uint16_t slot, std::shared_ptr<File> file);
    void forget(uint16_t slot);

  private:
    static constexpr size_t limit_ = 64;

    void make_room();

    FileSystem& files_;
    std::mutex mutex_;
    std::unordered_map<uint16_t, std::shared_ptr<File>> open_;
    uint64_t changes_ = 0; // files made or gone
};

struct SpoolState {
    std::mutex mutex; // guards everything below
    MessageTable table;
    SegmentSet segments;
    // The messages that were there at the start, by id; none before all indexes have been read.
    std::optional<std::vector<SpoolId>> found;
    std::optional<SpoolCheckPiece> checked; // until it is taken
    bool found_untold = false;              // completion_fd() is to tell
    size_t told = 0; // it has told of so many things, none of which was taken yet
    uint64_t last_epoch = 0;
    SpoolId highest_id = 0; // handed out or seen on disk
    // The latest progress of messages of which some is not written yet, and how many records are
    // not: what the table has of them is older.
    struct Unwritten {
        size_t records = 0;
        std::string latest;
    };
    std::unordered_map<SpoolId, Unwritten> unwritten;
    std::vector<AppendResult> completions;
    std::vector<SpoolEvent> events;
    uint64_t batches = 0;
    uint64_t compacted_bytes = 0;
    uint64_t write_failures = 0;
    uint64_t requeued_bytes = 0; // the disk refused them; they wait for a later batch
    bool unfenced = false;       // see SpoolStatistics

    void report(SpoolEvent::Kind kind, std::string message) {
        std::lock_guard lock(mutex);
        events.push_back({kind, std::move(message)});
    }
};

std::string content_path(SpoolId id);
// The id in the name of a content file; 0 if it is none.
SpoolId content_id(const std::string& name);

// Writes `data` to corrupt/NAME, whose data it always is, and syncs it.
Result<void> set_aside(FileSystem& files, const std::string& name, std::string_view data);

} // namespace postern
