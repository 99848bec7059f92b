// Where the records of every live message are: the only thing that the spool keeps in memory per
// message. Open addressing in one array of 28-byte entries, filled to between 60 and 85 %, hence 33
// to 47 bytes a message. Not thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

namespace postern {

constexpr uint16_t no_slot = 0xFFFF;

// A record in a segment.
struct RecordLocation {
    uint16_t slot = no_slot; // of the segment; no_slot: there is no such record
    uint32_t offset = 0;     // bytes
    uint32_t length = 0;     // of the payload, bytes; below 2^31

    bool exists() const { return slot != no_slot; }
    bool operator==(const RecordLocation&) const = default;
};

struct TableEntry {
    uint64_t id = 0;
    RecordLocation message;
    bool content_in_file = false;
    RecordLocation progress; // the latest
};

class MessageTable {
  public:
    // False if there is no such message; `entry` may be null.
    bool find(uint64_t id, TableEntry* entry) const;
    // Inserts or replaces. `entry.id` is not 0.
    void put(const TableEntry& entry);
    bool erase(uint64_t id);

    // No put() makes it grow as long as there are at most so many messages.
    void reserve(size_t messages);

    size_t size() const { return size_; }
    size_t memory() const { return cells_.capacity() * sizeof(Cell); } // bytes

    void for_each(const std::function<void(const TableEntry&)>& visit) const;

  private:
    struct Cell {
        uint32_t id_low = 0, id_high = 0;                // both 0: empty
        uint32_t message_offset = 0, message_length = 0; // top bit: content in a file
        uint32_t progress_offset = 0, progress_length = 0;
        uint16_t message_slot = no_slot, progress_slot = no_slot;

        uint64_t id() const { return id_low | static_cast<uint64_t>(id_high) << 32; }
    };
    static_assert(sizeof(Cell) == 28);

    static Cell pack(const TableEntry& entry);
    static TableEntry unpack(const Cell& cell);
    size_t home(uint64_t id) const;
    size_t next(size_t at) const { return at + 1 == cells_.size() ? 0 : at + 1; }
    // The cell of `id`, or the empty one where it would be. There must be an empty cell.
    size_t locate(uint64_t id) const;
    void resize(size_t cells);

    std::vector<Cell> cells_;
    size_t size_ = 0;
};

} // namespace postern
