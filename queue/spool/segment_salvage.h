// Reads what can be read of a segment of which the disk refuses a part. Without its index, that is:
// the records tell. A little at a time, for a disk may try for many seconds before it refuses.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "queue/spool/segment.h"

namespace postern {

class SegmentSalvage {
  public:
    // `header` says that the segment is sealed.
    SegmentSalvage(std::shared_ptr<File> file, const SegmentHeader& header)
        : file_(std::move(file)), header_(header) {}

    // Reads on; true when there is nothing more to read. An EIO is no failure.
    Result<bool> step();
    // Then: what is unreadable is zeros in the bytes, and in a damaged range that was durable.
    const SegmentContents& contents() const { return contents_; }
    uint64_t unreadable() const; // bytes

  private:
    std::shared_ptr<File> file_;
    const SegmentHeader header_;
    std::string bytes_;         // read so far
    uint64_t by_block_end_ = 0; // up to here only a block is read at a time
    bool complete_ = false;
    std::vector<DamagedRange> unreadable_;
    SegmentContents contents_;
};

} // namespace postern
