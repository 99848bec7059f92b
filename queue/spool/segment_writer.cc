// Group commit into the active segment. One durable write (pwritev2 with RWF_DSYNC on a real disk)
// takes the header if it is new, whatever was written lazily since the last sync, the records, and
// the zeros by which a new file grows.
#include "queue/spool/segment_writer.h"

#include <algorithm>
#include <cassert>
#include <cerrno>

#include "queue/spool/coding.h"

namespace postern {

namespace {

constexpr size_t lazy_limit = 1u << 20; // bytes kept in memory before they are synced anyway
constexpr std::string_view zeros(const char (&block)[65536]) { return {block, sizeof block}; }
const char zero_block[65536] = {};

uint64_t index_size(size_t records) { return record_size(records * index_entry_size); }

uint64_t round_up(uint64_t value, uint64_t step) { return (value + step - 1) / step * step; }

} // namespace

uint64_t SegmentWriter::longest_record(uint64_t segment_size) {
    return segment_size - segment_data_begin - index_size(1);
}

bool SegmentWriter::fits(uint64_t bytes, size_t records) const {
    return active_->position + bytes + index_size(active_->entries.size() + records) <=
           options_.segment_size;
}

Result<size_t> SegmentWriter::write(std::span<const std::span<char>> records, bool durable,
                                    std::vector<Placement>& placements) {
    assert(!records.empty());
    if (auto fenced = fence(); !fenced)
        return fenced.error();
    if (active_ && !fits(records[0].size(), 1))
        if (auto sealed = seal(); !sealed)
            return sealed.error();
    if (!active_)
        if (auto activated = activate(); !activated)
            return activated.error();
    size_t count = 0;
    uint64_t bytes = 0;
    while (count < records.size() && fits(bytes + records[count].size(), count + 1))
        bytes += records[count++].size();
    assert(count > 0);
    auto run = records.first(count);
    if (auto written = write_run(run, bytes, durable); !written) {
        failed(written.error());
        return written.error();
    }
    remember(run, placements);
    return count;
}

Result<void> SegmentWriter::write_run(std::span<const std::span<char>> run, uint64_t bytes,
                                      bool durable) {
    std::vector<std::string_view> pieces;
    for (std::span<char> record : run) {
        finish_record(record.data(), active_->header.stamp,
                      static_cast<uint32_t>(active_->durable_end));
        if (!pieces.empty() && pieces.back().data() + pieces.back().size() == record.data())
            pieces.back() = {pieces.back().data(), pieces.back().size() + record.size()};
        else
            pieces.emplace_back(record.data(), record.size());
    }
    if (!durable && !active_->fresh && active_->position + bytes <= active_->file_size &&
        lazy_tail_.size() + bytes <= lazy_limit) {
        auto written = active_->file->write_at(active_->position, pieces, false);
        if (written)
            for (std::string_view piece : pieces)
                lazy_tail_.append(piece);
        return written;
    }
    return write_durably(pieces, active_->position + bytes);
}

// `pieces` go behind what is there; `end` is the position thereafter.
Result<void> SegmentWriter::write_durably(const std::vector<std::string_view>& pieces,
                                          uint64_t end) {
    Active& active = *active_;
    std::vector<std::string_view> all;
    std::string header;
    uint64_t begin = active.durable_end;
    if (active.fresh) {
        header = encode_segment_header(active.header);
        all.push_back(header);
        begin = 0;
    }
    if (!lazy_tail_.empty())
        all.push_back(lazy_tail_);
    all.insert(all.end(), pieces.begin(), pieces.end());
    // A new file grows by whole steps, so that few of the writes change its size (a write that does
    // is two to three times as dear).
    uint64_t grown = end;
    if (end > active.file_size)
        grown = std::max(end, std::min(round_up(end, options_.growth_step), options_.segment_size));
    for (uint64_t left = grown - end; end > active.file_size && left > 0;) {
        uint64_t part = std::min<uint64_t>(left, sizeof zero_block);
        all.push_back(zeros(zero_block).substr(0, part));
        left -= part;
    }
    if (auto written = active.file->write_at(begin, all, true); !written)
        return written;
    if (active.created && active.fresh)
        if (auto synced = files_.sync_directory("segments"); !synced)
            return synced;
    active.durable_end = end;
    active.file_size = std::max(active.file_size, grown);
    lazy_tail_.clear();
    if (active.fresh)
        first_write_done();
    std::lock_guard lock(state_.mutex);
    state_.batches++;
    return {};
}

void SegmentWriter::first_write_done() {
    std::lock_guard lock(state_.mutex);
    if (active_->created)
        state_.segments.add_file(active_->slot, active_->file_size);
    state_.segments.begin_use(active_->slot, active_->header);
    active_->fresh = false;
}

void SegmentWriter::remember(std::span<const std::span<char>> run,
                             std::vector<Placement>& placements) {
    for (std::span<char> record : run) {
        auto header = peek_header({record.data(), record.size()});
        auto offset = static_cast<uint32_t>(active_->position);
        IndexEntry entry{header->id, offset, header->length, header->type, header->flags, 0};
        if (header->type == RecordType::Removed)
            entry.target_epoch = load_u64(record.data() + record_header_size);
        active_->entries.push_back(entry);
        placements.push_back({active_->slot, offset});
        active_->position += record.size();
    }
    std::lock_guard lock(state_.mutex);
    state_.segments.set_file_size(active_->slot, active_->file_size);
    state_.segments.at(active_->slot).header.data_end = active_->position;
}

Result<void> SegmentWriter::sync_lazy() {
    if (auto fenced = fence(); !fenced)
        return fenced.error();
    if (lazy_tail_.empty())
        return {};
    auto written = write_durably({}, active_->position);
    if (!written)
        failed(written.error());
    return written;
}

void SegmentWriter::failed(const Error& error) {
    must_fence_ = true;
    set_unfenced(true);
    lost_ += std::exchange(lazy_tail_, {});
    {
        std::lock_guard lock(state_.mutex);
        state_.write_failures++;
    }
    state_.report(SpoolEvent::Kind::DiskFailed, segment_path(active_->slot) + " at " +
                                                    std::to_string(active_->durable_end) + ": " +
                                                    error.message + "; the segment is abandoned");
    (void)fence(); // tried again before the next write if it fails
}

Result<void> SegmentWriter::write_header() {
    std::string block = encode_segment_header(active_->header);
    std::vector<std::string_view> pieces{block};
    return active_->file->write_at(0, pieces, true);
}

Result<void> SegmentWriter::fence() {
    if (!must_fence_)
        return {};
    if (active_->fresh) {
        if (auto discarded = discard_fresh(); !discarded)
            return discarded;
        active_.reset();
    } else {
        active_->header.state = SegmentState::Sealed;
        active_->header.data_end = active_->durable_end;
        {
            std::lock_guard lock(state_.mutex);
            active_->header.highest_id = state_.highest_id;
        }
        if (auto written = write_header(); !written)
            return written;
        leave();
    }
    must_fence_ = false;
    set_unfenced(false);
    return {};
}

void SegmentWriter::set_unfenced(bool unfenced) {
    std::lock_guard lock(state_.mutex);
    state_.unfenced = unfenced;
}

// Nothing in this segment has ever been answered for: give the file back, or drop it if it is new.
Result<void> SegmentWriter::discard_fresh() {
    if (!active_->created) {
        SegmentHeader free = active_->header;
        free.state = SegmentState::Free;
        std::string block = encode_segment_header(free);
        std::vector<std::string_view> pieces{block};
        return active_->file->write_at(0, pieces, true);
    }
    segment_files_.forget(active_->slot);
    auto unlinked = files_.unlink(segment_path(active_->slot));
    if (!unlinked && unlinked.error().code != ENOENT)
        return unlinked;
    return files_.sync_directory("segments");
}

void SegmentWriter::leave() {
    std::lock_guard lock(state_.mutex);
    state_.segments.at(active_->slot).header = active_->header;
    active_.reset();
}

Result<void> SegmentWriter::seal() {
    if (auto synced = sync_lazy(); !synced)
        return synced;
    if (!active_)
        return {};
    Active& active = *active_;
    std::string index;
    append_record(index, RecordType::Index, 0, 0, {encode_index(active.entries)});
    finish_record(index.data(), active.header.stamp, static_cast<uint32_t>(active.durable_end));
    std::vector<std::string_view> pieces{index};
    active.header.state = SegmentState::Sealed;
    active.header.data_end = active.durable_end;
    auto written = active.file->write_at(active.durable_end, pieces, true);
    if (written) {
        active.header.index_offset = active.durable_end;
        active.header.data_end = active.durable_end + index.size();
        active.file_size = std::max(active.file_size, active.header.data_end);
    }
    {
        std::lock_guard lock(state_.mutex);
        active.header.highest_id = state_.highest_id;
        state_.segments.set_file_size(active.slot, active.file_size);
    }
    // Nobody waits for this: if it fails, the next start reads the segment in full.
    if (auto headed = write_header(); written && !headed)
        written = headed;
    if (!written) {
        active.header.index_offset = 0;
        active.header.data_end = active.durable_end;
        state_.report(SpoolEvent::Kind::DiskFailed,
                      segment_path(active.slot) + ": no index: " + written.error().message);
    }
    leave();
    return {};
}

Result<void> SegmentWriter::activate() {
    Active next;
    std::optional<uint16_t> spare;
    {
        std::lock_guard lock(state_.mutex);
        spare = state_.segments.spare();
        next.header.epoch = ++state_.last_epoch;
        next.header.highest_id = state_.highest_id;
        if (spare) {
            next.slot = *spare;
            next.file_size = state_.segments.at(*spare).file_size;
        }
    }
    next.header.state = SegmentState::Active;
    next.header.stamp = random_();
    if (spare) {
        auto file = segment_files_.get(next.slot);
        if (!file)
            return file.error();
        next.file = *file;
    } else if (auto created = create_file(next); !created) {
        return created;
    }
    active_ = std::move(next);
    return {};
}

Result<void> SegmentWriter::create_file(Active& next) {
    std::optional<uint16_t> slot;
    {
        std::lock_guard lock(state_.mutex);
        slot = state_.segments.unused_slot();
    }
    if (!slot)
        return Error{"spool: no free segment number", ENOSPC};
    auto file = files_.open(segment_path(*slot), OpenMode::CreateNew);
    if (!file)
        return file.error();
    next.slot = *slot;
    next.file = std::move(*file);
    next.created = true;
    segment_files_.put(next.slot, next.file);
    return {};
}

} // namespace postern
