// Recovery: read all headers, then apply the segments' records in the order in which the segments
// were put to use.
#include "queue/spool/recovery.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>

namespace postern {

namespace {

// What is done at a time, in a millisecond or so: whoever submits mail meanwhile waits for it.
constexpr size_t entries_per_step = 8192;
constexpr size_t moves_per_step = 64; // of content files
// So often a segment may be refused with EIO, over half a minute, before what is in the way of the
// rest is given up.
constexpr unsigned refusals_borne = 5;

// The slot in a segment file's name; no_slot if it is none.
uint16_t slot_of(const std::string& name) {
    if (name.size() != 8 || name.find_first_not_of("0123456789") != std::string::npos)
        return no_slot;
    unsigned long slot = std::stoul(name);
    return slot < no_slot ? static_cast<uint16_t>(slot) : no_slot;
}

Error in_segment(uint16_t slot, const Error& error) {
    return {segment_path(slot) + ": " + error.message, error.code};
}

} // namespace

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

Result<Recovery::Header> Recovery::read_header(uint16_t slot) {
    auto file = segment_files_.get(slot);
    if (!file)
        return file.error();
    auto size = (*file)->size();
    if (!size)
        return size.error();
    Header found;
    found.slot = slot;
    found.file_size = *size;
    auto condition = read_segment_header(**file, found.header);
    if (!condition)
        return in_segment(slot, condition.error());
    found.condition = *condition;
    return found;
}

// If it was the process that died and not the machine, the header may be in the page cache only,
// and the disk may have another one. It is made durable before anything is built on it. For the
// segments that have an index this can wait until it is read.
Result<void> Recovery::take_up(const Header& found) {
    if (found.condition == HeaderCondition::Damaged) {
        segment_files_.forget(found.slot);
        return quarantine_.take_segment(found.slot);
    }
    SegmentUse& use = state_.segments.add_file(found.slot, found.file_size);
    if (found.condition == HeaderCondition::Blank)
        return {};
    const SegmentHeader& header = found.header;
    use.header.epoch = header.epoch;
    state_.last_epoch = std::max(state_.last_epoch, header.epoch);
    state_.highest_id = std::max(state_.highest_id, header.highest_id);
    if (header.state == SegmentState::Free)
        return confirm_free(found.slot, header);
    state_.segments.begin_use(found.slot, header);
    replay_.add_segment(found.slot, header.epoch);
    Segment& segment = segments_.emplace_back();
    segment.slot = found.slot;
    segment.header = header;
    // A failed write was cut off there, which somebody was told of.
    if (is_sealed(header.state) && header.index_offset == 0)
        return confirm_sealed(segment);
    return {};
}

// Nothing is written before all headers have been understood.
Result<void> Recovery::find_segments() {
    auto names = files_.list("segments");
    if (!names)
        return names.error();
    std::sort(names->begin(), names->end());
    std::vector<Header> headers;
    for (const std::string& name : *names) {
        const uint16_t slot = slot_of(name);
        if (slot == no_slot)
            continue;
        auto header = read_header(slot);
        if (!header)
            return header.error();
        headers.push_back(*header);
    }
    for (const Header& header : headers)
        if (auto taken = take_up(header); !taken)
            return taken;
    std::sort(segments_.begin(), segments_.end(),
              [](const Segment& a, const Segment& b) { return a.header.epoch < b.header.epoch; });
    return {};
}

// Their ids have been handed out, and no record may say so.
Result<void> Recovery::find_contents() {
    auto names = files_.list("content");
    if (!names)
        return names.error();
    for (const std::string& name : *names) {
        const SpoolId id = content_id(name);
        if (id == 0)
            orphans_.push_back("content/" + name);
        else
            contents_.push_back(id);
        state_.highest_id = std::max(state_.highest_id, id);
    }
    return {};
}

Result<void> Recovery::begin() {
    if (auto made = make_directories(); !made)
        return made;
    if (auto recalled = quarantine_.recall(); !recalled)
        return recalled;
    if (auto found = find_segments(); !found)
        return found;
    if (auto found = find_contents(); !found)
        return found;
    for (Segment& segment : segments_)
        if (segment.header.state == SegmentState::Active)
            if (auto closed = close_active(segment); !closed)
                return closed;
    return {};
}

Result<void> Recovery::handle_damage(const Segment& segment, const SegmentContents& contents) {
    for (const DamagedRange& range : contents.damaged)
        if (auto taken =
                quarantine_.take_range(segment.slot, segment.header, range, contents.bytes);
            !taken)
            return taken;
    return {};
}

Result<SegmentContents> Recovery::read_contents(const Segment& segment) {
    auto file = segment_files_.get(segment.slot);
    if (!file)
        return file.error();
    auto contents = read_segment(**file, segment.header);
    if (!contents)
        return in_segment(segment.slot, contents.error());
    if (auto handled = handle_damage(segment, *contents); !handled)
        return handled.error();
    return contents;
}

// Writing goes on elsewhere, and what was found is served from now on.
Result<void> Recovery::close_active(Segment& segment) {
    auto contents = read_contents(segment);
    if (!contents)
        return contents.error();
    for (const IndexEntry& entry : contents->entries)
        state_.highest_id = std::max(state_.highest_id, entry.id);
    if (contents->entries.empty()) {
        state_.segments.end_use(segment.slot);
        replay_.remove_segment(segment.slot);
        segment.read = true;
        return confirm_free(segment.slot, segment.header);
    }
    if (auto written = write_index(segment, *contents); !written)
        return written;
    segment.entries = std::move(contents->entries);
    segment.read = true;
    return {};
}

Result<void> Recovery::write_index(const Segment& segment, const SegmentContents& contents) {
    auto file = segment_files_.get(segment.slot);
    if (!file)
        return file.error();
    // What was found may be in the page cache only, if it was the process that died and not the
    // machine; and after a sync that failed the cache believes that it is on disk. So it is written
    // once more: as it was checked, not as another reading has it.
    const std::string_view records =
        std::string_view(contents.bytes)
            .substr(segment_data_begin, contents.end - segment_data_begin);
    std::vector<std::string_view> pieces{records};
    if (auto confirmed = (*file)->write_at(segment_data_begin, pieces, true); !confirmed)
        return confirmed;
    SegmentUse& use = state_.segments.at(segment.slot);
    SegmentHeader header = segment.header;
    header.state = SegmentState::Recovered;
    header.highest_id = state_.highest_id;
    header.data_end = contents.end;
    std::string index;
    append_record(index, RecordType::Index, 0, 0, {encode_index(contents.entries)});
    // No durable end: should this start be cut short, a hole in the last write is still no damage.
    finish_record(index.data(), header.stamp, 0);
    pieces = {index};
    if ((*file)->write_at(contents.end, pieces,
                          true)) { // a full disk does not keep us from serving
        header.index_offset = contents.end;
        header.data_end = contents.end + index.size();
        state_.segments.set_file_size(segment.slot, std::max(use.file_size, header.data_end));
    }
    if (auto written = write_header(segment.slot, header); !written)
        return written;
    use.header = header;
    return {};
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

// -- What is done while mail is taken.

Result<void> Recovery::confirm_sealed(Segment& segment) {
    if (segment.confirmed)
        return {};
    if (auto written = write_header(segment.slot, segment.header); !written)
        return in_segment(segment.slot, written.error());
    segment.confirmed = true;
    return {};
}

Result<void> Recovery::read_sealed(Segment& segment) {
    if (auto confirmed = confirm_sealed(segment); !confirmed)
        return confirmed;
    if (segment.refusals >= refusals_borne)
        return salvage(segment);
    auto contents = read_contents(segment);
    if (!contents) {
        segment.refusals += contents.error().code == EIO;
        return contents.error();
    }
    segment.entries = std::move(contents->entries);
    segment.read = true;
    return {};
}

Result<void> Recovery::salvage(Segment& segment) {
    if (!salvage_) {
        auto file = segment_files_.get(segment.slot);
        if (!file)
            return file.error();
        salvage_.emplace(*file, segment.header);
    }
    auto complete = salvage_->step();
    if (!complete)
        return in_segment(segment.slot, complete.error());
    if (!*complete)
        return {};
    if (auto handled = handle_damage(segment, salvage_->contents()); !handled)
        return handled;
    if (salvage_->unreadable() > 0)
        state_.report(SpoolEvent::Kind::DiskFailed,
                      segment_path(segment.slot) + ": " + std::to_string(salvage_->unreadable()) +
                          " bytes cannot be read, the rest is served");
    segment.entries = salvage_->contents().entries;
    segment.read = true;
    salvage_.reset();
    return {};
}

void Recovery::apply_some(Segment& segment) {
    const size_t end = std::min(entry_ + entries_per_step, segment.entries.size());
    while (entry_ < end)
        replay_.apply(segment.slot, segment.entries[entry_++]);
    if (entry_ < segment.entries.size())
        return;
    segment.entries = {};
    entry_ = 0;
    ++segment_;
}

// False when all have been looked at.
Result<bool> Recovery::find_orphans() {
    size_t moved = 0;
    for (size_t i = 0; i < entries_per_step && content_ < contents_.size(); i++, content_++) {
        const SpoolId id = contents_[content_];
        if (replay_.has_content_file(id))
            continue;
        if (!quarantine_.damage_found()) {
            orphans_.push_back(content_path(id));
            continue;
        }
        if (moved++ == moves_per_step)
            return true;
        if (auto taken = quarantine_.take_content(id); !taken)
            return taken.error();
    }
    return content_ < contents_.size();
}

Result<bool> Recovery::step() {
    if (segment_ < segments_.size()) {
        Segment& segment = segments_[segment_];
        if (!segment.read)
            if (auto read = read_sealed(segment); !read)
                return read.error();
        if (segment.read)
            apply_some(segment);
        return true;
    }
    if (!summed_up_) {
        summed_up_ = !replay_.sum_up(state_.segments.slots());
        return true;
    }
    auto more = find_orphans();
    if (!more)
        return more.error();
    if (*more)
        return true;
    if (auto finished = quarantine_.finish(); !finished)
        return finished.error();
    replay_.hand_over(state_);
    return false;
}

} // namespace postern
