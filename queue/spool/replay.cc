// The log, record by record.
#include "queue/spool/replay.h"

#include <algorithm>

namespace postern {

namespace {

constexpr size_t messages_per_step = 8192;
constexpr size_t sorted_per_step = 65536;

} // namespace

void Replay::apply_message(uint16_t slot, const IndexEntry& entry) {
    TableEntry known;
    if (table_.find(entry.id, &known)) {
        ++copies_[{slot, epochs_.at(known.message.slot)}];
    } else if (auto early = early_progress_.find(entry.id); early != early_progress_.end()) {
        known.progress = early->second;
        early_progress_.erase(early);
    }
    known.id = entry.id;
    known.message = {slot, entry.offset, entry.length};
    known.content_in_file = (entry.flags & record_flag_content_file) != 0;
    table_.put(known);
    found_.push_back(entry.id);
}

void Replay::apply_progress(uint16_t slot, const IndexEntry& entry) {
    const RecordLocation place{slot, entry.offset, entry.length};
    TableEntry known;
    if (!table_.find(entry.id, &known)) {
        early_progress_[entry.id] = place;
        return;
    }
    known.progress = place;
    table_.put(known);
}

void Replay::apply(uint16_t slot, const IndexEntry& entry) {
    if (entry.id == 0)
        return;
    switch (entry.type) {
    case RecordType::Message:
        return apply_message(slot, entry);
    case RecordType::Progress:
        return apply_progress(slot, entry);
    case RecordType::Removed:
        table_.erase(entry.id);
        early_progress_.erase(entry.id);
        ++pins_[{slot, entry.target_epoch}];
        break;
    case RecordType::Index:
        break;
    }
}

// Ids count up, but copies lie behind newer messages.
void Replay::sort_some() {
    const auto begin = found_.begin();
    const auto middle = begin + static_cast<std::ptrdiff_t>(sorted_);
    sorted_ = std::min(sorted_ + sorted_per_step, found_.size());
    const auto end = begin + static_cast<std::ptrdiff_t>(sorted_);
    if (!std::is_sorted(middle, end))
        std::sort(middle, end);
    if (middle != begin && middle != end && *(middle - 1) > *middle)
        std::inplace_merge(begin, middle, end);
    if (sorted_ < found_.size())
        return;
    found_.erase(std::unique(found_.begin(), found_.end()), found_.end());
    early_progress_ = {}; // of messages long gone
    in_order_ = true;
}

void Replay::add_live(const RecordLocation& place) {
    ++live_[place.slot].records;
    live_[place.slot].bytes += record_size(place.length);
}

void Replay::count_some() {
    const size_t end = std::min(counted_ + messages_per_step, found_.size());
    for (TableEntry entry; counted_ < end; ++counted_) {
        if (!table_.find(found_[counted_], &entry))
            continue;
        add_live(entry.message);
        if (entry.progress.exists())
            add_live(entry.progress);
        found_[kept_++] = entry.id;
    }
}

bool Replay::sum_up(size_t slots) {
    live_.resize(std::max(live_.size(), slots));
    if (!in_order_)
        sort_some();
    else
        count_some();
    return !in_order_ || counted_ < found_.size();
}

bool Replay::has_content_file(SpoolId id) const {
    TableEntry entry;
    return table_.find(id, &entry) && entry.content_in_file;
}

void Replay::hand_over(SpoolState& state) {
    found_.resize(kept_);
    size_t newer = 0; // messages; only this thread adds any
    {
        std::lock_guard lock(state.mutex);
        newer = state.table.size();
    }
    table_.reserve(table_.size() + newer);
    std::lock_guard lock(state.mutex);
    for (uint16_t slot = 0; slot < live_.size(); ++slot)
        state.segments.add_live(slot, live_[slot].records, live_[slot].bytes);
    for (const auto& [where, count] : pins_)
        state.segments.pin(where.first, where.second, count);
    for (const auto& [where, count] : copies_)
        state.segments.copied(where.first, where.second, count);
    state.table.for_each([this](const TableEntry& entry) { table_.put(entry); });
    std::swap(state.table, table_);
    state.found = std::move(found_);
    state.found_untold = true;
}

} // namespace postern
