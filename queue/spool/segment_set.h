// What is in which segment: the accounting that decides when a segment may go and which one is
// worth copying forward. Pure bookkeeping, no files. Not thread-safe.
//
// A segment may go when no live record lies in it and no Removed record in it is still needed. A
// Removed record is needed as long as the segment that holds its Message is in use: if it went
// first, a crash would bring the message back. That is kept as "pins": segment S pins epoch E.
//
// A copy made by compaction must outlive the segment that it was copied from, for the Removed
// record of its message names the copy's segment. That is kept as "copies". It concerns segments
// whose copying forward was interrupted by a crash; they are copied before any that holds such
// copies.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "queue/spool/segment.h"

namespace postern {

struct SegmentUse {
    SegmentHeader header;    // as on disk, except that data_end is kept up while it is written
    uint64_t file_size = 0;  // bytes
    bool exists = false;     // there is such a file
    uint64_t live_count = 0; // records
    uint64_t live_bytes = 0; // of these records
    uint64_t leaving = 0;    // of these: their removal is not yet on disk
    std::map<uint64_t, uint32_t> pins; // epoch of another segment in use -> records that pin it
    uint64_t pin_count = 0;
    std::map<uint64_t, uint32_t> copies; // epoch of another segment in use -> copies from there
    bool unreadable = false; // copying it forward failed: left alone until the next start

    bool in_use() const { return exists && header.state != SegmentState::Free; }
};

class SegmentSet {
  public:
    SegmentUse& at(uint16_t slot) { return slots_[slot]; }
    const SegmentUse& at(uint16_t slot) const { return slots_[slot]; }
    size_t slots() const { return slots_.size(); }

    // A file of this name exists.
    SegmentUse& add_file(uint16_t slot, uint64_t file_size);
    void remove_file(uint16_t slot);
    // A slot without a file; none if all are taken.
    std::optional<uint16_t> unused_slot() const;
    // A file that is free; none if there is none.
    std::optional<uint16_t> spare() const;

    void add_live(uint16_t slot, uint32_t payload_length);
    void add_live(uint16_t slot, uint64_t records, uint64_t bytes);
    void drop_live(uint16_t slot, uint32_t payload_length);
    // A record's message was removed, but nothing on disk says so yet: it keeps its place, so that
    // a crash brings back all of the message or nothing, but is not copied forward.
    void begin_leaving(uint16_t slot) { slots_[slot].leaving++; }
    void leave(uint16_t slot, uint32_t payload_length) {
        slots_[slot].leaving--;
        drop_live(slot, payload_length);
    }
    // Does nothing if no other segment of that epoch is in use.
    void pin(uint16_t slot, uint64_t epoch, uint32_t records = 1);
    void copied(uint16_t slot, uint64_t from_epoch, uint32_t records = 1);
    // The one in use with the lowest epoch above this one.
    std::optional<uint16_t> next_in_use(uint64_t epoch) const {
        auto next = by_epoch_.upper_bound(epoch);
        return next == by_epoch_.end() ? std::nullopt : std::optional(next->second);
    }
    bool epoch_in_use(uint64_t epoch) const { return by_epoch_.contains(epoch); }
    // The Removed records in the slot pin nothing any more: they have been copied forward.
    void clear_pins(uint16_t slot);

    // The segment is put to use; or is free and no longer pinned by anyone.
    void begin_use(uint16_t slot, const SegmentHeader& header);
    void end_use(uint16_t slot);

    // A sealed segment that may go.
    std::optional<uint16_t> retirable() const;
    // The sealed segment that gains most by being copied forward, if the disk use is beyond
    // twice the live bytes plus `slack` bytes. At most 3/4 of it need copying.
    std::optional<uint16_t> worth_compacting(uint64_t slack) const;

    uint64_t live_bytes() const { return live_bytes_; }
    uint64_t used_bytes() const { return used_bytes_; } // file sizes of segments in use
    void set_file_size(uint16_t slot, uint64_t size);
    size_t used_count() const { return by_epoch_.size(); }
    size_t spare_count() const;
    uint64_t spare_bytes() const;

  private:
    std::optional<uint16_t> origin_of_copies(uint16_t slot) const;
    bool compactable(const SegmentUse& segment) const;

    std::vector<SegmentUse> slots_;
    std::map<uint64_t, uint16_t> by_epoch_; // segments in use
    uint64_t live_bytes_ = 0;
    uint64_t used_bytes_ = 0;
};

} // namespace postern
