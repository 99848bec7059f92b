#include "common/mail/pattern.h"

#include <cstddef>

#include "common/smtp/text.h"

namespace postern {

bool matches_pattern(std::string_view text, std::string_view pattern) {
    std::size_t at = 0, in_pattern = 0;
    // Where the last `*` was, and what it stands for begins and ends. On a mismatch it takes one
    // more character: earlier ones need not be tried again.
    std::size_t star = std::string_view::npos, end_of_star = 0;
    while (at < text.size()) {
        if (in_pattern < pattern.size() && pattern[in_pattern] == '*') {
            star = in_pattern++;
            end_of_star = at;
        } else if (in_pattern < pattern.size() &&
                   ascii_lower(text[at]) == ascii_lower(pattern[in_pattern])) {
            ++at;
            ++in_pattern;
        } else if (star != std::string_view::npos) {
            in_pattern = star + 1;
            at = ++end_of_star;
        } else {
            return false;
        }
    }
    while (in_pattern < pattern.size() && pattern[in_pattern] == '*')
        ++in_pattern;
    return in_pattern == pattern.size();
}

} // namespace postern
