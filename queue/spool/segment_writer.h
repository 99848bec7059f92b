// The writing end of the log, owned by the sync thread: puts records into the active segment, seals
// it when it is full, and puts a spare (or new) file to use.
//
// On failure: a run of records whose write or sync failed is not in the log. Before anything else
// is written the failed segment is fenced, that is, its header says durably where it ends (or, if
// nothing in it was durable yet, that it is free). As long as the fence fails, so does everything
// else. Records that had been written lazily behind the last sync are lost with it, and handed
// back.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "queue/spool/segment.h"
#include "queue/spool/spool_state.h"

namespace postern {

struct Placement {
    uint16_t slot = no_slot;
    uint32_t offset = 0;
};

class SegmentWriter {
  public:
    SegmentWriter(FileSystem& files, SegmentFiles& segment_files, SpoolState& state,
                  const SpoolOptions& options, std::function<uint64_t()> random)
        : files_(files), segment_files_(segment_files), state_(state), options_(options),
          random_(std::move(random)) {}

    // The longest record (padding included) that fits a segment of this size.
    static uint64_t longest_record(uint64_t segment_size);

    // Writes the first of `records` (as made by append_record()), as many as fit the segment and at
    // least one, and adds their places to `placements`. Durable: they are on disk when it succeeds,
    // and so is everything written before. The first write into a segment is always durable.
    Result<size_t> write(std::span<const std::span<char>> records, bool durable,
                         std::vector<Placement>& placements);

    bool has_unsynced() const { return !lazy_tail_.empty(); }
    Result<void> sync_lazy();
    // After a failure: the records that had been written lazily. Empties it.
    std::string take_lost() { return std::exchange(lost_, {}); }

    // Fences what failed; succeeds if nothing did.
    Result<void> fence();
    // Ends the active segment with an index, if there is one. Failing to write the index is
    // reported and costs nothing but time at the next start.
    Result<void> seal();

  private:
    struct Active {
        uint16_t slot = no_slot;
        std::shared_ptr<File> file;
        SegmentHeader header;
        uint64_t position = segment_data_begin; // behind the last record
        uint64_t durable_end = segment_data_begin;
        uint64_t file_size = 0;
        bool created = false; // the file is new: its name is not yet durable
        bool fresh = true;    // the header is not yet on disk
        std::vector<IndexEntry> entries;
    };

    bool fits(uint64_t bytes, size_t records) const;
    Result<void> activate();
    Result<void> create_file(Active& next);
    Result<void> write_run(std::span<const std::span<char>> run, uint64_t bytes, bool durable);
    Result<void> write_durably(const std::vector<std::string_view>& pieces, uint64_t end);
    Result<void> write_header();
    Result<void> discard_fresh();
    void first_write_done();
    void failed(const Error& error);
    void remember(std::span<const std::span<char>> run, std::vector<Placement>& placements);
    void leave();
    void set_unfenced(bool unfenced);

    FileSystem& files_;
    SegmentFiles& segment_files_;
    SpoolState& state_;
    const SpoolOptions& options_;
    std::function<uint64_t()> random_;
    std::optional<Active> active_;
    bool must_fence_ = false;
    std::string lazy_tail_; // records from durable_end to position
    std::string lost_;
};

} // namespace postern
