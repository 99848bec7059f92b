// Linear probing with deletion by shifting back, so that there are no tombstones to clean.
#include "queue/spool/message_table.h"

#include <algorithm>

namespace postern {

namespace {

constexpr uint32_t file_bit = 1u << 31;
constexpr size_t smallest = 64; // cells

} // namespace

MessageTable::Cell MessageTable::pack(const TableEntry& entry) {
    Cell cell;
    cell.id_low = static_cast<uint32_t>(entry.id);
    cell.id_high = static_cast<uint32_t>(entry.id >> 32);
    cell.message_offset = entry.message.offset;
    cell.message_length = entry.message.length | (entry.content_in_file ? file_bit : 0);
    cell.message_slot = entry.message.slot;
    cell.progress_offset = entry.progress.offset;
    cell.progress_length = entry.progress.length;
    cell.progress_slot = entry.progress.slot;
    return cell;
}

TableEntry MessageTable::unpack(const Cell& cell) {
    TableEntry entry;
    entry.id = cell.id();
    entry.message = {cell.message_slot, cell.message_offset, cell.message_length & ~file_bit};
    entry.content_in_file = (cell.message_length & file_bit) != 0;
    entry.progress = {cell.progress_slot, cell.progress_offset, cell.progress_length};
    return entry;
}

// Ids are consecutive: the multiplication spreads them, and the high bits of the product with the
// size choose the cell, so that the size need not be a power of two.
size_t MessageTable::home(uint64_t id) const {
    uint64_t hash = id * 0x9E3779B97F4A7C15u;
    return static_cast<size_t>(((hash >> 32) * cells_.size()) >> 32);
}

size_t MessageTable::locate(uint64_t id) const {
    size_t at = home(id);
    while (cells_[at].id() != 0 && cells_[at].id() != id)
        at = next(at);
    return at;
}

bool MessageTable::find(uint64_t id, TableEntry* entry) const {
    if (size_ == 0 || id == 0)
        return false;
    const Cell& cell = cells_[locate(id)];
    if (cell.id() != id)
        return false;
    if (entry != nullptr)
        *entry = unpack(cell);
    return true;
}

void MessageTable::reserve(size_t messages) {
    const size_t cells = std::max(smallest, messages * 20 / 17 + 1);
    if (cells > cells_.size())
        resize(cells);
}

void MessageTable::put(const TableEntry& entry) {
    if ((size_ + 1) * 20 > cells_.size() * 17) // 85 %
        resize(cells_.size() < smallest ? smallest : cells_.size() + cells_.size() * 2 / 5);
    Cell& cell = cells_[locate(entry.id)];
    if (cell.id() == 0)
        size_++;
    cell = pack(entry);
}

bool MessageTable::erase(uint64_t id) {
    if (size_ == 0 || id == 0)
        return false;
    size_t hole = locate(id);
    if (cells_[hole].id() != id)
        return false;
    // Whatever follows without a gap and may not lie behind the hole moves into it.
    for (size_t at = next(hole); cells_[at].id() != 0; at = next(at)) {
        size_t wanted = home(cells_[at].id());
        size_t from_wanted = (at + cells_.size() - wanted) % cells_.size();
        size_t from_hole = (at + cells_.size() - hole) % cells_.size();
        if (from_wanted >= from_hole) {
            cells_[hole] = cells_[at];
            hole = at;
        }
    }
    cells_[hole] = Cell{};
    size_--;
    if (cells_.size() > smallest && size_ * 4 < cells_.size())
        resize(std::max(smallest, size_ * 3 / 2 + 1));
    return true;
}

void MessageTable::resize(size_t cells) {
    std::vector<Cell> old(cells);
    old.swap(cells_);
    for (const Cell& cell : old)
        if (cell.id() != 0)
            cells_[locate(cell.id())] = cell;
}

void MessageTable::for_each(const std::function<void(const TableEntry&)>& visit) const {
    for (const Cell& cell : cells_)
        if (cell.id() != 0)
            visit(unpack(cell));
}

} // namespace postern
