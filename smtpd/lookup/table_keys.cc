#include "smtpd/lookup/table_keys.h"

#include "common/smtp/address.h"
#include "common/smtp/internationalized.h"

namespace postern {

namespace {

constexpr char subaddress_delimiter = '+';

// What stands in quotes before the last '@' may look like a whole address, or like the null
// reverse-path: with the quotes it is nobody else's.
std::string address_key(const std::string& user, const std::string& domain) {
    return user.find('@') == user.npos ? user + "@" + domain : Mailbox(user, domain).to_string();
}

bool is_user_key(const std::string& user) {
    return !user.empty() && user != "<>" && user.find('@') == user.npos;
}

} // namespace

std::vector<std::string> domain_keys(const std::string& domain) {
    std::vector<std::string> keys;
    if (domain.empty())
        return keys;
    keys.push_back(domain);
    if (domain.starts_with('['))
        return keys;
    for (size_t dot = domain.find('.'); dot != domain.npos; dot = domain.find('.', dot + 1))
        keys.push_back("*" + domain.substr(dot));
    if (keys.size() > most_domain_keys)
        keys.erase(keys.begin() + 1, keys.end() - (most_domain_keys - 1));
    return keys;
}

std::vector<std::string> mailbox_keys(std::string_view local_part, const std::string& domain) {
    if (local_part.empty() && domain.empty())
        return {"<>"};
    const std::string whole = comparable_name(local_part);
    const std::string user = whole.substr(0, whole.find(subaddress_delimiter));
    const bool tagged = user != whole && !user.empty();
    std::vector<std::string> keys{address_key(whole, domain)};
    if (tagged)
        keys.push_back(address_key(user, domain));
    if (is_user_key(whole))
        keys.push_back(whole);
    if (tagged && is_user_key(user))
        keys.push_back(user);
    keys.push_back("@" + domain);
    return keys;
}

} // namespace postern
