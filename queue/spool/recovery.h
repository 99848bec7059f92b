// Rebuilds a spool's state from its directory: which messages live, where their records are, which
// segment files are free. Every segment that was being written is closed, so that writing goes on
// in a fresh one.
//
// On failure nothing that counts has been changed. Damage is no failure: it is copied to corrupt/
// and reported. Files without an owner in content/ (their message was never durable) are listed for
// removal; but if anything was damaged they may be what is left of a message, and are moved to
// corrupt/.
#pragma once

#include <string>
#include <vector>

#include "queue/spool/spool_state.h"

namespace postern {

struct Recovered {
    std::vector<SpoolId> messages;    // live, in the order of their ids
    std::vector<std::string> orphans; // paths to unlink
};

// `state` is empty, and nobody else uses it yet. Events are left in state.events.
Result<Recovered> recover(FileSystem& files, SegmentFiles& segment_files, SpoolState& state);

} // namespace postern
