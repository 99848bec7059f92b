// Reading segments. Nothing here trusts a length or an offset from the disk.
#include "queue/spool/segment.h"

#include <algorithm>
#include <cstdio>
#include <cstring>

#include "common/base/crc32c.h"
#include "queue/spool/coding.h"

namespace postern {

namespace {

constexpr char magic[8] = {'P', 'o', 's', 't', 'e', 'r', 'n', '\0'};
constexpr size_t header_size = 64;
constexpr size_t second_copy = 2048;
constexpr int readings = 4; // of something that looks damaged; the disk may have it right

std::string encode_copy(const SegmentHeader& header) {
    std::string out(magic, sizeof magic);
    put_u32(out, segment_format_version);
    put_u32(out, static_cast<uint32_t>(header.state));
    put_u64(out, header.epoch);
    put_u64(out, header.stamp);
    put_u64(out, header.highest_id);
    put_u64(out, header.data_end);
    put_u64(out, header.index_offset);
    put_u32(out, 0);
    put_u32(out, crc32c(out));
    return out;
}

// Magic, version and checksum have the same place in every version of the format.
struct HeaderCopy {
    bool good = false;
    uint32_t version = 0;
    SegmentHeader header;
};

HeaderCopy decode_copy(std::string_view block, size_t at) {
    HeaderCopy copy;
    if (block.size() < at + header_size)
        return copy;
    const char* p = block.data() + at;
    if (std::memcmp(p, magic, sizeof magic) != 0 ||
        load_u32(p + 60) != crc32c(std::string_view(p, 60)))
        return copy;
    copy.version = load_u32(p + 8);
    uint32_t state = load_u32(p + 12);
    copy.header = {static_cast<SegmentState>(state),
                   load_u64(p + 16),
                   load_u64(p + 24),
                   load_u64(p + 32),
                   load_u64(p + 40),
                   load_u64(p + 48)};
    copy.good = copy.version > segment_format_version ||
                (state >= static_cast<uint32_t>(SegmentState::Active) &&
                 state <= static_cast<uint32_t>(SegmentState::Recovered));
    return copy;
}

// States follow one another within an epoch.
int age(SegmentState state) {
    return state == SegmentState::Active ? 0 : state == SegmentState::Free ? 2 : 1;
}

// Of two good copies that differ the later one: a header write was torn.
bool later(const SegmentHeader& a, const SegmentHeader& b) {
    return a.epoch != b.epoch ? a.epoch > b.epoch : age(a.state) > age(b.state);
}

IndexEntry entry_of(const Record& record, uint64_t offset) {
    IndexEntry entry{record.header.id,   static_cast<uint32_t>(offset), record.header.length,
                     record.header.type, record.header.flags,           0};
    if (record.header.type == RecordType::Removed)
        entry.target_epoch = decode_removed(record.payload).value_or(0);
    return entry;
}

bool entry_in_bounds(const IndexEntry& entry, uint64_t end) {
    return entry.offset >= segment_data_begin && entry.offset % 8 == 0 &&
           entry.offset + record_size(entry.length) <= end;
}

bool read_index(File& file, const SegmentHeader& header, SegmentContents& contents) {
    if (header.index_offset < segment_data_begin || header.index_offset >= header.data_end)
        return false;
    auto data = read_range(file, header.index_offset, header.data_end - header.index_offset);
    Record record;
    if (!data || decode_record(*data, header.stamp, record) != Decoded::Ok ||
        record.header.type != RecordType::Index)
        return false;
    auto entries = decode_index(record.payload);
    if (!entries)
        return false;
    for (const IndexEntry& entry : *entries)
        if (!entry_in_bounds(entry, header.index_offset))
            return false;
    contents.entries = std::move(*entries);
    contents.end = header.index_offset;
    contents.indexed = true;
    return true;
}

bool from_index(File& file, const SegmentHeader& header, SegmentContents& contents) {
    return read_index(file, header, contents) || read_index(file, header, contents);
}

// The next good record of this segment behind `from`, or none. Candidates are told by the stamp.
bool find_next(std::string_view data, uint64_t from, uint64_t stamp, uint64_t& found,
               Record& record) {
    for (uint64_t at = (from + 7) & ~uint64_t{7}; at + record_header_size <= data.size(); at += 8) {
        if (load_u64(data.data() + at + 24) == stamp &&
            decode_record(data.substr(at), stamp, record) == Decoded::Ok) {
            found = at;
            return true;
        }
    }
    return false;
}

bool carries_stamp(std::string_view data, uint64_t at, uint64_t stamp) {
    return at + record_header_size <= data.size() && load_u64(data.data() + at + 24) == stamp;
}

// The highest durable end that a good record at or behind `from` names.
uint64_t durable_end_behind(std::string_view data, uint64_t from, uint64_t stamp) {
    uint64_t highest = 0;
    Record record;
    uint64_t at = from;
    while (find_next(data, at, stamp, at, record)) {
        highest = std::max<uint64_t>(highest, record.header.durable_end);
        at += record_size(record.header.length);
    }
    return highest;
}

bool overlaps(const std::vector<DamagedRange>& ranges, uint64_t begin, uint64_t end) {
    return std::any_of(ranges.begin(), ranges.end(), [&](const DamagedRange& range) {
        return range.begin < end && begin < range.end;
    });
}

// `doubtful`: there is something that is neither a record of this life nor the end of its log.
//
// Of what was written and not yet synced the disk may have the later and not the earlier. A Removed
// or Progress is left out then: it may rest on an earlier one, as the end of a report does on the
// mark that its cause is reported. What is unreadable is no such gap.
SegmentContents scan(std::string_view data, const SegmentHeader& header, bool& doubtful,
                     const std::vector<DamagedRange>& unreadable = {}) {
    SegmentContents contents;
    doubtful = false;
    const bool sealed = is_sealed(header.state);
    bool behind_gap = false; // left by a crash
    uint64_t at = segment_data_begin;
    while (at < data.size()) {
        Record record;
        const Decoded decoded = decode_record(data.substr(at), header.stamp, record);
        if (decoded == Decoded::Ok) {
            if (record.header.type == RecordType::Index)
                break;
            if (!behind_gap || record.header.type == RecordType::Message)
                contents.entries.push_back(entry_of(record, at));
            at += record_size(record.header.length);
            contents.end = at;
            continue;
        }
        doubtful = doubtful || sealed || (decoded != Decoded::Blank && decoded != Decoded::Stale);
        uint64_t next = 0;
        if (!find_next(data, at + 8, header.stamp, next, record)) {
            // The end of the log, unless the header says that it goes on, or a record of this
            // life begins here and is incomplete.
            if (sealed || carries_stamp(data, at, header.stamp))
                contents.damaged.push_back({at, data.size(), sealed});
            break;
        }
        doubtful = true;
        // What was sealed in order had been written whole.
        const bool was_durable = header.state == SegmentState::Sealed ||
                                 overlaps(unreadable, at, next) ||
                                 durable_end_behind(data, next, header.stamp) > at;
        contents.damaged.push_back({at, next, was_durable});
        behind_gap = behind_gap || !was_durable;
        at = next;
    }
    return contents;
}

// The file was.
void note_cut_off(SegmentContents& contents, uint64_t size, uint64_t end) {
    if (size < end)
        contents.damaged.push_back({size, end, true});
}

} // namespace

std::string encode_segment_header(const SegmentHeader& header) {
    std::string block = encode_copy(header);
    block.resize(second_copy, '\0');
    block += encode_copy(header);
    block.resize(segment_data_begin, '\0');
    return block;
}

Result<HeaderCondition> decode_segment_header(std::string_view block, SegmentHeader& header) {
    HeaderCopy first = decode_copy(block, 0);
    HeaderCopy second = decode_copy(block, second_copy);
    for (const HeaderCopy& copy : {first, second})
        if (copy.good && copy.version > segment_format_version)
            return Error{"spool format " + std::to_string(copy.version) +
                             " was written by a newer version of Postern; this one reads up to " +
                             std::to_string(segment_format_version),
                         0};
    if (first.good && second.good)
        header = later(second.header, first.header) ? second.header : first.header;
    else if (first.good || second.good)
        header = first.good ? first.header : second.header;
    else
        return block.size() < segment_data_begin || all_zero(block) ? HeaderCondition::Blank
                                                                    : HeaderCondition::Damaged;
    return HeaderCondition::Good;
}

Result<HeaderCondition> read_segment_header(File& file, SegmentHeader& header) {
    Result<HeaderCondition> condition = HeaderCondition::Damaged;
    std::vector<std::string> seen;
    for (int i = 0; i < readings; i++) {
        auto block = read_range(file, 0, segment_data_begin);
        if (!block)
            return block.error();
        condition = decode_segment_header(*block, header);
        const bool whole = condition && *condition == HeaderCondition::Good &&
                           decode_copy(*block, 0).good && decode_copy(*block, second_copy).good;
        if (!condition || all_zero(*block) || whole ||
            std::find(seen.begin(), seen.end(), *block) != seen.end())
            break;
        seen.push_back(std::move(*block));
    }
    return condition;
}

std::string segment_path(uint16_t slot) {
    char name[32];
    std::snprintf(name, sizeof name, "segments/%08u", static_cast<unsigned>(slot));
    return name;
}

Result<std::string> read_range(File& file, uint64_t offset, uint64_t length) {
    std::string data(length, '\0');
    auto got = file.read_at(offset, std::span<char>(data.data(), data.size()));
    if (!got)
        return got.error();
    data.resize(*got);
    return data;
}

Result<SegmentContents> read_segment(File& file, const SegmentHeader& header) {
    SegmentContents contents;
    if (is_sealed(header.state) && from_index(file, header, contents))
        return contents;
    auto size = file.size();
    if (!size)
        return size.error();
    uint64_t end = *size;
    if (is_sealed(header.state))
        end = sealed_end(header);
    bool doubtful = false;
    std::string bytes;
    std::vector<uint32_t> seen; // checksums of earlier readings
    for (int i = 0; i < readings && (i == 0 || doubtful); i++) {
        auto data = read_range(file, 0, std::min(end, *size));
        if (!data)
            return data.error();
        bytes = std::move(*data);
        contents = scan(bytes, header, doubtful);
        const uint32_t checksum = crc32c(bytes);
        if (std::find(seen.begin(), seen.end(), checksum) != seen.end())
            break;
        seen.push_back(checksum);
    }
    note_cut_off(contents, bytes.size(), end);
    contents.bytes = std::move(bytes);
    return contents;
}

SegmentContents read_records(std::string bytes, const SegmentHeader& header,
                             const std::vector<DamagedRange>& unreadable) {
    bool doubtful = false;
    SegmentContents contents = scan(bytes, header, doubtful, unreadable);
    note_cut_off(contents, bytes.size(), sealed_end(header));
    contents.bytes = std::move(bytes);
    return contents;
}

} // namespace postern
