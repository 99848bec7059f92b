// Batches into the log. The order of things in a batch: content files are synced and named, then
// their directory, then all records in one write, then everyone who waited is told.
#include "queue/spool/committer.h"

#include <cerrno>
#include <random>

namespace postern {

namespace {

constexpr std::chrono::microseconds retry_delay = std::chrono::milliseconds(200);
constexpr size_t unlinks_per_step = 8; // unlinking in bulk makes everybody's syncs slow

std::function<uint64_t()> stamps(const SpoolOptions& options) {
    std::function<uint64_t()> draw = options.random;
    if (!draw)
        draw = [] {
            std::random_device device;
            return static_cast<uint64_t>(device()) << 32 | device();
        };
    return [draw] {
        uint64_t stamp = draw();
        return stamp != 0 ? stamp : 1; // zeros are what a file has where nothing was written
    };
}

} // namespace

Committer::Committer(FileSystem& files, SegmentFiles& segment_files, SpoolState& state,
                     const SpoolOptions& options, std::unique_ptr<Recovery> recovery)
    : files_(files), segment_files_(segment_files), state_(state), options_(options),
      writer_(files, segment_files, state, options, stamps(options)),
      compaction_(files, segment_files, state, options), settlement_(state),
      recovery_(std::move(recovery), state, options.uptime) {}

void Committer::write(Batch& batch, bool sync) {
    if (!batch.empty() || requeued_is_due())
        commit(batch);
    if (sync && writer_.has_unsynced())
        sync_lazy();
    count_requeued();
}

// What waits in memory for the disk is bounded by the event loop (LogSpool::may_append).
void Committer::count_requeued() {
    std::lock_guard lock(state_.mutex);
    state_.requeued_bytes = requeued_.data.size();
}

void Committer::commit(Batch& batch) {
    if (has_requeued()) { // what failed before goes first: order matters among records of a message
        Batch all = std::move(requeued_);
        requeued_ = Batch{};
        for (Operation& operation : batch.operations)
            all.take(std::move(operation), batch.data);
        std::swap(all, batch);
    }
    store_contents(batch);
    refuse_if_full(batch);
    write_all(batch);
    batch.clear();
}

void Committer::refuse(Operation& operation, const Error& error) {
    operation.size = 0; // not to be written
    if (operation.content_in_file && !operation.content)
        unlinks_.push_back(content_path(operation.id)); // it had its name already
    std::lock_guard lock(state_.mutex);
    state_.completions.push_back({operation.ticket, operation.id, error});
}

Result<void> Committer::store_content(Operation& operation) {
    File& file = operation.content.file();
    auto size = file.size();
    if (!size)
        return size.error();
    if (*size != operation.content_length)
        return Error{"content of " + std::to_string(*size) + " bytes, announced as " +
                         std::to_string(operation.content_length),
                     EINVAL};
    if (auto synced = file.sync(); !synced)
        return synced;
    if (auto linked = files_.link_unnamed(file, content_path(operation.id)); !linked)
        return linked;
    operation.content = ContentFile();
    return {};
}

void Committer::store_contents(Batch& batch) {
    std::vector<size_t> stored;
    for (size_t i = 0; i < batch.operations.size(); i++) {
        Operation& operation = batch.operations[i];
        if (!operation.content)
            continue;
        if (auto result = store_content(operation); !result)
            refuse(operation, result.error());
        else
            stored.push_back(i);
    }
    if (stored.empty())
        return;
    if (auto synced = files_.sync_directory("content"); !synced)
        for (size_t i : stored)
            refuse(batch.operations[i], synced.error());
}

void Committer::refuse_if_full(Batch& batch) {
    bool any = false;
    for (const Operation& operation : batch.operations)
        any = any || (operation.is_new_message() && operation.size != 0);
    if (!any)
        return;
    auto space = files_.free_space();
    if (space && *space >= options_.min_free)
        return;
    Error error = space ? Error{"less than " + std::to_string(options_.min_free >> 20) +
                                    " MiB free in the spool's file system",
                                ENOSPC}
                        : space.error();
    for (Operation& operation : batch.operations)
        if (operation.is_new_message() && operation.size != 0)
            refuse(operation, error);
}

// False if anything was not written; then messages have been refused and the rest is requeued.
bool Committer::write_all(Batch& batch) {
    std::vector<std::span<char>> records;
    std::vector<size_t> which;
    bool durable = false;
    for (size_t i = 0; i < batch.operations.size(); i++) {
        const Operation& operation = batch.operations[i];
        if (operation.size == 0)
            continue;
        records.emplace_back(batch.data.data() + operation.offset, operation.size);
        which.push_back(i);
        durable = durable || operation.durable;
    }
    std::span<const std::span<char>> left(records);
    std::span<const size_t> left_which(which);
    while (!left.empty()) {
        std::vector<Placement> placements;
        auto written = writer_.write(left, durable, placements);
        if (!written) {
            fail(batch, left_which, written.error());
            return false;
        }
        settle(batch, left_which.first(*written), placements);
        left = left.subspan(*written);
        left_which = left_which.subspan(*written);
    }
    return true;
}

void Committer::settle(Batch& batch, std::span<const size_t> written,
                       const std::vector<Placement>& placements) {
    blocked_ = false;
    std::lock_guard lock(state_.mutex);
    for (size_t i = 0; i < written.size(); i++)
        settlement_.settle(batch.operations[written[i]], placements[i], requeued_);
    if (!writer_.has_unsynced())
        all_is_durable();
}

// It was written, and is to be written again. Of those of a message the newest comes first: unless
// something newer waits it is the latest.
void Committer::note_unwritten(SpoolId id, std::string_view progress) {
    std::lock_guard lock(state_.mutex);
    if (!state_.table.find(id, nullptr))
        return;
    SpoolState::Unwritten& unwritten = state_.unwritten[id];
    if (unwritten.records++ == 0)
        unwritten.latest = progress;
}

void Committer::requeue_lost() {
    const std::string lost = writer_.take_lost();
    std::vector<size_t> places;
    for (size_t at = 0; at + record_header_size <= lost.size();) {
        auto header = peek_header(std::string_view(lost).substr(at));
        std::string_view payload(lost.data() + at + record_header_size, header->length);
        Operation& again = requeued_.add(header->type, header->flags, header->id, {payload});
        again.target_epoch = decode_removed(payload).value_or(0);
        places.push_back(at);
        at += record_size(header->length);
    }
    // The last one of a message is its latest.
    for (size_t i = places.size(); i-- > 0;) {
        auto header = peek_header(std::string_view(lost).substr(places[i]));
        if (header->type == RecordType::Progress)
            note_unwritten(header->id,
                           {lost.data() + places[i] + record_header_size, header->length});
    }
}

void Committer::refused() {
    blocked_ = true;
    refused_until_ = options_.uptime() + static_cast<uint64_t>(retry_delay.count());
    requeue_lost();
}

void Committer::fail(Batch& batch, std::span<const size_t> unwritten, const Error& error) {
    refused();
    for (size_t i : unwritten) {
        Operation& operation = batch.operations[i];
        if (operation.is_new_message())
            refuse(operation, error);
        else if (operation.origin != Operation::Origin::Copy)
            requeued_.take(std::move(operation), batch.data);
    }
}

void Committer::all_is_durable() {
    std::vector<std::string> gone = settlement_.take_unlinks();
    unlinks_.insert(unlinks_.end(), gone.begin(), gone.end());
}

void Committer::sync_lazy() {
    if (writer_.sync_lazy()) {
        all_is_durable();
        return;
    }
    refused();
}

Result<void> Committer::close(Batch& batch) {
    for (int attempt = 0; attempt < 2 && (!batch.empty() || has_requeued()); attempt++)
        commit(batch);
    Result<void> result;
    if (has_requeued())
        result = Error{"the disk did not take the last records", EIO};
    for (Operation& operation : requeued_.operations)
        if (operation.ticket != 0)
            refuse(operation, result.error());
    requeued_.clear();
    auto sealed = writer_.seal();
    return result ? sealed : result;
}

// What goes on at once meanwhile does not ask the disk again each time.
bool Committer::requeued_is_due() const {
    return has_requeued() && (recovery_.ended() || options_.uptime() >= refused_until_);
}

std::optional<std::chrono::microseconds> Committer::retry_after() const {
    return has_requeued() ? retry_delay : recovery_.retry_after();
}

bool Committer::keep_house() {
    const bool more = keep_some_house();
    count_requeued();
    return more;
}

bool Committer::keep_some_house() {
    if (!recovery_.ended()) { // nothing may go or be copied before it is known what lives
        bool more = recovery_.step();
        if (recovery_.ended())
            end_recovery();
        return unlink_some() || more;
    }
    if (blocked_ || has_requeued())
        return has_requeued() && !blocked_;
    bool more = retire_one();
    more = compact_step() || more;
    more = unlink_some() || more;
    return more && !blocked_;
}

void Committer::end_recovery() {
    std::vector<std::string> orphans = recovery_.take_orphans();
    unlinks_.insert(unlinks_.end(), orphans.begin(), orphans.end());
}

// The header says durably that the segment is free before anything that it pins may go.
bool Committer::retire_one() {
    std::optional<uint16_t> slot;
    SegmentHeader header;
    {
        std::lock_guard lock(state_.mutex);
        slot = state_.segments.retirable();
        if (!slot)
            return false;
        header = state_.segments.at(*slot).header;
    }
    // The progress that made an older one dead must not be lost after it.
    if (writer_.has_unsynced())
        sync_lazy();
    if (blocked_)
        return false;
    header.state = SegmentState::Free;
    std::string block = encode_segment_header(header);
    std::vector<std::string_view> pieces{block};
    auto file = segment_files_.get(*slot);
    auto written = file ? (*file)->write_at(0, pieces, true) : Result<void>(file.error());
    if (!written) {
        blocked_ = true;
        state_.report(SpoolEvent::Kind::DiskFailed,
                      segment_path(*slot) + ": cannot be given free: " + written.error().message);
        return false;
    }
    bool surplus = false;
    {
        std::lock_guard lock(state_.mutex);
        surplus = state_.segments.spare_count() >= options_.max_spares;
        state_.segments.end_use(*slot);
    }
    if (surplus && files_.unlink(segment_path(*slot))) {
        segment_files_.forget(*slot);
        std::lock_guard lock(state_.mutex);
        state_.segments.remove_file(*slot);
    }
    return true;
}

bool Committer::compact_step() {
    if (blocked_ || !compaction_.begin())
        return false;
    Batch batch;
    compaction_.gather(batch);
    if (batch.empty()) {
        compaction_.finish();
        return true;
    }
    if (write_all(batch))
        compaction_.written();
    else
        compaction_.abandon();
    return !blocked_;
}

bool Committer::unlink_some() {
    for (size_t i = 0; i < unlinks_per_step && !unlinks_.empty(); i++) {
        (void)files_.unlink(unlinks_.front()); // what stays is an orphan, removed at the next start
        unlinks_.pop_front();
    }
    return !unlinks_.empty();
}

} // namespace postern
