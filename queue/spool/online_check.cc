#include "queue/spool/online_check.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>

#include "common/base/crc32c.h"

namespace postern {

namespace {

constexpr uint64_t step_bytes = 8u << 20;
constexpr uint64_t run_bytes = 1u << 20; // read at a time
constexpr size_t lines_room = 64 << 10;  // bytes

std::string name_of(SpoolId id) {
    char text[24];
    std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(id));
    return text;
}

uint64_t end_of(const IndexEntry& entry) { return entry.offset + record_size(entry.length); }

} // namespace

OnlineCheck::OnlineCheck(FileSystem& files, SpoolState& state, MessageReader& reader)
    : files_(files), state_(state), reader_(reader) {
    std::lock_guard lock(state_.mutex);
    last_epoch_ = state_.last_epoch;
}

void OnlineCheck::damaged(const std::string& line) {
    totals_.damaged++;
    lines_.push_back(line);
}

SpoolCheckPiece OnlineCheck::step(const std::atomic<bool>& stop) {
    read_ = 0;
    while (!stop && phase_ != Phase::ended && lines_.empty() && read_ < step_bytes)
        go_on();
    SpoolCheckPiece piece;
    for (size_t room = lines_room; !lines_.empty(); lines_.pop_front()) {
        if (!piece.lines.empty() && lines_.front().size() > room)
            break;
        room -= std::min(room, lines_.front().size());
        piece.lines.push_back(std::move(lines_.front()));
    }
    piece.last = phase_ == Phase::ended && lines_.empty();
    piece.totals = totals_;
    return piece;
}

void OnlineCheck::go_on() {
    if (phase_ == Phase::segments)
        return file_ ? check_run() : next_segment();
    return file_ ? check_content() : next_content();
}

// -- Segments.

void OnlineCheck::next_segment() {
    std::optional<uint16_t> slot;
    {
        std::lock_guard lock(state_.mutex);
        slot = state_.segments.next_in_use(epoch_);
        if (slot)
            header_ = state_.segments.at(*slot).header;
    }
    if (!slot || header_.epoch > last_epoch_)
        return find_contents();
    epoch_ = header_.epoch;
    begin_segment(*slot);
}

bool OnlineCheck::still_in_use() const {
    std::lock_guard lock(state_.mutex);
    return state_.segments.epoch_in_use(epoch_);
}

void OnlineCheck::begin_segment(uint16_t slot) {
    slot_ = slot;
    entries_.clear();
    next_ = 0;
    good_ = 0;
    SegmentHeader header = header_;
    if (!is_sealed(header.state)) { // what has been written so far is complete
        header.state = SegmentState::Sealed;
        header.index_offset = 0;
        if (header.data_end < segment_data_begin)
            return; // the first record is just being written
    }
    auto file = files_.open(segment_path(slot), OpenMode::Read);
    if (file)
        (*file)->drop_cached(0, header.data_end);
    SegmentHeader on_disk;
    const auto condition =
        file ? read_segment_header(**file, on_disk) : Result<HeaderCondition>(file.error());
    if (condition && *condition != HeaderCondition::Good && still_in_use())
        damaged(segment_path(slot) +
                ": both copies of its header are damaged; the next start sets it aside");
    auto contents = file ? read_segment(**file, header) : Result<SegmentContents>(file.error());
    if (!still_in_use())
        return;
    if (!contents)
        return damaged(segment_path(slot) + ": cannot be read: " + contents.error().message);
    if (index_is_damaged(header, *contents))
        damaged(segment_path(slot) + " at " + std::to_string(header.index_offset) +
                ": the index is damaged; nothing is lost, since the records say the same");
    file_ = std::move(*file);
    read_ += contents->indexed ? header.data_end - header.index_offset : contents->bytes.size();
    if (contents->indexed)
        entries_ = std::move(contents->entries);
    else
        take_scanned(*contents);
}

// The records were read already, since there is no index that can be read.
void OnlineCheck::take_scanned(const SegmentContents& contents) {
    for (const IndexEntry& entry : contents.entries)
        count(entry);
    for (const DamagedRange& range : contents.damaged) {
        if (!range.was_durable)
            continue; // nobody had been answered for it
        const std::string where = segment_path(slot_) + ": bytes " + std::to_string(range.begin) +
                                  " to " + std::to_string(range.end) + " are damaged";
        std::vector<IndexEntry> lost;
        {
            std::lock_guard lock(state_.mutex);
            state_.table.for_each([&](const TableEntry& entry) {
                for (const auto& [place, type] : {std::pair(entry.message, RecordType::Message),
                                                  std::pair(entry.progress, RecordType::Progress)})
                    if (place.slot == slot_ && place.offset >= range.begin &&
                        place.offset < range.end)
                        lost.push_back({entry.id, place.offset, place.length, type, 0, 0});
            });
        }
        damaged(where + (lost.empty() ? "; nothing that is still needed is lost" : ""));
        for (const IndexEntry& entry : lost)
            lines_.push_back(segment_path(slot_) + " at " + std::to_string(entry.offset) + ": " +
                             lost_with(entry));
    }
}

void OnlineCheck::count(const IndexEntry& entry) {
    good_++;
    totals_.records++;
    if (entry.type != RecordType::Message || (entry.flags & record_flag_content_file) != 0)
        return;
    std::lock_guard lock(state_.mutex);
    TableEntry known;
    totals_.messages += state_.table.find(entry.id, &known) && known.message.slot == slot_ &&
                        known.message.offset == entry.offset;
}

bool OnlineCheck::is_good(std::string_view data, const IndexEntry& entry) const {
    Record record;
    return decode_record(data, header_.stamp, record) == Decoded::Ok &&
           record.header.id == entry.id && record.header.type == entry.type;
}

std::string OnlineCheck::lost_with(const IndexEntry& entry) const {
    std::lock_guard lock(state_.mutex);
    TableEntry known;
    const bool lives = state_.table.find(entry.id, &known);
    const auto is_here = [&](const RecordLocation& place) {
        return lives && place.slot == slot_ && place.offset == entry.offset;
    };
    if (entry.type == RecordType::Message && is_here(known.message))
        return "message " + name_of(entry.id) + " is lost";
    if (entry.type == RecordType::Progress && is_here(known.progress))
        return "what happened to message " + name_of(entry.id) +
               " is lost; recipients already served may be served again after a restart";
    if (entry.type == RecordType::Removed && state_.segments.epoch_in_use(entry.target_epoch))
        return "message " + name_of(entry.id) + ", which was removed, may come back at a restart";
    return "nothing that is still needed is lost";
}

void OnlineCheck::check_entry(std::string_view data, const IndexEntry& entry) {
    if (is_good(data, entry))
        return count(entry);
    // It may have been damaged on its way here only.
    file_->drop_cached(entry.offset, record_size(entry.length));
    auto again = read_range(*file_, entry.offset, record_size(entry.length));
    if (again && is_good(*again, entry))
        return count(entry);
    if (still_in_use())
        damaged(segment_path(slot_) + " at " + std::to_string(entry.offset) +
                (again ? ": a record is damaged; "
                       : ": a record cannot be read: " + again.error().message + "; ") +
                lost_with(entry));
}

// The next of its records, as many as are read at a time.
void OnlineCheck::check_run() {
    if (next_ == entries_.size())
        return end_segment();
    const uint64_t begin = entries_[next_].offset;
    size_t behind = next_ + 1;
    while (behind < entries_.size() && entries_[behind].offset >= begin &&
           end_of(entries_[behind]) - begin <= run_bytes)
        ++behind;
    const uint64_t length = end_of(entries_[behind - 1]) - begin;
    file_->drop_cached(begin, length);
    auto data = read_range(*file_, begin, length);
    const std::string_view bytes = data ? std::string_view(*data) : std::string_view();
    for (; next_ < behind; ++next_)
        check_entry(bytes.substr(std::min<uint64_t>(entries_[next_].offset - begin, bytes.size())),
                    entries_[next_]);
    read_ += length;
}

void OnlineCheck::end_segment() {
    file_.reset();
    if (!still_in_use())
        return;
    totals_.segments++;
    lines_.push_back(segment_path(slot_) + ": " +
                     (is_sealed(header_.state) ? "sealed" : "not sealed") + ", " +
                     std::to_string(good_) + " records verified");
}

// -- Content that has a file of its own.

void OnlineCheck::find_contents() {
    phase_ = Phase::contents;
    {
        std::lock_guard lock(state_.mutex);
        totals_.spares = state_.segments.spare_count();
        state_.table.for_each([this](const TableEntry& entry) {
            if (entry.content_in_file)
                with_file_.push_back(entry.id);
        });
    }
    std::sort(with_file_.begin(), with_file_.end(), std::greater<>());
}

void OnlineCheck::next_content() {
    if (with_file_.empty())
        return end();
    content_ = with_file_.back();
    with_file_.pop_back();
    read_ += 4096; // a file costs something, however small
    auto content = reader_.open_content(content_);
    auto file = content ? files_.open(content_path(content_), OpenMode::Read)
                        : Result<std::unique_ptr<File>>(content.error());
    if (!file)
        return damaged_content(file.error());
    file_ = std::move(*file);
    length_ = content->length;
    expected_ = content->crc32c;
    position_ = 0;
    checksum_ = 0;
    again_ = false;
}

void OnlineCheck::check_content() {
    file_->drop_cached(position_, run_bytes);
    auto data = read_range(*file_, position_, run_bytes);
    if (!data) {
        file_.reset();
        return damaged_content(data.error());
    }
    checksum_ = crc32c(*data, checksum_);
    position_ += data->size();
    read_ += data->size();
    if (data->size() < run_bytes)
        end_content();
}

void OnlineCheck::end_content() {
    const bool good = position_ == length_ && checksum_ == expected_;
    if (!good && !again_) {
        again_ = true;
        position_ = 0;
        checksum_ = 0;
        return;
    }
    file_.reset();
    totals_.messages += good;
    if (!good)
        damaged_content({"its checksum is wrong", EBADMSG});
}

// Unless the message has been removed in the meantime, and the file with it.
void OnlineCheck::damaged_content(const Error& error) {
    {
        std::lock_guard lock(state_.mutex);
        if (!state_.table.find(content_, nullptr))
            return;
    }
    const bool lost = error.code == EBADMSG || error.code == ENOENT;
    damaged(content_path(content_) + ": the content of message " + name_of(content_) +
            (lost ? " is lost: " : " cannot be read: ") + error.message);
}

void OnlineCheck::end() {
    phase_ = Phase::ended;
    if (auto aside = files_.list("corrupt"))
        totals_.set_aside = aside->size();
    lines_.push_back(summary(totals_));
}

} // namespace postern
