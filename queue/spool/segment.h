// One segment file of the spool's log: its header, and how its records are found again.
//
//        0  header, and a second copy of it at 2048 (the rest of the 4096 bytes is zero)
//     4096  records, one behind the other (queue/spool/record.h)
//
// The file is named by its slot ("segments/00000007") and keeps that name while it is put to use
// again and again; nothing in a directory changes. A header is written with the first records, when
// the segment is sealed (its last record is then an index), and when it is given free: always both
// copies in one write, so that one of them survives whatever happens to it.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "queue/spool/file_system.h"
#include "queue/spool/record.h"

namespace postern {

constexpr uint32_t segment_format_version = 1;
constexpr uint64_t segment_data_begin = 4096;

enum class SegmentState : uint32_t {
    Active = 1, // being written, or was when the process ended
    Sealed = 2, // complete up to data_end
    Free = 3,   // nothing in it counts
    // As Sealed, but by a start: the last write before the crash may have left holes.
    Recovered = 4,
};

constexpr bool is_sealed(SegmentState state) {
    return state == SegmentState::Sealed || state == SegmentState::Recovered;
}

struct SegmentHeader {
    SegmentState state = SegmentState::Free;
    uint64_t epoch = 0;        // counts the segments put to use; orders them
    uint64_t stamp = 0;        // random; see record.h
    uint64_t highest_id = 0;   // message ids up to this one had been handed out
    uint64_t data_end = 0;     // Sealed: nothing behind this counts; bytes from the beginning
    uint64_t index_offset = 0; // Sealed: of the Index record, at most data_end; 0 if there is none
};

enum class HeaderCondition {
    Good,
    Blank,  // never put to use
    Damaged // neither copy is readable
};

// The first segment_data_begin bytes of the file.
std::string encode_segment_header(const SegmentHeader& header);
// `block` may be shorter than segment_data_begin. With no good copy it is Blank then: the write
// that was to begin the first life of the file was cut off, and nothing in it was ever durable,
// since that write holds header and records. Fails if a newer version of Postern wrote it.
Result<HeaderCondition> decode_segment_header(std::string_view block, SegmentHeader& header);

std::string segment_path(uint16_t slot);

// The header of the file. What a bit that was flipped on the way from the disk would spoil is read
// again before it is called damaged.
Result<HeaderCondition> read_segment_header(File& file, SegmentHeader& header);

// Reads [offset, offset + length); shorter only at end of file.
Result<std::string> read_range(File& file, uint64_t offset, uint64_t length);

// A stretch of a segment that holds no readable record although it should.
struct DamagedRange {
    uint64_t begin = 0;
    uint64_t end = 0;
    bool was_durable = false; // false: a torn write nobody had been answered for
};

struct SegmentContents {
    // In order; without the index itself, and without Progress and Removed behind a gap that a
    // crash has left.
    std::vector<IndexEntry> entries;
    std::vector<DamagedRange> damaged;
    uint64_t end = segment_data_begin; // behind the last good record
    bool indexed = false;              // the index said so; the records were not read
    std::string bytes;                 // else: the segment from its beginning, as it was read
};

// A sealed segment was to have one, and its records had to be read instead.
inline bool index_is_damaged(const SegmentHeader& header, const SegmentContents& contents) {
    return is_sealed(header.state) && header.index_offset != 0 && !contents.indexed;
}

// The records of a segment that is Active or Sealed: from its index if there is a good one, else by
// reading all of it. A record that cannot be read is stepped over if a later one can. Whatever does
// not end as a log should is read again, until two readings agree.
Result<SegmentContents> read_segment(File& file, const SegmentHeader& header);

// Where the records of a sealed segment end; bytes from its beginning.
inline uint64_t sealed_end(const SegmentHeader& header) {
    return header.index_offset != 0 ? header.index_offset : header.data_end;
}

// The records in `bytes`, which is a sealed segment from its beginning, where it could be read;
// `unreadable`, in order: where it could not.
SegmentContents read_records(std::string bytes, const SegmentHeader& header,
                             const std::vector<DamagedRange>& unreadable);

} // namespace postern
