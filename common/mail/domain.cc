// Comparing domain names.
#include "common/mail/domain.h"

#include "common/smtp/text.h"

namespace postern {

namespace {

std::string_view without_trailing_dot(std::string_view domain) {
    if (domain.ends_with('.'))
        domain.remove_suffix(1);
    return domain;
}

} // namespace

std::string normalize_domain(std::string_view domain) {
    return ascii_lower(without_trailing_dot(domain));
}

bool same_domain(std::string_view a, std::string_view b) {
    return equal_ignoring_case(without_trailing_dot(a), without_trailing_dot(b));
}

bool domain_matches(std::string_view pattern, std::string_view domain) {
    pattern = without_trailing_dot(pattern);
    domain = without_trailing_dot(domain);
    std::size_t p = 0;
    std::size_t d = 0;
    // On a mismatch, the last '*' takes one more character: earlier ones need not be tried again.
    std::size_t star = std::string_view::npos;
    std::size_t taken_from = 0;
    while (d < domain.size()) {
        if (p < pattern.size() && pattern[p] == '*') {
            star = p++;
            taken_from = d;
        } else if (p < pattern.size() && ascii_lower(pattern[p]) == ascii_lower(domain[d])) {
            ++p;
            ++d;
        } else if (star != std::string_view::npos) {
            p = star + 1;
            d = ++taken_from;
        } else {
            return false;
        }
    }
    while (p < pattern.size() && pattern[p] == '*')
        ++p;
    return p == pattern.size();
}

} // namespace postern
