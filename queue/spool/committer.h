// The sync thread's work, without the thread: writes batches, tells what became of them, and keeps
// house between them (gives segments free, copies forward, unlinks content files), a little at a
// time.
#pragma once

#include <chrono>
#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "queue/spool/background_recovery.h"
#include "queue/spool/batch.h"
#include "queue/spool/compaction.h"
#include "queue/spool/segment_writer.h"
#include "queue/spool/settlement.h"
#include "queue/spool/spool_state.h"

namespace postern {

class Committer {
  public:
    // `recovery` has begun; the rest of it comes before all other housekeeping.
    Committer(FileSystem& files, SegmentFiles& segment_files, SpoolState& state,
              const SpoolOptions& options, std::unique_ptr<Recovery> recovery);

    // Writes the batch, which is empty thereafter. `sync_lazy`: and syncs what was written lazily.
    void write(Batch& batch, bool sync_lazy);
    // One step of housekeeping. True if there is more to do at once.
    bool keep_house();

    // Writes the batch and ends the active segment in order. Completes whatever still waits.
    Result<void> close(Batch& batch);

    bool has_unsynced() const { return writer_.has_unsynced(); }
    // The disk refused, records to be written or what was there at the start, and is to be asked
    // again after so long.
    std::optional<std::chrono::microseconds> retry_after() const;

  private:
    // Records whose write failed: they are written with a later batch.
    bool has_requeued() const { return !requeued_.empty(); }
    bool requeued_is_due() const;
    void commit(Batch& batch);
    void count_requeued();
    void store_contents(Batch& batch);
    Result<void> store_content(Operation& operation);
    void refuse_if_full(Batch& batch);
    void refuse(Operation& operation, const Error& error);
    bool write_all(Batch& batch);
    void settle(Batch& batch, std::span<const size_t> written,
                const std::vector<Placement>& placements);
    void note_unwritten(SpoolId id, std::string_view progress);
    void fail(Batch& batch, std::span<const size_t> unwritten, const Error& error);
    void refused();
    void requeue_lost();
    void sync_lazy();
    void all_is_durable();

    bool keep_some_house();
    void end_recovery();
    bool retire_one();
    bool compact_step();
    bool unlink_some();

    FileSystem& files_;
    SegmentFiles& segment_files_;
    SpoolState& state_;
    const SpoolOptions& options_;
    SegmentWriter writer_;
    Compaction compaction_;
    Settlement settlement_;
    Batch requeued_;
    uint64_t refused_until_ = 0; // by options_.uptime; as long as recovery goes on
    BackgroundRecovery recovery_;
    bool blocked_ = false; // housekeeping failed; not tried again before a batch was written
    std::deque<std::string> unlinks_; // may be unlinked
};

} // namespace postern
