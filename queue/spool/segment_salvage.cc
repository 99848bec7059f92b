// In stretches, and where one of them is refused, block by block.
#include "queue/spool/segment_salvage.h"

#include <algorithm>
#include <cerrno>

namespace postern {

namespace {

constexpr uint64_t stretch = 256u << 10; // bytes
constexpr uint64_t block = 4096;

} // namespace

Result<bool> SegmentSalvage::step() {
    if (complete_)
        return true;
    auto size = file_->size();
    if (!size)
        return size.error();
    const uint64_t end = std::min(sealed_end(header_), *size);
    const uint64_t step_end = std::min<uint64_t>(bytes_.size() + stretch, end);
    while (bytes_.size() < step_end) {
        const uint64_t at = bytes_.size();
        const uint64_t length =
            at < by_block_end_ ? std::min(block, end - at) : std::min(stretch, end - at);
        auto data = read_range(*file_, at, length);
        if (!data && data.error().code != EIO)
            return data.error();
        if (data && data->size() < length)
            return Error{"it becomes shorter while it is read", EIO};
        if (data) {
            bytes_ += *data;
            continue;
        }
        if (at >= by_block_end_ && length > block) {
            by_block_end_ = at + length;
        } else {
            bytes_.resize(at + length, '\0');
            if (!unreadable_.empty() && unreadable_.back().end == at)
                unreadable_.back().end = at + length;
            else
                unreadable_.push_back({at, at + length, true});
        }
        break; // it may have taken long
    }
    if (bytes_.size() < end)
        return false;
    contents_ = read_records(std::move(bytes_), header_, unreadable_);
    complete_ = true;
    return true;
}

uint64_t SegmentSalvage::unreadable() const {
    uint64_t bytes = 0;
    for (const DamagedRange& range : unreadable_)
        bytes += range.end - range.begin;
    return bytes;
}

} // namespace postern
