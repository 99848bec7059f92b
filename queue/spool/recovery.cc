// Recovery: read all headers, then apply the segments' records in the order in which the segments
// were put to use. Later records win: a message copied forward lies in two segments for a while.
#include "queue/spool/recovery.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <utility>

namespace postern {

namespace {

class Recovery {
  public:
    Recovery(FileSystem& files, SegmentFiles& segment_files, SpoolState& state)
        : files_(files), segment_files_(segment_files), state_(state) {}

    Result<Recovered> run();

  private:
    Result<void> make_directories();
    Result<void> find_segments();
    Result<void> read_header(uint16_t slot);
    Result<void> set_segment_aside(uint16_t slot);
    Result<void> read_one(uint16_t slot);
    Result<void> confirm_records(File& file, std::string_view records);
    Result<void> close_one(uint16_t slot, const SegmentContents& contents);
    Result<void> confirm_free(uint16_t slot, SegmentHeader header);
    Result<void> write_header(uint16_t slot, const SegmentHeader& header);
    Result<void> handle_damage(uint16_t slot, std::string_view bytes, const DamagedRange& range);
    void apply(uint16_t slot, const IndexEntry& entry);
    void apply_message(uint16_t slot, const IndexEntry& entry);
    void count_live();
    Result<std::vector<std::string>> find_orphans();

    FileSystem& files_;
    SegmentFiles& segment_files_;
    SpoolState& state_;
    std::vector<std::pair<uint64_t, uint16_t>> in_use_; // epoch, slot
    std::vector<std::pair<uint16_t, uint64_t>> pins_;   // slot, epoch
    std::vector<std::pair<uint16_t, uint64_t>> copies_; // slot, epoch copied from
    bool damaged_ = false;
};

// The slot in a segment file's name; no_slot if it is none.
uint16_t slot_of(const std::string& name) {
    if (name.size() != 8 || name.find_first_not_of("0123456789") != std::string::npos)
        return no_slot;
    unsigned long slot = std::stoul(name);
    return slot < no_slot ? static_cast<uint16_t>(slot) : no_slot;
}

Result<void> Recovery::make_directories() {
    for (const char* directory : {"segments", "content", "corrupt"})
        if (auto made = files_.make_directory(directory); !made)
            return made;
    // The names, too, may be in the page cache only.
    for (const char* directory : {"", "segments", "content", "corrupt"})
        if (auto synced = files_.sync_directory(directory); !synced)
            return synced;
    return {};
}

Result<void> Recovery::set_segment_aside(uint16_t slot) {
    damaged_ = true;
    std::string path = segment_path(slot);
    std::string target = "corrupt/segment-" + path.substr(path.find('/') + 1);
    // A name that is not taken: what was set aside before is not overwritten.
    auto names = files_.list("corrupt");
    if (!names)
        return names.error();
    std::string base = target;
    for (int i = 2; std::find(names->begin(), names->end(), target.substr(8)) != names->end(); i++)
        target = base + "." + std::to_string(i);
    state_.events.push_back({SpoolEvent::Kind::Damaged,
                             path + ": unreadable header; the segment is set aside as " + target});
    if (auto renamed = files_.rename(path, target); !renamed)
        return renamed;
    if (auto synced = files_.sync_directory("corrupt"); !synced)
        return synced;
    return files_.sync_directory("segments");
}

Result<void> Recovery::read_header(uint16_t slot) {
    auto file = segment_files_.get(slot);
    if (!file)
        return file.error();
    auto size = (*file)->size();
    if (!size)
        return size.error();
    SegmentHeader header;
    auto condition = read_segment_header(**file, header);
    if (!condition)
        return Error{segment_path(slot) + ": " + condition.error().message, condition.error().code};
    if (*condition == HeaderCondition::Damaged) {
        segment_files_.forget(slot);
        return set_segment_aside(slot);
    }
    SegmentUse& segment = state_.segments.add_file(slot, *size);
    if (*condition == HeaderCondition::Blank)
        return {};
    segment.header.epoch = header.epoch;
    state_.last_epoch = std::max(state_.last_epoch, header.epoch);
    state_.highest_id = std::max(state_.highest_id, header.highest_id);
    // If it was the process that died and not the machine, the header may be in the page cache
    // only, and the disk may have another one. It is made durable before anything is built on it.
    if (header.state == SegmentState::Free)
        return confirm_free(slot, header);
    state_.segments.begin_use(slot, header);
    in_use_.emplace_back(header.epoch, slot);
    return is_sealed(header.state) ? write_header(slot, header) : Result<void>();
}

Result<void> Recovery::find_segments() {
    auto names = files_.list("segments");
    if (!names)
        return names.error();
    std::sort(names->begin(), names->end());
    for (const std::string& name : *names)
        if (uint16_t slot = slot_of(name); slot != no_slot)
            if (auto read = read_header(slot); !read)
                return read;
    std::sort(in_use_.begin(), in_use_.end());
    return {};
}

// `bytes`: of the segment.
Result<void> Recovery::handle_damage(uint16_t slot, std::string_view bytes,
                                     const DamagedRange& range) {
    std::string where = segment_path(slot) + ": bytes " + std::to_string(range.begin) + " to " +
                        std::to_string(range.end);
    if (!range.was_durable) {
        state_.events.push_back({SpoolEvent::Kind::TornTail,
                                 where + ": cut off by a crash before it was answered for"});
        return {};
    }
    damaged_ = true;
    std::string name = "epoch-" + std::to_string(state_.segments.at(slot).header.epoch) + "-" +
                       std::to_string(range.begin);
    state_.events.push_back(
        {SpoolEvent::Kind::Damaged, where + ": damaged; set aside as corrupt/" + name});
    return set_aside(files_, name, bytes.substr(range.begin, range.end - range.begin));
}

void Recovery::apply_message(uint16_t slot, const IndexEntry& entry) {
    TableEntry known;
    if (state_.table.find(entry.id, &known) && known.message.exists())
        copies_.emplace_back(slot, state_.segments.at(known.message.slot).header.epoch);
    known.id = entry.id;
    known.message = {slot, entry.offset, entry.length};
    known.content_in_file = (entry.flags & record_flag_content_file) != 0;
    state_.table.put(known);
}

void Recovery::apply(uint16_t slot, const IndexEntry& entry) {
    if (entry.id == 0)
        return;
    state_.highest_id = std::max(state_.highest_id, entry.id);
    switch (entry.type) {
    case RecordType::Message:
        apply_message(slot, entry);
        break;
    case RecordType::Progress: {
        // Its Message may have been copied to a later segment; then the entry is completed there.
        TableEntry known;
        state_.table.find(entry.id, &known);
        known.id = entry.id;
        known.progress = {slot, entry.offset, entry.length};
        state_.table.put(known);
        break;
    }
    case RecordType::Removed:
        state_.table.erase(entry.id);
        pins_.emplace_back(slot, entry.target_epoch);
        break;
    case RecordType::Index:
        break;
    }
}

// What was found may be in the page cache only, if it was the process that died and not the
// machine; and after a sync that failed the cache believes that it is on disk. So it is written
// once more: as it was checked, not as another reading has it.
Result<void> Recovery::confirm_records(File& file, std::string_view records) {
    std::vector<std::string_view> pieces{records};
    return file.write_at(segment_data_begin, pieces, true);
}

// Writing goes on elsewhere, and what was found is served from now on.
Result<void> Recovery::close_one(uint16_t slot, const SegmentContents& contents) {
    auto file = segment_files_.get(slot);
    if (!file)
        return file.error();
    const std::string_view records =
        std::string_view(contents.bytes).substr(segment_data_begin, contents.end - segment_data_begin);
    if (auto confirmed = confirm_records(**file, records); !confirmed)
        return confirmed;
    SegmentUse& segment = state_.segments.at(slot);
    SegmentHeader header = segment.header;
    header.state = SegmentState::Recovered;
    header.highest_id = state_.highest_id;
    header.data_end = contents.end;
    std::string index;
    append_record(index, RecordType::Index, 0, 0, {encode_index(contents.entries)});
    // No durable end: should this start be cut short, a hole in the last write is still no damage.
    finish_record(index.data(), header.stamp, 0);
    std::vector<std::string_view> pieces{index};
    if ((*file)->write_at(contents.end, pieces,
                          true)) { // a full disk does not keep us from serving
        header.index_offset = contents.end;
        header.data_end = contents.end + index.size();
        state_.segments.set_file_size(slot, std::max(segment.file_size, header.data_end));
    }
    if (auto written = write_header(slot, header); !written)
        return written;
    segment.header = header;
    return {};
}

Result<void> Recovery::read_one(uint16_t slot) {
    auto file = segment_files_.get(slot);
    if (!file)
        return file.error();
    const SegmentHeader header = state_.segments.at(slot).header;
    auto contents = read_segment(**file, header);
    if (!contents)
        return Error{segment_path(slot) + ": " + contents.error().message, contents.error().code};
    for (const DamagedRange& range : contents->damaged)
        if (auto handled = handle_damage(slot, contents->bytes, range); !handled)
            return handled;
    for (const IndexEntry& entry : contents->entries)
        apply(slot, entry);
    if (header.state != SegmentState::Active)
        return {};
    if (!contents->entries.empty())
        return close_one(slot, *contents);
    state_.segments.end_use(slot);
    return confirm_free(slot, header);
}

Result<void> Recovery::write_header(uint16_t slot, const SegmentHeader& header) {
    auto file = segment_files_.get(slot);
    if (!file)
        return file.error();
    std::string block = encode_segment_header(header);
    std::vector<std::string_view> pieces{block};
    return (*file)->write_at(0, pieces, true);
}

// Nothing in it counts: to be used again, or dropped if it is so short that even its header does
// not fit on a full disk.
Result<void> Recovery::confirm_free(uint16_t slot, SegmentHeader header) {
    header.state = SegmentState::Free;
    header.highest_id = std::max(header.highest_id, state_.highest_id);
    if (write_header(slot, header))
        return {};
    segment_files_.forget(slot);
    state_.segments.remove_file(slot);
    if (auto unlinked = files_.unlink(segment_path(slot)); !unlinked)
        return unlinked;
    return files_.sync_directory("segments");
}

void Recovery::count_live() {
    std::vector<uint64_t> incomplete;
    state_.table.for_each([&](const TableEntry& entry) {
        if (!entry.message.exists()) {
            incomplete.push_back(entry.id); // progress of a message long gone
            return;
        }
        state_.segments.add_live(entry.message.slot, entry.message.length);
        if (entry.progress.exists())
            state_.segments.add_live(entry.progress.slot, entry.progress.length);
    });
    for (uint64_t id : incomplete)
        state_.table.erase(id);
    for (const auto& [slot, epoch] : pins_)
        state_.segments.pin(slot, epoch);
    for (const auto& [slot, epoch] : copies_)
        state_.segments.copied(slot, epoch);
}

Result<std::vector<std::string>> Recovery::find_orphans() {
    auto names = files_.list("content");
    if (!names)
        return names.error();
    std::vector<std::string> orphans;
    for (const std::string& name : *names) {
        SpoolId id = content_id(name);
        state_.highest_id = std::max(state_.highest_id, id);
        TableEntry entry;
        if (id != 0 && state_.table.find(id, &entry) && entry.content_in_file)
            continue;
        std::string path = "content/" + name;
        if (!damaged_ || id == 0)
            orphans.push_back(path);
        else if (auto renamed = files_.rename(path, "corrupt/" + name + ".content"); !renamed)
            return renamed.error();
    }
    return orphans;
}

Result<Recovered> Recovery::run() {
    if (auto made = make_directories(); !made)
        return made.error();
    if (auto found = find_segments(); !found)
        return found.error();
    for (const auto& [epoch, slot] : in_use_)
        if (auto read = read_one(slot); !read)
            return read.error();
    count_live();
    auto orphans = find_orphans();
    if (!orphans)
        return orphans.error();
    Recovered recovered;
    recovered.orphans = std::move(*orphans);
    recovered.messages.reserve(state_.table.size());
    state_.table.for_each([&](const TableEntry& entry) { recovered.messages.push_back(entry.id); });
    std::sort(recovered.messages.begin(), recovered.messages.end());
    return recovered;
}

} // namespace

Result<Recovered> recover(FileSystem& files, SegmentFiles& segment_files, SpoolState& state) {
    return Recovery(files, segment_files, state).run();
}

} // namespace postern
