#include "smtpd/supervisor/postmaster.h"

#include <algorithm>

#include "common/mail/domain.h"
#include "common/smtp/internationalized.h"
#include "common/smtp/text.h"

namespace postern {

namespace {

bool has_name(const Table& domains, const std::string& name) {
    return std::any_of(domains.values.begin(), domains.values.end(),
                       [&](const std::string& pattern) {
                           return domain_matches(to_a_labels(pattern).value_or(pattern), name);
                       });
}

// By its local part alone, which is a part of a name or none: close enough.
bool may_have_postmaster(const Table& addresses) {
    const auto may_be = [](std::string_view address) {
        return ascii_lower(address).find("postmaster") != std::string::npos ||
               address.find('*') != std::string_view::npos || address.starts_with('@') ||
               address.find('@') == std::string_view::npos;
    };
    return std::any_of(addresses.values.begin(), addresses.values.end(), may_be) ||
           std::any_of(addresses.pairs.begin(), addresses.pairs.end(),
                       [&](const auto& pair) { return may_be(pair.first); });
}

// False: it does not, whoever sends.
bool may_hold(const Criterion& criterion, const std::string& name, const Configuration& all) {
    const auto table = all.tables.find(criterion.table);
    if (table != all.tables.end() && table->second.kind != TableKind::plain)
        return true; // who knows
    switch (criterion.kind) {
    case CriterionKind::for_any:
    case CriterionKind::for_local:
        return !criterion.negated;
    case CriterionKind::for_domain:
        return table == all.tables.end() || has_name(table->second, name) != criterion.negated;
    case CriterionKind::for_rcpt_to:
    case CriterionKind::rcpt_to:
        return criterion.negated || table == all.tables.end() || may_have_postmaster(table->second);
    default:
        return true;
    }
}

bool is_taken(const std::string& name, const Configuration& all) {
    return std::any_of(all.rules.begin(), all.rules.end(), [&](const MatchRule& rule) {
        return !rule.action.empty() &&
               std::all_of(rule.criteria.begin(), rule.criteria.end(),
                           [&](const Criterion& one) { return may_hold(one, name, all); });
    });
}

} // namespace

std::vector<std::string> names_without_postmaster(const Configuration& configuration,
                                                  const std::string& hostname) {
    std::vector<std::string> names;
    for (const Listen& listen : configuration.listens) {
        if (listen.lmtp) // RFC 2033: no mail server for everybody
            continue;
        const std::string name =
            normalize_domain(listen.hostname.empty() ? hostname : listen.hostname);
        if (std::find(names.begin(), names.end(), name) == names.end() &&
            !is_taken(name, configuration))
            names.push_back(name);
    }
    return names;
}

std::string postmaster_warning(const Configuration& configuration, const std::string& hostname) {
    std::string addresses;
    for (const std::string& name : names_without_postmaster(configuration, hostname))
        addresses += (addresses.empty() ? "postmaster@" : ", postmaster@") + name;
    if (addresses.empty())
        return {};
    return "no rule takes mail for " + addresses + ", as RFC 5321 4.5.1 has it";
}

} // namespace postern
