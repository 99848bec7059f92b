#include "smtpd/lookup/table_keys.h"

#include "common/smtp/internationalized.h"

namespace postern {

namespace {

constexpr char subaddress_delimiter = '+';

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
    std::vector<std::string> keys{whole + "@" + domain};
    if (user != whole)
        keys.push_back(user + "@" + domain);
    keys.push_back(whole);
    if (user != whole)
        keys.push_back(user);
    keys.push_back("@" + domain);
    return keys;
}

} // namespace postern
