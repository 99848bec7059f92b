#include "smtpd/lookup/mailbox_set.h"

#include "common/smtp/internationalized.h"

namespace postern {

namespace {

constexpr char subaddress_delimiter = '+';

} // namespace

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
