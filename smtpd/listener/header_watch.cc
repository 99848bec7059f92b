#include "smtpd/listener/header_watch.h"

#include <algorithm>
#include <cstring>

#include "common/smtp/text.h"

namespace postern::listener {

namespace {

bool is_field(std::string_view line, std::string_view name) {
    if (!equal_ignoring_case(line.substr(0, name.size()), name))
        return false;
    line.remove_prefix(name.size());
    const size_t colon = line.find_first_not_of(" \t");
    return colon != std::string_view::npos && line[colon] == ':';
}

} // namespace

void HeaderWatch::pass(std::string_view piece) {
    while (!ended_ && !piece.empty()) {
        const size_t newline = piece.find('\n');
        const bool whole = newline != std::string_view::npos;
        const std::string_view part = piece.substr(0, whole ? newline + 1 : newline);
        const size_t room = std::min(sizeof line_ - kept_, part.size());
        std::memcpy(line_ + kept_, part.data(), room);
        kept_ = static_cast<uint8_t>(kept_ + room);
        line_empty_ = line_empty_ && part.find_first_not_of("\r\n") == std::string_view::npos;
        length_ += part.size();
        piece.remove_prefix(part.size());
        if (whole)
            end_line();
    }
}

void HeaderWatch::end_line() {
    const std::string_view line(line_, kept_);
    if (line_empty_)
        ended_ = true;
    else if (is_field(line, "Received"))
        ++received_fields_;
    else if (is_field(line, "Date"))
        has_date_ = true;
    else if (is_field(line, "Message-ID"))
        has_message_id_ = true;
    kept_ = 0;
    line_empty_ = true;
}

} // namespace postern::listener
