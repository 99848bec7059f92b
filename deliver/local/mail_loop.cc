#include "deliver/local/mail_loop.h"

#include <algorithm>
#include <unistd.h>

#include "common/smtp/text.h"

namespace postern {

namespace {

constexpr std::string_view field_name = "Delivered-To:";
constexpr size_t piece_size = 16 * 1024;

bool is_blank(char c) { return c == ' ' || c == '\t'; }

// Its end is CRLF, or LF.
std::string_view take_header_line(std::string_view& header) {
    std::string_view line = take_line(header);
    if (line.ends_with('\r'))
        line.remove_suffix(1);
    return line;
}

std::string_view address_in(std::string_view text) {
    text = trim(text);
    if (text.size() > 2 && text.front() == '<' && text.back() == '>')
        text = text.substr(1, text.size() - 2);
    return text;
}

bool has_empty_line(std::string_view text) {
    return text.find("\n\n") != text.npos || text.find("\n\r\n") != text.npos;
}

bool has_no_header(std::string_view content) {
    return content.starts_with("\r\n") || content.starts_with('\n');
}

} // namespace

bool was_delivered_to(std::string_view header, std::string_view address) {
    while (!header.empty()) {
        const std::string_view line = take_header_line(header);
        if (line.empty())
            return false;
        if (!equal_ignoring_case(line.substr(0, field_name.size()), field_name))
            continue;
        std::string value(line.substr(field_name.size()));
        while (!header.empty() && is_blank(header.front()))
            value += take_header_line(header);
        if (equal_ignoring_case(address_in(value), address))
            return true;
    }
    return false;
}

Result<std::string> read_header(const FileDescriptor& content) {
    const off_t start = ::lseek(content.get(), 0, SEEK_CUR);
    if (start < 0)
        return system_error("seek in the content");
    std::string header;
    while (header.size() < header_limit) {
        const size_t before = header.size();
        header.resize(before + piece_size);
        const ssize_t got = ::pread(content.get(), header.data() + before, piece_size,
                                    start + static_cast<off_t>(before));
        if (got < 0)
            return system_error("read the content");
        header.resize(before + static_cast<size_t>(got));
        // What was looked at before need not be looked at again, but for a line end cut in two.
        const size_t from = before - std::min<size_t>(before, 3);
        if (got == 0 || has_no_header(header) ||
            has_empty_line(std::string_view(header).substr(from)))
            break;
    }
    return header;
}

} // namespace postern
