// Bookkeeping of segments. Slots are few (some thousands at most), so the rare questions walk them.
#include "queue/spool/segment_set.h"

#include <cassert>

#include "queue/spool/message_table.h"

namespace postern {

SegmentUse& SegmentSet::add_file(uint16_t slot, uint64_t file_size) {
    if (slot >= slots_.size())
        slots_.resize(slot + 1u);
    slots_[slot] = SegmentUse{};
    slots_[slot].exists = true;
    slots_[slot].file_size = file_size;
    return slots_[slot];
}

void SegmentSet::remove_file(uint16_t slot) {
    assert(!slots_[slot].in_use());
    slots_[slot] = SegmentUse{};
}

std::optional<uint16_t> SegmentSet::unused_slot() const {
    for (size_t slot = 0; slot < slots_.size(); slot++)
        if (!slots_[slot].exists)
            return static_cast<uint16_t>(slot);
    if (slots_.size() < no_slot)
        return static_cast<uint16_t>(slots_.size());
    return std::nullopt;
}

std::optional<uint16_t> SegmentSet::spare() const {
    std::optional<uint16_t> best; // the largest: it is written without growing
    for (size_t slot = 0; slot < slots_.size(); slot++)
        if (slots_[slot].exists && !slots_[slot].in_use() &&
            (!best || slots_[slot].file_size > slots_[*best].file_size))
            best = static_cast<uint16_t>(slot);
    return best;
}

void SegmentSet::add_live(uint16_t slot, uint32_t payload_length) {
    add_live(slot, 1, record_size(payload_length));
}

void SegmentSet::add_live(uint16_t slot, uint64_t records, uint64_t bytes) {
    slots_[slot].live_count += records;
    slots_[slot].live_bytes += bytes;
    live_bytes_ += bytes;
}

void SegmentSet::drop_live(uint16_t slot, uint32_t payload_length) {
    assert(slots_[slot].live_count > 0);
    slots_[slot].live_count--;
    slots_[slot].live_bytes -= record_size(payload_length);
    live_bytes_ -= record_size(payload_length);
}

void SegmentSet::pin(uint16_t slot, uint64_t epoch, uint32_t records) {
    if (epoch == slots_[slot].header.epoch || !epoch_in_use(epoch))
        return;
    slots_[slot].pins[epoch] += records;
    slots_[slot].pin_count += records;
}

void SegmentSet::copied(uint16_t slot, uint64_t from_epoch, uint32_t records) {
    if (from_epoch != slots_[slot].header.epoch && epoch_in_use(from_epoch))
        slots_[slot].copies[from_epoch] += records;
}

void SegmentSet::clear_pins(uint16_t slot) {
    slots_[slot].pins.clear();
    slots_[slot].pin_count = 0;
}

void SegmentSet::begin_use(uint16_t slot, const SegmentHeader& header) {
    assert(header.state != SegmentState::Free && slots_[slot].exists);
    slots_[slot].header = header;
    by_epoch_[header.epoch] = slot;
    used_bytes_ += slots_[slot].file_size;
}

void SegmentSet::end_use(uint16_t slot) {
    SegmentUse& segment = slots_[slot];
    assert(segment.in_use() && segment.live_count == 0);
    uint64_t epoch = segment.header.epoch;
    by_epoch_.erase(epoch);
    used_bytes_ -= segment.file_size;
    segment.header.state = SegmentState::Free;
    segment.unreadable = false;
    clear_pins(slot);
    segment.copies.clear();
    for (SegmentUse& other : slots_) {
        other.copies.erase(epoch);
        auto found = other.pins.find(epoch);
        if (found != other.pins.end()) {
            other.pin_count -= found->second;
            other.pins.erase(found);
        }
    }
}

std::optional<uint16_t> SegmentSet::retirable() const {
    for (const auto& [epoch, slot] : by_epoch_) {
        const SegmentUse& segment = slots_[slot];
        if (is_sealed(segment.header.state) && segment.live_count == 0 && segment.pins.empty() &&
            segment.copies.empty())
            return slot;
    }
    return std::nullopt;
}

bool SegmentSet::compactable(const SegmentUse& segment) const {
    return is_sealed(segment.header.state) && !segment.unreadable && segment.file_size != 0;
}

// The segment to begin with: the slot itself unless it holds copies from an older one, and so on.
std::optional<uint16_t> SegmentSet::origin_of_copies(uint16_t slot) const {
    while (!slots_[slot].copies.empty())
        slot = by_epoch_.at(slots_[slot].copies.begin()->first);
    if (!compactable(slots_[slot]))
        return std::nullopt;
    return slot;
}

std::optional<uint16_t> SegmentSet::worth_compacting(uint64_t slack) const {
    if (used_bytes_ <= 2 * live_bytes_ + slack)
        return std::nullopt;
    std::optional<uint16_t> best;
    double lowest = 0.75;
    for (const auto& [epoch, slot] : by_epoch_) {
        const SegmentUse& segment = slots_[slot];
        if (!compactable(segment))
            continue;
        double to_copy =
            static_cast<double>(segment.live_bytes + segment.pin_count * record_size(8));
        double share = to_copy / static_cast<double>(segment.file_size);
        auto first = origin_of_copies(slot);
        if (share < lowest && first) {
            lowest = share;
            best = first;
        }
    }
    return best;
}

void SegmentSet::set_file_size(uint16_t slot, uint64_t size) {
    if (slots_[slot].in_use())
        used_bytes_ = used_bytes_ - slots_[slot].file_size + size;
    slots_[slot].file_size = size;
}

size_t SegmentSet::spare_count() const {
    size_t count = 0;
    for (const SegmentUse& segment : slots_)
        count += segment.exists && !segment.in_use() ? 1 : 0;
    return count;
}

uint64_t SegmentSet::spare_bytes() const {
    uint64_t bytes = 0;
    for (const SegmentUse& segment : slots_)
        bytes += segment.exists && !segment.in_use() ? segment.file_size : 0;
    return bytes;
}

} // namespace postern
