// Looking at the header section of a message (RFC 5322 2.2) without copying or changing it. The
// content is in CRLF form and may be malformed or cut short: what is not a field ends the section.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace postern {

struct HeaderField {
    std::string_view name;  // as written, without white space before the colon
    std::string_view value; // behind the colon, folds included, without the last CRLF
    std::string_view raw;   // all of it, with the last CRLF if there is one
};

// Walks over the fields in order.
class HeaderScanner {
  public:
    // Looks at no more than `limit` octets of `content`.
    explicit HeaderScanner(std::string_view content, std::size_t limit = 1024 * 1024);

    // The next field, or nothing at the end of the section.
    std::optional<HeaderField> next();

    // Octets of the fields so far; after the last, the length of the section without the empty line
    // behind it.
    std::size_t position() const { return position_; }
    // The section was not over where content or limit ended: there may be more of it.
    bool truncated() const { return truncated_; }

  private:
    std::size_t line_end(std::size_t from);

    std::string_view content_;
    std::size_t position_ = 0;
    bool ended_ = false;
    bool truncated_ = false;
};

// How many fields have this name, in any case. count_fields(content, "Received") above a limit
// means a loop (RFC 5321 6.3).
std::size_t count_fields(std::string_view content, std::string_view name);

// The first field of this name.
std::optional<HeaderField> find_field(std::string_view content, std::string_view name);

// The header section, without the empty line behind it.
std::string_view header_section(std::string_view content);

// A value without its folds (RFC 5322 2.2.3), and without white space at either end.
std::string unfold(std::string_view value);

} // namespace postern
