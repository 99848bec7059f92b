// Walking over header fields.
#include "common/mail/header.h"

#include "common/smtp/text.h"

namespace postern {

namespace {

bool is_white_space(char c) { return c == ' ' || c == '\t'; }

} // namespace

HeaderScanner::HeaderScanner(std::string_view content, std::size_t limit)
    : content_(content.substr(0, limit)) {}

// Behind the CRLF that ends the line at `from`, or the end of the content.
std::size_t HeaderScanner::line_end(std::size_t from) {
    const std::size_t crlf = content_.find("\r\n", from);
    return crlf == std::string_view::npos ? content_.size() : crlf + 2;
}

std::optional<HeaderField> HeaderScanner::next() {
    if (ended_)
        return std::nullopt;
    ended_ = true; // unless a field is found
    if (position_ >= content_.size()) {
        truncated_ = true;
        return std::nullopt;
    }
    std::size_t end = line_end(position_);
    const std::string_view line = content_.substr(position_, end - position_);
    // field-name: printable ASCII without colon; white space before the colon is obs-syntax.
    std::size_t colon = 0;
    while (colon < line.size() && line[colon] > ' ' && line[colon] < 0x7f && line[colon] != ':')
        ++colon;
    const std::size_t name_length = colon;
    while (colon < line.size() && is_white_space(line[colon]))
        ++colon;
    if (name_length == 0 || colon >= line.size() || line[colon] != ':') {
        truncated_ = !line.ends_with("\r\n");
        return std::nullopt;
    }
    while (end < content_.size() && is_white_space(content_[end]))
        end = line_end(end);

    HeaderField field;
    field.raw = content_.substr(position_, end - position_);
    field.name = field.raw.substr(0, name_length);
    field.value = field.raw.substr(colon + 1);
    if (field.value.ends_with("\r\n"))
        field.value.remove_suffix(2);
    position_ = end;
    ended_ = false;
    return field;
}

std::size_t count_fields(std::string_view content, std::string_view name) {
    HeaderScanner scanner(content);
    std::size_t count = 0;
    while (const auto field = scanner.next())
        count += equal_ignoring_case(field->name, name);
    return count;
}

std::optional<HeaderField> find_field(std::string_view content, std::string_view name) {
    HeaderScanner scanner(content);
    while (auto field = scanner.next())
        if (equal_ignoring_case(field->name, name))
            return field;
    return std::nullopt;
}

std::string_view header_section(std::string_view content) {
    HeaderScanner scanner(content);
    while (scanner.next()) {
    }
    return content.substr(0, scanner.position());
}

std::string unfold(std::string_view value) {
    std::string out;
    out.reserve(value.size());
    for (std::size_t i = 0; i < value.size(); ++i) {
        if (value[i] == '\r' && i + 1 < value.size() && value[i + 1] == '\n')
            ++i;
        else
            out += value[i];
    }
    const std::size_t first = out.find_first_not_of(" \t");
    if (first == std::string::npos)
        return {};
    out.erase(out.find_last_not_of(" \t") + 1);
    out.erase(0, first);
    return out;
}

} // namespace postern
