// Looks through a spool while it is used, a bounded piece at a time: the checksum of every record
// in the segments that are in use when it begins or were put to use before it came to them, and of
// the content of every message that has a file for it. Reads only, by files of its own, and from
// the disk: what the page cache has is let go of first.
//
// It runs on a thread that nobody waits for. Segments come and go meanwhile: what was read of one
// counts only if it is still in use thereafter. A message that is copied forward meanwhile may be
// counted twice; each copy has its checksum looked at, here or when it is made.
#pragma once

#include <atomic>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "queue/spool/message_reader.h"
#include "queue/spool/segment.h"
#include "queue/spool/spool_check.h"
#include "queue/spool/spool_state.h"

namespace postern {

class OnlineCheck {
  public:
    // All indexes have been read: the state knows what lives.
    OnlineCheck(FileSystem& files, SpoolState& state, MessageReader& reader);

    // Some 8 MiB at most, or one segment whose index is damaged. Given up when `stop` is set.
    SpoolCheckPiece step(const std::atomic<bool>& stop);

  private:
    enum class Phase { segments, contents, ended };

    void go_on();
    void next_segment();
    void begin_segment(uint16_t slot);
    void take_scanned(const SegmentContents& contents);
    void check_run();
    void check_entry(std::string_view data, const IndexEntry& entry);
    bool is_good(std::string_view data, const IndexEntry& entry) const;
    void count(const IndexEntry& entry);
    std::string lost_with(const IndexEntry& entry) const;
    void end_segment();
    bool still_in_use() const;
    void find_contents();
    void next_content();
    void check_content();
    void end_content();
    void damaged_content(const Error& error);
    void end();
    void damaged(const std::string& line);

    FileSystem& files_;
    SpoolState& state_;
    MessageReader& reader_;
    SpoolCheckResult totals_;
    std::deque<std::string> lines_;
    uint64_t read_ = 0; // bytes in this step
    Phase phase_ = Phase::segments;
    uint64_t last_epoch_; // when it began

    // The segment that is being looked at; none if file_ is not set.
    uint64_t epoch_ = 0; // the last one, if there is none
    uint16_t slot_ = no_slot;
    SegmentHeader header_;
    std::unique_ptr<File> file_;
    std::vector<IndexEntry> entries_;
    size_t next_ = 0; // in `entries_`
    uint64_t good_ = 0;

    std::vector<SpoolId> with_file_; // still to be looked at, highest first
    SpoolId content_ = 0;            // whose file is file_
    uint64_t length_ = 0;            // that it should have
    uint32_t expected_ = 0;          // checksum
    uint64_t position_ = 0;
    uint32_t checksum_ = 0;
    bool again_ = false; // it has looked damaged once
};

} // namespace postern
