// The state machine behind data_decoder.h. Between dots at the start of lines the input is passed
// on as it is, so the work per octet is that of memchr.
#include "common/smtp/data_decoder.h"

#include <cstring>

namespace postern {

namespace {

constexpr std::size_t npos = std::string_view::npos;

std::size_t find(std::string_view text, char c, std::size_t from, std::size_t to) {
    const void* at = std::memchr(text.data() + from, c, to - from);
    return at == nullptr ? npos
                         : static_cast<std::size_t>(static_cast<const char*>(at) - text.data());
}

bool any_eight_bit(std::string_view text) {
    std::uint64_t seen = 0;
    std::size_t at = 0;
    for (; at + sizeof seen <= text.size(); at += sizeof seen) {
        std::uint64_t word;
        std::memcpy(&word, text.data() + at, sizeof word);
        seen |= word;
    }
    for (; at < text.size(); ++at)
        seen |= static_cast<unsigned char>(text[at]);
    return (seen & 0x8080808080808080u) != 0;
}

} // namespace

void ContentFacts::end_line() {
    if (line_ > longest_line_)
        longest_line_ = line_;
    line_ = 0;
}

// How much of `input`, which is not empty, passes on unchanged: all of it, or up to a dot at the
// start of a line where these stop it; it does not begin with one then.
std::size_t ContentFacts::scan(std::string_view input, Dots dots) {
    const std::size_t end = input.size();
    std::size_t at = 0;
    if (state_ == State::cr) {
        if (input[0] == '\n') {
            ++line_;
            end_line();
            state_ = State::line_start;
            at = 1;
        } else {
            bare_cr_ = true;
            state_ = State::middle;
        }
    }
    while (at < end) {
        if (state_ == State::line_start && input[at] == '.') {
            if (dots == Dots::stop)
                return at;
            leading_dot_ = true;
        }
        const std::size_t lf = find(input, '\n', at, end);
        const std::size_t last = lf == npos ? end - 1 : lf - 1; // where a CR is in order
        const std::size_t cr = find(input, '\r', at, lf == npos ? end : lf);
        if (cr != npos && cr != last)
            bare_cr_ = true;
        if (lf == npos) {
            line_ += end - at;
            if (line_ > longest_line_)
                longest_line_ = line_;
            state_ = input[last] == '\r' ? State::cr : State::middle;
            return end;
        }
        line_ += lf + 1 - at;
        end_line();
        if (lf > at && input[last] == '\r') {
            state_ = State::line_start;
        } else {
            bare_lf_ = true;
            state_ = State::middle; // a dot behind a bare LF has no meaning
        }
        at = lf + 1;
    }
    return at;
}

// Counts a piece; whether it still goes to the sink.
bool ContentFacts::pass_on(std::string_view piece) {
    eight_bit_ = eight_bit_ || any_eight_bit(piece);
    nul_ = nul_ || piece.find('\0') != npos;
    size_ += piece.size();
    return !too_big();
}

bool DataDecoder::next(std::string_view& input, std::string_view& piece) {
    while (!input.empty()) {
        const char front = input.front();
        switch (state_) {
        case State::complete:
            return false;
        case State::dot:
            if (front == '\r') {
                input.remove_prefix(1);
                state_ = State::dot_cr;
            } else {
                leading_dot_ = leading_dot_ || front == '.';
                state_ = State::middle;
            }
            continue;
        case State::dot_cr:
            if (front == '\n') {
                input.remove_prefix(1);
                state_ = State::complete;
                return false;
            }
            bare_cr_ = true;
            ++line_;
            state_ = State::middle;
            piece = "\r";
            break;
        case State::line_start:
            if (front == '.') {
                input.remove_prefix(1);
                state_ = State::dot;
                continue;
            }
            [[fallthrough]];
        case State::middle:
        case State::cr:
            piece = input.substr(0, scan(input, Dots::stop));
            input.remove_prefix(piece.size());
            break;
        }
        if (pass_on(piece))
            return true;
    }
    return false;
}

bool ChunkDecoder::note(std::string_view input) {
    if (input.empty())
        return false;
    scan(input, Dots::note);
    return pass_on(input);
}

std::string_view ChunkDecoder::missing_line_end() {
    if (state_ == State::cr)
        bare_cr_ = true;
    if (state_ == State::line_start)
        return {};
    line_ += 2;
    end_line();
    state_ = State::line_start;
    return "\r\n";
}

void DotStuffer::encode(std::string_view content, std::string& out) {
    if (content.empty())
        return;
    const std::size_t end = content.size();
    std::size_t from = 0; // not yet written
    if (held_cr_) {
        held_cr_ = false;
        out += "\r\n";
        line_start_ = true;
        from = content[0] == '\n' ? 1 : 0;
    }
    std::size_t at = from;
    while (at < end) {
        if (line_start_ && content[at] == '.') {
            out.append(content, from, at - from);
            out += '.';
            from = at;
        }
        line_start_ = false;
        const std::size_t lf = find(content, '\n', at, end);
        const std::size_t cr = find(content, '\r', at, lf == npos ? end : lf);
        if (cr == npos && lf == npos)
            break;
        if (cr == end - 1) {
            out.append(content, from, cr - from);
            held_cr_ = true;
            return;
        }
        if (cr != npos && cr + 1 == lf) {
            at = lf + 1;
        } else {
            const std::size_t bare = cr != npos ? cr : lf;
            out.append(content, from, bare - from);
            out += "\r\n";
            from = at = bare + 1;
        }
        line_start_ = true;
    }
    out.append(content, from, npos);
}

void DotStuffer::finish(std::string& out) {
    if (held_cr_ || !line_start_)
        out += "\r\n";
    out += ".\r\n";
    line_start_ = true;
    held_cr_ = false;
}

std::string dot_stuff(std::string_view content) {
    std::string out;
    out.reserve(content.size() + content.size() / 64 + 8);
    DotStuffer stuffer;
    stuffer.encode(content, out);
    stuffer.finish(out);
    return out;
}

} // namespace postern
