// Compaction: one victim, read by its index, copied forward in steps.
#include "queue/spool/compaction.h"

#include <algorithm>
#include <cstdio>

namespace postern {

namespace {

constexpr uint64_t step_bytes = 128u << 10; // copied at a time, in a segment of the usual size
constexpr size_t step_entries = 8192;       // looked at at a time
constexpr int readings = 2; // of a record that looks damaged: it may be so only on its way here

} // namespace

bool Compaction::begin() {
    {
        std::lock_guard lock(state_.mutex);
        if (victim_ && state_.segments.epoch_in_use(header_.epoch))
            return true; // else it has gone by itself: everything in it was removed
        victim_ =
            state_.segments.worth_compacting(options_.compaction_slack * options_.segment_size);
        if (!victim_)
            return false;
        header_ = state_.segments.at(*victim_).header;
    }
    return load_victim();
}

bool Compaction::load_victim() {
    next_ = gathered_ = 0;
    auto file = segment_files_.get(*victim_);
    if (!file) {
        give_up(file.error().message);
        return false;
    }
    file_ = *file;
    auto contents = read_segment(*file_, header_);
    if (!contents) {
        give_up(contents.error().message);
        return false;
    }
    // A record that is missing may be the Removed of a message elsewhere, which would come back.
    if (!contents->damaged.empty()) {
        give_up("bytes " + std::to_string(contents->damaged.front().begin) + " to " +
                std::to_string(contents->damaged.front().end) + " are damaged");
        return false;
    }
    entries_ = std::move(contents->entries);
    return true;
}

void Compaction::give_up(const std::string& why) {
    state_.report(SpoolEvent::Kind::DiskFailed,
                  segment_path(*victim_) + ": cannot be copied forward: " + why);
    std::lock_guard lock(state_.mutex);
    state_.segments.at(*victim_).unreadable = true;
    victim_.reset();
    file_.reset();
    entries_.clear();
}

// Whether the record still counts; under the lock, since the event loop removes messages.
bool Compaction::wanted(const IndexEntry& entry, RecordLocation& from) {
    from = {*victim_, entry.offset, entry.length};
    std::lock_guard lock(state_.mutex);
    TableEntry known;
    switch (entry.type) {
    case RecordType::Message:
        return state_.table.find(entry.id, &known) && known.message == from;
    case RecordType::Progress:
        return state_.table.find(entry.id, &known) && known.progress == from;
    case RecordType::Removed:
        return entry.target_epoch != header_.epoch &&
               state_.segments.epoch_in_use(entry.target_epoch);
    case RecordType::Index:
        break;
    }
    return false;
}

void Compaction::gather(Batch& batch) {
    const uint64_t limit = std::min(step_bytes, options_.segment_size / 8);
    size_t looked_at = 0;
    gathered_ = next_;
    while (victim_ && gathered_ < entries_.size() && batch.data.size() < limit) {
        // Dead stretches are passed over without I/O, but not without end.
        if (++looked_at > step_entries && !batch.empty())
            break;
        gather_one(entries_[gathered_++], batch);
    }
}

void Compaction::gather_one(const IndexEntry& entry, Batch& batch) {
    RecordLocation from;
    if (!wanted(entry, from))
        return;
    if (entry.type == RecordType::Removed) {
        Operation& copy =
            batch.add(RecordType::Removed, 0, entry.id, {encode_removed(entry.target_epoch)});
        copy.origin = Operation::Origin::Tombstone;
        copy.durable = true;
        copy.target_epoch = entry.target_epoch;
        return;
    }
    Record record;
    bool good = false;
    Result<std::string> data = std::string();
    for (int i = 0; i < readings && data && !good; i++) {
        data = read_range(*file_, entry.offset, record_size(entry.length));
        good = data && decode_record(*data, header_.stamp, record) == Decoded::Ok &&
               record.header.id == entry.id && record.header.type == entry.type;
    }
    if (!data) {
        give_up(data.error().message);
        return;
    }
    if (!good) {
        if (entry.type == RecordType::Message) // its sender is told when it is to be delivered
            return give_up("the message at " + std::to_string(entry.offset) + " is damaged");
        return set_progress_aside(entry, *data);
    }
    Operation& copy = batch.add(entry.type, record.header.flags, entry.id, {record.payload});
    copy.origin = Operation::Origin::Copy;
    copy.durable = true;
    copy.copied_from = from;
}

void Compaction::set_progress_aside(const IndexEntry& entry, std::string_view data) {
    char name[64];
    std::snprintf(name, sizeof name, "%016llx.%llu-%u", static_cast<unsigned long long>(entry.id),
                  static_cast<unsigned long long>(header_.epoch), entry.offset);
    if (auto saved = set_aside(files_, name, data); !saved) {
        give_up(saved.error().message);
        return;
    }
    state_.report(SpoolEvent::Kind::Damaged,
                  segment_path(*victim_) + " at " + std::to_string(entry.offset) +
                      ": damaged progress record; set aside as corrupt/" + name);
    std::lock_guard lock(state_.mutex);
    TableEntry known;
    if (!state_.table.find(entry.id, &known) || known.progress.slot != *victim_)
        return; // removed just now, or there is a later one
    state_.segments.drop_live(known.progress.slot, known.progress.length);
    known.progress = {};
    state_.table.put(known);
}

void Compaction::finish() {
    if (!victim_)
        return;
    std::lock_guard lock(state_.mutex);
    // What is left is leaving. If anything else were, it would have been missed: then the segment
    // stays.
    SegmentUse& segment = state_.segments.at(*victim_);
    if (segment.live_count == segment.leaving)
        state_.segments.clear_pins(*victim_);
    else
        segment.unreadable = true;
    victim_.reset();
    file_.reset();
    entries_.clear();
}

} // namespace postern
