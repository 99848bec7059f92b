// See relay_routes.h.
#include "smtpd/lookup/relay_routes.h"

#include <algorithm>

#include "common/config/relay_url.h"
#include "common/config/values.h"
#include "common/mail/domain.h"
#include "common/mail/domain_set.h"
#include "common/smtp/text.h"

namespace postern {

namespace {

Result<const Table*> find_table(const ipc::LookupSettings& settings, const Action& action,
                                const std::string& name) {
    const auto table = settings.tables.find(name);
    if (table == settings.tables.end())
        return Error{"action \"" + sanitize(action.name) + "\": there is no table \"" +
                     sanitize(name) + "\""};
    return &table->second;
}

Error bad_value(const Action& action, const std::string& table, const std::string& expected) {
    return Error{"action \"" + sanitize(action.name) + "\": table \"" + sanitize(table) +
                 "\" needs " + expected};
}

Result<std::vector<RelayTarget>> read_hosts(const ipc::LookupSettings& settings,
                                            const Action& action) {
    std::vector<RelayTarget> hosts;
    if (action.host)
        hosts.push_back({*action.host, action.label});
    if (action.hosts.empty())
        return hosts;
    Result<const Table*> table = find_table(settings, action, action.hosts);
    if (!table)
        return table.error();
    for (const std::string& value : (*table)->values) {
        Result<RelayTarget> target = config::parse_relay_target(value);
        if (!target)
            return bad_value(action, action.hosts, target.error().message);
        if (hosts.size() == relay_hosts_limit)
            return bad_value(action, action.hosts,
                             std::to_string(relay_hosts_limit) + " relay URLs at most");
        hosts.push_back(*std::move(target));
    }
    if (hosts.empty())
        return bad_value(action, action.hosts, "one relay URL at least");
    return hosts;
}

Result<std::vector<ipc::SourceAddress>> read_sources(const ipc::LookupSettings& settings,
                                                     const Action& action) {
    std::vector<ipc::SourceAddress> sources;
    if (action.source)
        sources.push_back({*action.source});
    if (!action.sources.empty()) {
        Result<const Table*> table = find_table(settings, action, action.sources);
        if (!table)
            return table.error();
        for (const std::string& value : (*table)->values) {
            const auto address = config::parse_address(value);
            if (!address)
                return bad_value(action, action.sources, "addresses");
            sources.push_back({*address});
        }
        if (sources.empty()) // rather than from wherever
            return bad_value(action, action.sources, "one address at least");
    }
    if (action.helo_by_source.empty())
        return sources;
    Result<const Table*> table = find_table(settings, action, action.helo_by_source);
    if (!table)
        return table.error();
    for (const auto& [text, name] : (*table)->pairs) {
        const auto address = config::parse_address(text);
        const auto helo = config::parse_helo_name(name);
        if (!address || !helo)
            return bad_value(action, action.helo_by_source, "addresses with names");
        for (ipc::SourceAddress& source : sources)
            if (source.address == *address)
                source.helo = *helo;
    }
    return sources;
}

// FNV-1a, and the finalizer of SplitMix64: close texts have numbers far apart.
uint64_t hash_of(std::string_view text) {
    uint64_t hash = 0xcbf29ce484222325;
    for (const char c : text)
        hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
    hash = (hash ^ (hash >> 30)) * 0xbf58476d1ce4e5b9;
    hash = (hash ^ (hash >> 27)) * 0x94d049bb133111eb;
    return hash ^ (hash >> 31);
}

} // namespace

// Rendezvous hashing of pairs: the first of the one family with the first of the other, and so on;
// of the family that has fewer of them they come again.
std::vector<ipc::SourceAddress> choose_sources(const std::vector<ipc::SourceAddress>& pool,
                                               std::string_view key) {
    std::vector<const ipc::SourceAddress*> families[2];
    for (const ipc::SourceAddress& source : pool)
        families[source.address.version == 4 ? 0 : 1].push_back(&source);
    std::vector<ipc::SourceAddress> chosen;
    uint64_t best_hash = 0;
    for (size_t i = 0; i < std::max(families[0].size(), families[1].size()); ++i) {
        std::vector<ipc::SourceAddress> pair;
        std::string text;
        for (const auto& family : families) {
            if (family.empty())
                continue;
            pair.push_back(*family[i % family.size()]);
            text += pair.back().address.to_string() + ' ';
        }
        const uint64_t hash = hash_of(text + std::string(key));
        if (chosen.empty() || hash > best_hash) {
            chosen = std::move(pair);
            best_hash = hash;
        }
    }
    return chosen;
}

Result<RelayRoutes::Relay> RelayRoutes::prepare(const Action& action,
                                                const ipc::LookupSettings& settings) {
    Relay relay;
    Result<Targets> hosts = read_hosts(settings, action);
    if (!hosts)
        return hosts.error();
    relay.hosts = *std::move(hosts);
    Result<std::vector<ipc::SourceAddress>> sources = read_sources(settings, action);
    if (!sources)
        return sources.error();
    relay.sources = *std::move(sources);
    if (action.host_by_domain.empty())
        return relay;
    relay.by_domain = true;
    Result<const Table*> table = find_table(settings, action, action.host_by_domain);
    if (!table)
        return table.error();
    for (const auto& [domain, urls] : (*table)->pairs) {
        Result<Targets> targets = config::parse_relay_targets(urls);
        if (!targets)
            return bad_value(action, action.host_by_domain, targets.error().message);
        relay.hosts_of[canonical_domain(domain)] = *std::move(targets);
    }
    return relay;
}

Result<RelayRoutes> RelayRoutes::prepare(const ipc::LookupSettings& settings) {
    RelayRoutes routes;
    if (!settings.local_names.empty())
        routes.hostname_ = settings.local_names.front();
    for (const Action& action : settings.actions) {
        if (action.kind != ActionKind::relay)
            continue;
        Result<Relay> relay = prepare(action, settings);
        if (!relay)
            return relay.error();
        routes.relays_.emplace(action.name, *std::move(relay));
    }
    return routes;
}

bool RelayRoutes::complete(ipc::Route& route, const Action& action, const std::string& domain,
                           std::string_view sender) const {
    const Relay& relay = relays_.at(action.name);
    const Targets* hosts = &relay.hosts;
    if (relay.by_domain) {
        auto found = relay.hosts_of.find(domain);
        if (found == relay.hosts_of.end())
            found = relay.hosts_of.find("*");
        if (found == relay.hosts_of.end())
            return false;
        hosts = &found->second;
    }
    if (hosts->empty()) {
        route.domain = domain;
    } else {
        route.host = hosts->front().host;
        route.label = hosts->front().label;
        route.others.assign(hosts->begin() + 1, hosts->end());
    }
    if (action.backup)
        route.backup_name = action.backup_name.empty() ? hostname_ : action.backup_name;
    route.sources =
        choose_sources(relay.sources, sender.empty() ? std::string_view(domain) : sender);
    route.credentials = action.credentials;
    route.helo = action.helo;
    route.proxy = action.proxy;
    route.tls = action.tls;
    return true;
}

} // namespace postern
