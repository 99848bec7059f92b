// What follows from a record that was written: where the message is now, what the segments hold,
// who is told.
#pragma once

#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "queue/spool/batch.h"
#include "queue/spool/segment_writer.h"
#include "queue/spool/spool_state.h"

namespace postern {

class Settlement {
  public:
    explicit Settlement(SpoolState& state) : state_(state) {}

    // The caller has locked the state. A Removed record that is needed in return goes to
    // `tombstones`.
    void settle(Operation& operation, const Placement& placement, Batch& tombstones);
    // Paths of the content of removed messages: to be unlinked once all that was settled is on
    // disk.
    std::vector<std::string> take_unlinks() { return std::exchange(unlinks_, {}); }

  private:
    void settle_new(const Operation& operation, const RecordLocation& to);
    void settle_copy(const Operation& operation, const RecordLocation& to, Batch& tombstones);
    void late_progress_left(SpoolId id);

    SpoolState& state_;
    // Progress that was written when its message had been removed already, but nothing on disk says
    // so: it keeps its place until then, as do the other records of the message.
    std::unordered_map<SpoolId, std::vector<RecordLocation>> late_progress_;
    std::vector<std::string> unlinks_;
};

} // namespace postern
