#include "common/mail/domain_set.h"

#include <algorithm>

#include "common/base/utf8.h"
#include "common/mail/domain.h"
#include "common/smtp/address.h"
#include "common/smtp/internationalized.h"
#include "common/smtp/text.h"

namespace postern {

std::string canonical_domain(std::string_view text) {
    if (text.starts_with('['))
        if (const auto literal = parse_address_literal(text))
            return ascii_lower(*literal);
    if (is_ascii(text))
        return normalize_domain(text);
    return normalize_domain(to_a_labels(text).value_or(std::string(text)));
}

DomainSet::DomainSet(const std::vector<std::string>& values) {
    for (const std::string& value : values)
        add(value);
}

void DomainSet::add(std::string_view text) {
    const std::string domain = canonical_domain(text);
    if (domain.find('*') == std::string::npos)
        exact_.insert(domain);
    else if (domain.starts_with("*.") && domain.find('*', 1) == std::string::npos)
        parents_.insert(domain.substr(2));
    else
        patterns_.push_back(domain);
}

bool DomainSet::contains(const std::string& domain) const {
    if (domain.empty())
        return false;
    if (exact_.contains(domain))
        return true;
    if (!parents_.empty())
        for (size_t dot = domain.find('.'); dot != domain.npos; dot = domain.find('.', dot + 1))
            if (parents_.contains(domain.substr(dot + 1)))
                return true;
    return std::any_of(patterns_.begin(), patterns_.end(),
                       [&](const std::string& pattern) { return domain_matches(pattern, domain); });
}

} // namespace postern
