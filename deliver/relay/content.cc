// See content.h.
#include "deliver/relay/content.h"

#include <algorithm>

#include "common/base/utf8.h"

namespace postern::relay {

namespace {

constexpr size_t piece_size = 64 * 1024;

} // namespace

Result<std::string_view> MemoryContent::read() {
    const std::string_view piece = std::string_view(bytes_).substr(position_, piece_size);
    position_ += piece.size();
    return piece;
}

Result<std::string_view> FileContent::read() {
    const auto wanted = static_cast<size_t>(std::min<uint64_t>(piece_size, length_ - position_));
    buffer_.resize(wanted);
    if (wanted == 0) {
        std::string().swap(buffer_); // not kept while a next hop takes its time to answer
        return std::string_view();
    }
    ssize_t got = -1;
    do
        got = ::pread(file_.get(), buffer_.data(), wanted, static_cast<off_t>(offset_ + position_));
    while (got < 0 && errno == EINTR);
    if (got < 0)
        return system_error("read the content");
    if (got == 0)
        return Error{"the content is shorter than it should be"};
    position_ += static_cast<uint64_t>(got);
    return std::string_view(buffer_).substr(0, static_cast<size_t>(got));
}

bool is_eight_bit(ContentSource& content, uint64_t length) {
    content.rewind();
    while (length > 0) {
        const Result<std::string_view> piece = content.read();
        if (!piece || piece->empty())
            return false;
        const std::string_view part = piece->substr(0, std::min<uint64_t>(length, piece->size()));
        if (!is_ascii(part))
            return true;
        length -= part.size();
    }
    return false;
}

} // namespace postern::relay
