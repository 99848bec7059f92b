// Writing and reading replies; see reply.h for what is promised.
#include "common/smtp/reply.h"

#include "common/base/utf8.h"
#include "common/smtp/limits.h"

#include <algorithm>
#include <cstring>

namespace postern {

namespace {

// Code, separator and CRLF.
constexpr std::size_t line_overhead = 6;

EnhancedStatusCode status_to_write(const Reply& reply) {
    const int digit = reply.code / 100;
    if (!reply.status.present() || digit == 3)
        return {};
    return reply.status.as(digit); // RFC 2034 4: the class is that of the reply code
}

void append_printable(std::string& out, std::string_view text, bool utf8) {
    while (utf8 && !text.empty())
        take_displayable(text, out);
    for (char c : text)
        out += (c >= 0x20 && c < 0x7f) || c == '\t' ? c : '?';
}

// Takes a piece of at most `room` octets off the front of `line`, at a space if there is one.
std::string_view take_piece(std::string_view& line, std::size_t room) {
    std::size_t length = line.size();
    if (length > room) {
        const std::size_t space = line.rfind(' ', room);
        length = space == std::string_view::npos || space == 0 ? room : space;
    }
    const std::string_view piece = line.substr(0, length);
    line.remove_prefix(length);
    if (!line.empty() && line.front() == ' ')
        line.remove_prefix(1);
    return piece;
}

} // namespace

void append_reply(std::string& out, const Reply& reply) {
    const std::string code = std::to_string(std::clamp(reply.code, 200, 599));
    const std::string status = to_string(status_to_write(reply));
    const std::size_t room =
        limits::reply_line - line_overhead - (status.empty() ? 0 : status.size() + 1);
    std::string_view text = reply.text;
    bool more = true;
    while (more) {
        const std::size_t newline = text.find('\n');
        std::string_view line = text.substr(0, newline);
        text.remove_prefix(newline == std::string_view::npos ? text.size() : newline + 1);
        more = newline != std::string_view::npos;
        if (!line.empty() && line.back() == '\r')
            line.remove_suffix(1);
        do {
            const std::string_view piece = take_piece(line, room);
            out += code;
            out += more || !line.empty() ? '-' : ' ';
            out += status;
            if (!status.empty() && !piece.empty())
                out += ' ';
            append_printable(out, piece, reply.utf8);
            out += "\r\n";
        } while (!line.empty());
    }
}

std::string to_wire(const Reply& reply) {
    std::string out;
    out.reserve(reply.text.size() + 32);
    append_reply(out, reply);
    return out;
}

std::string to_line(const Reply& reply, std::size_t limit) {
    std::string text = std::to_string(reply.code);
    if (reply.status.present())
        text += ' ' + to_string(reply.status);
    if (!reply.text.empty())
        text += ' ' + reply.text;
    // Not sanitize(): the text that ReplyParser read is sanitized already, and a second time would
    // double its backslashes.
    for (char& c : text) {
        if (c == '\n')
            c = ' ';
        else if (c < 0x20 || c >= 0x7f)
            c = '?';
    }
    if (text.size() > limit) {
        text.resize(limit);
        if (limit >= 3)
            text.replace(limit - 3, 3, "...");
    }
    return text;
}

ReplyParser::State ReplyParser::fail(std::string_view why) {
    error_ = why;
    line_.clear();
    return State::error;
}

ReplyParser::State ReplyParser::feed(std::string_view& input) {
    if (!error_.empty())
        return State::error;
    if (complete_)
        return State::complete;
    while (!input.empty()) {
        const std::size_t newline = input.find('\n');
        const bool whole = newline != std::string_view::npos;
        const std::string_view part = input.substr(0, whole ? newline + 1 : newline);
        received_ += part.size();
        if (line_.size() + part.size() > limits::received_reply_line)
            return fail("reply line too long");
        if (received_ > limits::received_reply)
            return fail("reply too long");
        input.remove_prefix(part.size());
        if (!whole || !line_.empty())
            line_ += part;
        if (!whole)
            break;
        const State state = take_line(line_.empty() ? part : line_);
        line_.clear();
        if (state != State::need_more)
            return state;
    }
    return State::need_more;
}

// `line` ends in LF.
ReplyParser::State ReplyParser::take_line(std::string_view line) {
    line.remove_suffix(1);
    if (!line.empty() && line.back() == '\r')
        line.remove_suffix(1);
    if (line.size() < 3 || line[0] < '2' || line[0] > '5' || !is_ascii_digit(line[1]) ||
        !is_ascii_digit(line[2]))
        return fail("reply does not begin with a reply code");
    const int code = (line[0] - '0') * 100 + (line[1] - '0') * 10 + (line[2] - '0');
    const bool more = line.size() > 3 && line[3] == '-';
    if (line.size() > 3 && !more && line[3] != ' ')
        return fail("reply code is not followed by a space or a hyphen");
    if (lines_ > 0 && code != reply_.code)
        return fail("lines of a reply differ in their codes");
    if (++lines_ > limits::received_reply_lines)
        return fail("reply has too many lines");

    std::string_view text = line.substr(std::min<std::size_t>(4, line.size()));
    std::string_view behind = text;
    const auto status = take_enhanced_status(behind);
    const bool fits = status && status->status_class == code / 100;
    if (lines_ == 1) {
        reply_.code = code;
        reply_.status = fits ? *status : EnhancedStatusCode{};
    } else {
        reply_.text += '\n';
    }
    if (fits && *status == reply_.status)
        text = behind;
    append_sanitized(reply_.text, text);
    complete_ = !more;
    return complete_ ? State::complete : State::need_more;
}

Reply ReplyParser::take() {
    Reply reply = std::move(reply_);
    reply_ = Reply();
    received_ = 0;
    lines_ = 0;
    complete_ = false;
    return reply;
}

} // namespace postern
