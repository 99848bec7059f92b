// Rebuilds a spool's state from its directory: which messages live, where their records are, which
// segment files are free. In two parts, so that mail is taken while it goes on: begin() does what
// has to be done before anything is written, step() reads the rest, a piece at a time.
//
// begin() reads all headers, and in full the segments that were being written when the process
// died. These are closed, so that writing goes on in a fresh one. Until the last step() nothing
// that was found is in the state: its messages are unknown, and none of its segments may go or be
// copied.
//
// On failure nothing that counts has been changed. Damage is no failure: it is copied to corrupt/
// and reported. Files without an owner in content/ (their message was never durable) are listed for
// removal; but if anything was damaged they may be what is left of a message, and are moved to
// corrupt/.
//
// RAM, until it has ended: beside the table of messages 8 bytes for each of them and for each file
// in content/, and of one segment the index or, where that is damaged, all of it.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "queue/spool/quarantine.h"
#include "queue/spool/replay.h"
#include "queue/spool/segment_salvage.h"
#include "queue/spool/spool_state.h"

namespace postern {

class Recovery {
  public:
    // `state` is empty. Events are left in it.
    Recovery(FileSystem& files, SegmentFiles& segment_files, SpoolState& state)
        : files_(files), segment_files_(segment_files), state_(state), quarantine_(files, state) {}

    // Nobody else uses the state yet.
    Result<void> begin();
    // On the sync thread. True if there is more to do; if not, the state has all, state.found the
    // messages. After a failure it can be tried again; if the disk has refused to read a segment
    // several times, what it does not refuse is made do with.
    Result<bool> step();
    // Paths to unlink, after the last step.
    std::vector<std::string> take_orphans() { return std::move(orphans_); }

  private:
    struct Header { // of a file
        uint16_t slot = no_slot;
        uint64_t file_size = 0;
        HeaderCondition condition = HeaderCondition::Blank;
        SegmentHeader header; // if it is good
    };
    struct Segment {
        uint16_t slot = no_slot;
        SegmentHeader header;            // as it was found
        std::vector<IndexEntry> entries; // once they have been read
        bool confirmed = false;          // the header is on disk
        unsigned refusals = 0;           // of reads
        bool read = false;
    };

    Result<void> make_directories();
    Result<void> find_segments();
    Result<Header> read_header(uint16_t slot);
    Result<void> take_up(const Header& found);
    Result<void> find_contents();
    Result<SegmentContents> read_contents(const Segment& segment);
    Result<void> close_active(Segment& segment);
    Result<void> write_index(const Segment& segment, const SegmentContents& contents);
    Result<void> confirm_sealed(Segment& segment);
    Result<void> read_sealed(Segment& segment);
    Result<void> salvage(Segment& segment);
    Result<void> confirm_free(uint16_t slot, SegmentHeader header);
    Result<void> write_header(uint16_t slot, const SegmentHeader& header);
    Result<void> handle_damage(const Segment& segment, const SegmentContents& contents);
    void apply_some(Segment& segment);
    Result<bool> find_orphans();

    FileSystem& files_;
    SegmentFiles& segment_files_;
    SpoolState& state_;
    Quarantine quarantine_;
    std::vector<Segment> segments_;         // in use, by epoch
    size_t segment_ = 0;                    // in `segments_`: being read
    size_t entry_ = 0;                      // in its entries: to be applied next
    std::optional<SegmentSalvage> salvage_; // of it
    Replay replay_;
    bool summed_up_ = false;
    std::vector<SpoolId> contents_; // with a file in content/ before anything was added
    size_t content_ = 0;            // in `contents_`: to be looked at next
    std::vector<std::string> orphans_;
};

} // namespace postern
