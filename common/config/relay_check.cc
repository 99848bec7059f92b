// What `action … relay` and its tables have to do with each other.
#include "common/config/grammar.h"

#include "common/config/relay_url.h"
#include "common/smtp/internationalized.h"

namespace postern::config {

namespace {

constexpr const char* unused_authority =
    "\"ca\", but no certificate is demanded: \"tls\" is missing";

// A table that is there, good and of the right shape; null: that was reported already.
const Table* find_table(const Grammar& g, const std::string& name, bool is_mapping) {
    const auto source = g.tables.find(name);
    const auto table = g.configuration.tables.find(name);
    if (source == g.tables.end() || !source->second.good ||
        table == g.configuration.tables.end() || table->second.kind != TableKind::plain)
        return nullptr;
    const bool is_empty = table->second.pairs.empty() && table->second.values.empty();
    return is_empty || table->second.is_mapping == is_mapping ? &table->second : nullptr;
}

std::optional<std::string> label_obstacle(const Grammar& g, const Action& action,
                                          const std::string& label) {
    if (label.empty())
        return std::nullopt;
    if (action.credentials.empty())
        return "a label, but no table of passwords: \"auth\" is missing";
    const Table* secrets = find_table(g, action.credentials, true);
    if (!secrets)
        return std::nullopt;
    for (const auto& [known, secret] : secrets->pairs)
        if (comparable_name(known) == comparable_name(label))
            return std::nullopt;
    return "there is no label " + quoted(label) + " in table " + quoted(action.credentials);
}

bool demands_tls(const Action& action, RelayScheme scheme) {
    return action.tls.required || scheme == RelayScheme::smtp_tls || scheme == RelayScheme::smtps;
}

// Why TLS as the action wants it does not go with hosts of this scheme.
std::optional<std::string> relay_tls_obstacle(const Action& action, RelayScheme scheme) {
    const RelayTls& tls = action.tls;
    if (scheme == RelayScheme::smtp_no_tls || scheme == RelayScheme::lmtp)
        return tls == RelayTls() ? std::nullopt
                                 : std::optional<std::string>("options of TLS, for a host that is "
                                                              "not spoken to by TLS");
    // With it TLS 1.3 is all that will do, and the mail would go in plain to who does not speak it.
    if (!tls.pki.empty() && !demands_tls(action, scheme))
        return "\"pki\", but TLS is not demanded: \"tls\" is missing";
    return std::nullopt;
}

// One relay host of a table.
struct Placed {
    RelayTarget target;
    Position place;
};

// `ca` is good for something if one of them has to have a certificate.
void check_targets(Grammar& g, const Action& action, const std::vector<Placed>& all) {
    bool verified = all.empty() || action.tls.authority.empty();
    for (const Placed& one : all) {
        const RelayScheme scheme = one.target.host.scheme;
        verified = verified || (demands_tls(action, scheme) && action.tls.verify);
        std::optional<std::string> why = relay_tls_obstacle(action, scheme);
        if (!why)
            why = label_obstacle(g, action, one.target.label);
        if (why)
            g.in.report(one.place, "in action " + quoted(action.name) + ": " + *why);
    }
    if (!verified)
        g.in.report(g.actions.at(action.name), unused_authority);
}

void check_hosts(Grammar& g, const Action& action) {
    const Table* table = find_table(g, action.hosts, false);
    if (!table)
        return;
    const TableSource& source = g.tables.at(action.hosts);
    if (table->values.empty())
        g.in.report(g.actions.at(action.name), "table " + quoted(action.hosts) + " is empty");
    if (table->values.size() > relay_hosts_limit)
        g.in.report(source.values[relay_hosts_limit],
                    "more than " + std::to_string(relay_hosts_limit) + " relay hosts");
    std::vector<Placed> all;
    for (size_t i = 0; i < table->values.size(); ++i)
        if (const Result<RelayTarget> target = parse_relay_target(table->values[i]); target.ok())
            all.push_back({*target, source.values[i]});
    check_targets(g, action, all);
}

void check_hosts_by_domain(Grammar& g, const Action& action) {
    const Table* table = find_table(g, action.host_by_domain, true);
    if (!table)
        return;
    std::vector<Placed> all;
    for (const auto& [domain, urls] : table->pairs)
        if (const Result<std::vector<RelayTarget>> targets = parse_relay_targets(urls);
            targets.ok())
            for (const RelayTarget& target : *targets)
                all.push_back({target, g.tables.at(action.host_by_domain).keys.at(domain)});
    check_targets(g, action, all);
}

void check_identity(Grammar& g, const Action& action) {
    if (const Table* sources = find_table(g, action.sources, false);
        sources && sources->values.empty())
        g.in.report(g.actions.at(action.name), "table " + quoted(action.sources) + " is empty");
    if (const Table* names = find_table(g, action.helo_by_source, true))
        for (const auto& [key, name] : names->pairs)
            if (!parse_address(key))
                g.in.report(g.tables.at(action.helo_by_source).keys.at(key),
                            "found " + quoted(key) + ", but \"helo-src\" needs an address");
}

} // namespace

void check_relay_tls(Grammar& g, const Action& action, const Position& place) {
    const RelayScheme scheme = action.host ? action.host->scheme : RelayScheme::smtp;
    if (const auto why = relay_tls_obstacle(action, scheme))
        return g.in.report(place, *why);
    if (!action.tls.authority.empty() && !(demands_tls(action, scheme) && action.tls.verify))
        g.in.report(place, unused_authority);
}

void check_relays(Grammar& g) {
    for (const Action& action : g.configuration.actions) {
        if (action.kind != ActionKind::relay)
            continue;
        const std::string& proxys = action.proxy ? action.proxy->label : std::string();
        for (const std::string& label : {action.label, proxys})
            if (const auto why = label_obstacle(g, action, label);
                why && !action.credentials.empty()) // else it was reported at its place
                g.in.report(g.actions.at(action.name), *why);
        check_hosts(g, action);
        check_hosts_by_domain(g, action);
        check_identity(g, action);
    }
}

} // namespace postern::config
