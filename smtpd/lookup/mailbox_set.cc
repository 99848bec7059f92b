#include "smtpd/lookup/mailbox_set.h"

#include <algorithm>

#include "common/base/utf8.h"
#include "common/mail/domain.h"
#include "common/smtp/address.h"
#include "common/smtp/internationalized.h"
#include "common/smtp/text.h"

namespace postern {

namespace {

constexpr char subaddress_delimiter = '+';

} // namespace

std::string canonical_domain(std::string_view text) {
    if (text.starts_with('['))
        if (const auto literal = parse_address_literal(text))
            return ascii_lower(*literal);
    if (is_ascii(text))
        return normalize_domain(text);
    return normalize_domain(to_a_labels(text).value_or(std::string(text)));
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

void MailboxSet::add(std::string_view text) {
    const size_t at = text.rfind('@');
    if (text == "@") {
        everything_ = true;
    } else if (text == "<>") {
        null_path_ = true;
    } else if (at == std::string_view::npos) {
        users_.insert(comparable_name(text));
    } else if (at == 0) {
        domains_.add(text.substr(1));
    } else {
        const std::string user = comparable_name(text.substr(0, at));
        const std::string_view domain = text.substr(at + 1);
        if (domain.find('*') == std::string_view::npos)
            exact_.insert(user + '@' + canonical_domain(domain));
        else
            patterns_of_user_[user].add(domain);
    }
}

bool MailboxSet::contains(std::string_view local_part, const std::string& domain) const {
    if (everything_ || domains_.contains(domain))
        return true;
    if (local_part.empty())
        return null_path_ && domain.empty();
    // An entry with a tag of its own is met only by the same tag, one without it by any.
    const std::string whole = comparable_name(local_part);
    return contains_user(whole, domain) ||
           contains_user(whole.substr(0, whole.find(subaddress_delimiter)), domain);
}

bool MailboxSet::contains_user(const std::string& user, const std::string& domain) const {
    if (users_.contains(user) || exact_.contains(user + '@' + domain))
        return true;
    const auto patterns = patterns_of_user_.find(user);
    return patterns != patterns_of_user_.end() && patterns->second.contains(domain);
}

} // namespace postern
