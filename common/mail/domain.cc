// Comparing domain names.
#include "common/mail/domain.h"

#include "common/mail/pattern.h"
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
    return matches_pattern(without_trailing_dot(domain), without_trailing_dot(pattern));
}

} // namespace postern
