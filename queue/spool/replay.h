// What the records of the log come to, when they are applied in the order of the log: which
// messages live and where, what lies in which segment. Later records win: a message that was copied
// forward is in two segments for a while. No files; what is done at a time takes some milliseconds.
#pragma once

#include <map>
#include <unordered_map>
#include <utility>
#include <vector>

#include "queue/spool/record.h"
#include "queue/spool/spool_state.h"

namespace postern {

class Replay {
  public:
    void add_segment(uint16_t slot, uint64_t epoch) { epochs_[slot] = epoch; }
    void remove_segment(uint16_t slot) { epochs_.erase(slot); }
    // Segments by epoch, and all of them have been added.
    void apply(uint16_t slot, const IndexEntry& entry);
    // After the last record, until it returns false: brings the messages in order, and adds up what
    // is in which of the `slots`.
    bool sum_up(size_t slots);
    // Whether it lives, with content in a file.
    bool has_content_file(SpoolId id) const;
    // Last of all: adds everything to what the state has by now. Without growing the table while
    // the state is locked.
    void hand_over(SpoolState& state);

  private:
    struct Live { // in one slot
        uint64_t records = 0;
        uint64_t bytes = 0;
    };
    using Counts = std::map<std::pair<uint16_t, uint64_t>, uint32_t>; // of a slot and an epoch

    void apply_message(uint16_t slot, const IndexEntry& entry);
    void apply_progress(uint16_t slot, const IndexEntry& entry);
    void sort_some();
    void count_some();
    void add_live(const RecordLocation& place);

    MessageTable table_;
    // Of messages that are not in the table: they may have been copied to a later segment.
    std::unordered_map<SpoolId, RecordLocation> early_progress_;
    std::unordered_map<uint16_t, uint64_t> epochs_; // by slot
    std::vector<SpoolId> found_;                    // of Message records; of live ones up to kept_
    size_t sorted_ = 0;                             // in `found_`
    bool in_order_ = false;
    size_t counted_ = 0; // in `found_`
    size_t kept_ = 0;
    std::vector<Live> live_; // by slot
    Counts pins_;
    Counts copies_; // with the epoch copied from
};

} // namespace postern
