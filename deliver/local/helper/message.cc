#include "deliver/local/helper/message.h"

#include <cerrno>
#include <unistd.h>
#include <utility>

namespace postern {

namespace {

constexpr size_t chunk_size = 128 * 1024;

} // namespace

MessageText::MessageText(const LocalMessage& message)
    : fd_(message.content), offset_(::lseek(fd_, 0, SEEK_CUR)),
      header_("Return-Path: <" + in_one_line(message.reverse_path) +
              ">\nDelivered-To: " + in_one_line(message.recipient) + "\n"),
      chunk_(chunk_size) {}

// Reads a file without moving its offset, which others may share; a pipe as it comes.
Result<std::string_view> MessageText::read() {
    for (;;) {
        const ssize_t got = offset_ < 0 ? ::read(fd_, chunk_.data(), chunk_.size())
                                        : ::pread(fd_, chunk_.data(), chunk_.size(), offset_);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return system_error("read the message");
        offset_ += offset_ < 0 ? 0 : got;
        return std::string_view(chunk_.data(), static_cast<size_t>(got));
    }
}

Result<std::string> MessageText::next() {
    std::string out = std::exchange(header_, {});
    // A piece can be a CR alone, which is held back.
    while (!ended_ && out.empty()) {
        Result<std::string_view> piece = read();
        if (!piece)
            return piece.error();
        ended_ = piece->empty();
        if (ended_)
            line_ends_.finish(out);
        else
            line_ends_.convert(*piece, out);
    }
    return out;
}

void LineEnds::convert(std::string_view piece, std::string& out) {
    while (!piece.empty()) {
        if (held_) {
            held_ = false;
            if (piece.front() != '\n') {
                out += '\r';
                at_line_start_ = false;
            }
        }
        const size_t end = piece.find('\r');
        const std::string_view text = piece.substr(0, end);
        out += text;
        if (!text.empty())
            at_line_start_ = text.back() == '\n';
        if (end == std::string_view::npos)
            return;
        held_ = true;
        piece.remove_prefix(end + 1);
    }
}

void LineEnds::finish(std::string& out) {
    if (held_) {
        out += '\r';
        at_line_start_ = false;
        held_ = false;
    }
    if (!at_line_start_)
        out += '\n';
    at_line_start_ = true;
}

std::string in_one_line(std::string_view value) {
    std::string line;
    for (char c : value)
        line += static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? '?' : c;
    return line;
}

} // namespace postern
