// Reads messages back from the log, on the thread of the caller. Every byte is checked: the records
// may be damaged, and a segment may be copied forward and used again while it is being read (then
// the message is looked up once more). What looks damaged is read a second time before it is called
// so: it may have been damaged on its way from the disk only.
//
// Errors: ENOENT, no such message; EBADMSG, it is damaged; else what the disk said.
#pragma once

#include <string>

#include "queue/spool/record.h"
#include "queue/spool/spool_state.h"

namespace postern {

class MessageReader {
  public:
    MessageReader(FileSystem& files, SegmentFiles& segment_files, SpoolState& state)
        : files_(files), segment_files_(segment_files), state_(state) {}

    // Everything but the progress, whose damage is not the message's, and the content, which is
    // looked at when it is delivered.
    Result<RecoveredMessage> read_message(SpoolId id);
    // The latest progress; has_progress of the result is false if there is none.
    Result<RecoveredMessage> read_progress(SpoolId id);
    Result<std::string> read_content(SpoolId id, uint64_t offset, size_t length);
    Result<Content> open_content(SpoolId id);

    // Copies the message's record to corrupt/, and its content file; the result says where to.
    Result<std::string> set_message_aside(SpoolId id);

  private:
    // A record as found; its prefix and envelope are checked.
    struct Found {
        TableEntry entry;
        std::shared_ptr<File> file;
        std::string data; // of the record, from its beginning
        MessagePrefix prefix;
        std::string_view envelope; // in `data`
    };

    // Looks the message up and reads at least its envelope, and `wanted` bytes of its record, if it
    // has so many.
    Result<Found> find(SpoolId id, uint64_t wanted);
    Result<Found> find_once(SpoolId id, uint64_t wanted);
    Result<void> read_more(Found& found, uint64_t wanted);
    // The part of the content; all of it is read where it is inside the record.
    Result<std::string> read_inline(Found& found, uint64_t offset, size_t length);
    Result<std::string> read_file(const Found& found, uint64_t offset, size_t length);
    Result<std::unique_ptr<File>> open_file(SpoolId id);
    // False if it was copied forward: what was read at its place may be something else by now.
    bool still_there(SpoolId id, const RecordLocation& place);

    FileSystem& files_;
    SegmentFiles& segment_files_;
    SpoolState& state_;
};

} // namespace postern
