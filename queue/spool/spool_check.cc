// The log is read as recovery reads it, in the order of the segments' epochs, but all of it, and
// nothing is written.
#include "queue/spool/spool_check.h"

#include <algorithm>
#include <cerrno>
#include <map>
#include <vector>

#include "common/base/crc32c.h"
#include "queue/spool/segment.h"
#include "queue/spool/spool_state.h"

namespace postern {

namespace {

class SpoolCheck {
  public:
    SpoolCheck(FileSystem& files, const std::function<void(const std::string&)>& line)
        : files_(files), line_(line) {}

    Result<SpoolCheckResult> run();

  private:
    struct Segment {
        std::string name;
        SegmentHeader header;
    };
    struct Live {
        bool good = false;         // its record is
        bool content_file = false; // and it says that the content has a file
        MessagePrefix prefix;
    };

    void damaged(const std::string& what) {
        result_.damaged++;
        line_(what);
    }
    Result<void> find_segments();
    Result<void> check_segment(const Segment& segment);
    bool check_record(const std::string& path, std::string_view data, const SegmentHeader& header,
                      const IndexEntry& entry);
    Result<void> check_contents();
    Result<bool> content_is_good(const std::string& path, const MessagePrefix& prefix);

    FileSystem& files_;
    const std::function<void(const std::string&)>& line_;
    SpoolCheckResult result_;
    std::vector<Segment> segments_; // in use
    std::map<SpoolId, Live> live_;
};

Result<void> SpoolCheck::find_segments() {
    auto names = files_.list("segments");
    if (!names)
        return names.error();
    std::sort(names->begin(), names->end());
    for (const std::string& name : *names) {
        const std::string path = "segments/" + name;
        auto file = files_.open(path, OpenMode::Read);
        if (!file)
            return file.error();
        Segment segment{path, {}};
        auto condition = read_segment_header(**file, segment.header);
        if (!condition)
            return Error{path + ": " + condition.error().message, condition.error().code};
        if (*condition == HeaderCondition::Damaged)
            damaged(path + ": the header is damaged");
        else if (*condition == HeaderCondition::Blank || segment.header.state == SegmentState::Free)
            result_.spares++;
        else
            segments_.push_back(segment);
    }
    std::sort(segments_.begin(), segments_.end(),
              [](const Segment& a, const Segment& b) { return a.header.epoch < b.header.epoch; });
    return {};
}

bool SpoolCheck::check_record(const std::string& path, std::string_view data,
                              const SegmentHeader& header, const IndexEntry& entry) {
    Record record;
    const bool good =
        entry.offset <= data.size() &&
        decode_record(data.substr(entry.offset), header.stamp, record) == Decoded::Ok &&
        record.header.id == entry.id && record.header.type == entry.type;
    result_.records += good;
    if (!good)
        damaged(path + " at " + std::to_string(entry.offset) + ": a record is damaged");
    if (entry.type == RecordType::Removed)
        live_.erase(entry.id);
    if (entry.type != RecordType::Message)
        return good;
    Live live;
    auto prefix =
        good ? decode_message_prefix(record.payload, record.header.flags, record.header.length)
             : std::nullopt;
    if (prefix) {
        live.prefix = *prefix;
        live.content_file = (entry.flags & record_flag_content_file) != 0;
        live.good = message_envelope(record.payload, *prefix).has_value();
    }
    live_[entry.id] = live;
    return good;
}

Result<void> SpoolCheck::check_segment(const Segment& segment) {
    auto file = files_.open(segment.name, OpenMode::Read);
    if (!file)
        return file.error();
    auto contents = read_segment(**file, segment.header);
    if (!contents)
        return contents.error();
    std::string bytes = std::move(contents->bytes);
    if (contents->indexed) {
        auto data = read_range(**file, 0, contents->end);
        if (!data)
            return data.error();
        bytes = std::move(*data);
    }
    if (index_is_damaged(segment.header, *contents))
        damaged(segment.name + " at " + std::to_string(segment.header.index_offset) +
                ": the index is damaged; nothing is lost, since the records say the same");
    uint64_t good = 0;
    for (const IndexEntry& entry : contents->entries)
        good += check_record(segment.name, bytes, segment.header, entry);
    for (const DamagedRange& range : contents->damaged) {
        const std::string where = segment.name + ": bytes " + std::to_string(range.begin) + " to " +
                                  std::to_string(range.end);
        if (range.was_durable)
            damaged(where + " are damaged");
        else
            line_(where + " were cut off by a crash; nobody had been answered for them");
    }
    result_.segments++;
    line_(segment.name + ": " + (is_sealed(segment.header.state) ? "sealed" : "not sealed") + ", " +
          std::to_string(good) + " of " + std::to_string(contents->entries.size()) +
          " records verified");
    return {};
}

Result<bool> SpoolCheck::content_is_good(const std::string& path, const MessagePrefix& prefix) {
    constexpr uint64_t piece = 1u << 20;
    auto file = files_.open(path, OpenMode::Read);
    if (!file && file.error().code == ENOENT)
        return false;
    if (!file)
        return file.error();
    uint64_t position = 0;
    uint32_t checksum = 0;
    while (true) {
        auto data = read_range(**file, position, piece);
        if (!data)
            return data.error();
        checksum = crc32c(*data, checksum);
        position += data->size();
        if (data->size() < piece)
            return position == prefix.content_length && checksum == prefix.content_crc;
    }
}

Result<void> SpoolCheck::check_contents() {
    for (const auto& [id, live] : live_) {
        if (!live.good)
            continue; // said already
        const std::string path = content_path(id);
        auto good = live.content_file ? content_is_good(path, live.prefix) : Result<bool>(true);
        if (!good)
            return good.error();
        result_.messages += *good;
        if (!*good)
            damaged(path + ": the content of a message is damaged or missing");
    }
    auto names = files_.list("content");
    if (!names)
        return names.error();
    for (const std::string& name : *names) {
        auto found = live_.find(content_id(name));
        if (found != live_.end() && (found->second.content_file || !found->second.good))
            continue;
        result_.orphans++;
        line_("content/" + name + ": belongs to no message; removed at the next start");
    }
    return {};
}

Result<SpoolCheckResult> SpoolCheck::run() {
    if (auto found = find_segments(); !found)
        return found.error();
    for (const Segment& segment : segments_)
        if (auto checked = check_segment(segment); !checked)
            return Error{segment.name + ": " + checked.error().message, checked.error().code};
    if (auto checked = check_contents(); !checked)
        return checked.error();
    auto aside = files_.list("corrupt");
    if (!aside && aside.error().code != ENOENT)
        return aside.error();
    result_.set_aside = aside ? aside->size() : 0;
    return result_;
}

} // namespace

std::string summary(const SpoolCheckResult& result) {
    const std::pair<uint64_t, const char*> counts[] = {
        {result.segments, " segments, "},        {result.spares, " spare, "},
        {result.records, " records and "},       {result.messages, " messages verified, "},
        {result.damaged, " damaged, "},          {result.orphans, " orphans, "},
        {result.set_aside, " set aside earlier"}};
    std::string line;
    for (const auto& [count, what] : counts)
        line += std::to_string(count) + what;
    return line;
}

Result<SpoolCheckResult> check_spool(FileSystem& files,
                                     const std::function<void(const std::string&)>& line) {
    if (auto segments = files.list("segments"); !segments)
        return segments.error();
    // It is not made here: it would belong to whoever checks, and the queue could not open it. A
    // spool without one is one that no queue has opened.
    auto lock = files.lock("lock", LockMode::ExistingFile);
    if (!lock && lock.error().code == EWOULDBLOCK)
        return Error{"the spool is in use by a running queue", EWOULDBLOCK};
    if (!lock && lock.error().code != ENOENT)
        return lock.error();
    return SpoolCheck(files, line).run();
}

} // namespace postern
