// Copies what lives in a mostly dead segment forward, so that the segment can be used again. Owned
// by the sync thread; works in bounded steps between batches, one victim at a time.
//
// What lives is decided when the copy is made. A message that is removed between the copy and its
// becoming durable has its copy removed as well (the sync thread adds the Removed record). Damaged
// progress is set aside in corrupt/. A segment with a damaged message, or where the disk gives an
// error, is left alone until the next start.
#pragma once

#include <optional>
#include <set>
#include <vector>

#include "queue/spool/batch.h"
#include "queue/spool/spool_state.h"

namespace postern {

class Compaction {
  public:
    Compaction(FileSystem& files, SegmentFiles& segment_files, SpoolState& state,
               const SpoolOptions& options)
        : files_(files), segment_files_(segment_files), state_(state), options_(options) {}

    // Chooses a victim if there is none and one is worth it. False if there is nothing to do.
    bool begin();
    // Gathers the next records to be copied, at most some 128 KiB or an eighth of a
    // segment (but one record at least). If the batch stays
    // empty, the victim has been copied: call finish().
    void gather(Batch& batch);
    // The batch was written: its records count as copied. If it was not, abandon() instead.
    void written() { next_ = gathered_; }
    void finish();
    // The step failed; it is made again from where it began.
    void abandon() { gathered_ = next_; }

  private:
    bool load_victim();
    bool wanted(const IndexEntry& entry, RecordLocation& from);
    void gather_one(const IndexEntry& entry, Batch& batch);
    void give_up(const std::string& why);
    void set_progress_aside(const IndexEntry& entry, std::string_view data);

    FileSystem& files_;
    SegmentFiles& segment_files_;
    SpoolState& state_;
    const SpoolOptions& options_;
    std::optional<uint16_t> victim_;
    SegmentHeader header_; // of the victim
    std::shared_ptr<File> file_;
    std::vector<IndexEntry> entries_;
    size_t next_ = 0;     // first entry not yet copied
    size_t gathered_ = 0; // first entry not yet gathered
};

} // namespace postern
