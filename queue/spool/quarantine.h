// What recovery finds damaged is set aside in corrupt/, and reported once.
//
// If anything was damaged, content files without an owner may be what is left of a message, and are
// set aside as well. Which these are is known only when all indexes have been read, perhaps by a
// later start, which passes over what is set aside already. Until then an empty file in the spool's
// directory, `damaged`, says so.
#pragma once

#include <map>
#include <set>
#include <string>
#include <string_view>

#include "queue/spool/segment.h"
#include "queue/spool/spool_state.h"

namespace postern {

class Quarantine {
  public:
    Quarantine(FileSystem& files, SpoolState& state) : files_(files), state_(state) {}

    // Looks whether an earlier start found damage and did not come to its end.
    Result<void> recall();
    bool damage_found() const { return damage_found_; }

    // Moves the segment, whose header is unreadable.
    Result<void> take_segment(uint16_t slot);
    // Copies a stretch of a segment: the bytes of `range` in `segment`, which begins with its file.
    // What was never durable is reported and not copied. After a failure it can be tried again; if
    // the disk is full, or refuses several times, it goes on without a copy.
    Result<void> take_range(uint16_t slot, const SegmentHeader& header, const DamagedRange& range,
                            std::string_view segment);
    // Moves the content file, if it is still there.
    Result<void> take_content(SpoolId id);
    // All content files without an owner have been taken.
    Result<void> finish();

  private:
    Result<void> note_damage();

    FileSystem& files_;
    SpoolState& state_;
    bool damage_found_ = false;
    std::set<std::string> done_; // names of ranges that were reported
    std::map<std::string, unsigned> refusals_;
};

} // namespace postern
