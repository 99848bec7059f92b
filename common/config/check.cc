// What can only be judged when the whole configuration has been read.
#include "common/config/grammar.h"

#include <algorithm>
#include <set>

#include "common/smtp/domain_name.h"

namespace postern::config {

namespace {

constexpr bool may_be_mapping(TableUse use) {
    return use == TableUse::addresses || use == TableUse::users;
}

constexpr bool must_be_mapping(TableUse use) {
    return use == TableUse::credentials || use == TableUse::senders || use == TableUse::aliases ||
           use == TableUse::secrets || use == TableUse::relay_hosts_by_domain ||
           use == TableUse::helo_names;
}

// What stands in the way of using a table that has no values of its own here, or has expressions.
std::optional<std::string> obstacle(const Grammar& g, const TableReference& reference,
                                    const Table& table) {
    if (table.kind == TableKind::plain)
        return std::nullopt;
    const bool is_networks = reference.use == TableUse::networks;
    if (table.kind == TableKind::cidr)
        return is_networks ? std::nullopt : std::optional<std::string>("is one of networks");
    if (table.kind == TableKind::regex)
        return !reference.by_lookup || is_networks || must_be_mapping(reference.use)
                   ? std::optional<std::string>("is one of regular expressions")
                   : std::nullopt;
    if (!reference.by_lookup)
        return "is external, and what it has is not known here: a list or a file is needed";
    const ExternalTable& external = g.configuration.external_tables.at(reference.table);
    const TableService service = service_for(reference.use);
    if (external.answers(service))
        return std::nullopt;
    return external.backend == TableBackend::ldap
               ? "has no " + std::string(service_name(service)) + "_filter"
               : "has no query_" + std::string(service_name(service));
}

void check_values(Grammar& g, const TableReference& reference, const TableSource& source) {
    const Table& table = g.configuration.tables.at(reference.table);
    size_t index = 0;
    const auto check_one = [&](const std::string& value) {
        if (const auto expected = check_table_value(reference.use, value))
            g.in.report(source.values[index], "found " + quoted(value) + ", but \"" +
                                                  reference.criterion + "\" needs " + *expected);
        ++index;
    };
    if (!table.is_mapping)
        std::for_each(table.values.begin(), table.values.end(), check_one);
    if (!must_be_mapping(reference.use) || reference.use == TableUse::aliases)
        return; // check_aliases() looks at those
    // A value is not repeated: it may be a password that somebody forgot to hash.
    for (const auto& [key, value] : table.pairs)
        if (const auto expected = check_table_value(reference.use, value))
            g.in.report(source.keys.at(key), "the value of " + quoted(key) + " is not what \"" +
                                                 reference.criterion + "\" needs: " + *expected);
}

void check_tables(Grammar& g) {
    std::set<std::pair<std::string, TableUse>> checked;
    for (const TableReference& reference : g.table_references) {
        const auto source = g.tables.find(reference.table);
        if (source == g.tables.end()) {
            g.in.report(reference.position, "there is no table " + quoted(reference.table));
            continue;
        }
        if (!source->second.good)
            continue;
        const Table& table = g.configuration.tables.at(reference.table);
        if (const auto why = obstacle(g, reference, table)) {
            g.in.report(reference.position, "table " + quoted(reference.table) +
                                                " cannot be used for \"" + reference.criterion +
                                                "\": it " + *why);
            continue;
        }
        if (table.kind != TableKind::plain)
            continue;
        const bool must_be = must_be_mapping(reference.use);
        // An empty file is either.
        if (table.is_mapping ? !must_be && !may_be_mapping(reference.use)
                             : must_be && !table.values.empty()) {
            g.in.report(reference.position,
                        "table " + quoted(reference.table) +
                            (table.is_mapping ? " is a mapping, but \"" : " is a list, but \"") +
                            reference.criterion + "\" needs a " + (must_be ? "mapping" : "list"));
            continue;
        }
        if (checked.emplace(reference.table, reference.use).second)
            check_values(g, reference, source->second);
    }
}

void check_actions(Grammar& g) {
    for (const ActionReference& reference : g.action_references)
        if (!g.actions.contains(reference.action))
            g.in.report(reference.position, "there is no action " + quoted(reference.action));
}

void check_retries(Grammar& g) {
    const QueueOptions& queue = g.configuration.queue;
    if (g.retry_position && queue.retry_delay > queue.retry_max)
        g.in.report(*g.retry_position, "the first retry (" +
                                           std::to_string(queue.retry_delay.count()) +
                                           "s) would be later than \"queue retry-max\" allows (" +
                                           std::to_string(queue.retry_max.count()) + "s)");
    for (size_t i = 0; i < queue.retries.size(); ++i) {
        const auto delay = queue.retries[i].delay.value_or(queue.retry_delay);
        const auto most = queue.retries[i].most.value_or(queue.retry_max);
        if (delay > most)
            g.in.report(g.retry_positions[i], "the first retry (" + std::to_string(delay.count()) +
                                                  "s) would be later than the last may be (" +
                                                  std::to_string(most.count()) + "s)");
    }
}

void check_srs(Grammar& g) {
    const SrsOptions& srs = g.configuration.srs;
    if (srs.key.empty() && g.srs_position)
        g.in.report(*g.srs_position, "\"srs\", but no \"srs key\" to rewrite addresses by");
    const std::string& name = g.configuration.hostname;
    if (g.srs_position && srs.domain.empty() && !name.empty() && !is_domain(name))
        g.in.report(*g.srs_position, quoted(name) + " is no domain that an address can have: "
                                                    "\"srs domain\" is missing");
    for (const Action& action : g.configuration.actions)
        if (action.srs && srs.key.empty())
            g.in.report(g.actions.at(action.name), "in action " + quoted(action.name) +
                                                       ": \"srs\", but there is no \"srs key\"");
}

bool has_limit(const QueueOptions& queue, const IpAddress& address) {
    return std::any_of(queue.source_limits.begin(), queue.source_limits.end(),
                       [&](const SourceLimit& limit) { return limit.source == address; });
}

// Mail that may leave from an address of either family is counted for one of them only.
void check_source_pools(Grammar& g) {
    for (const Action& action : g.configuration.actions) {
        const auto table = g.configuration.tables.find(action.sources);
        if (table == g.configuration.tables.end())
            continue;
        std::set<uint8_t> limited;
        for (const std::string& value : table->second.values)
            if (const auto address = parse_address(value);
                address && has_limit(g.configuration.queue, *address))
                limited.insert(address->version);
        if (limited.size() > 1)
            g.in.report(g.actions.at(action.name),
                        "\"mta limit src\" for IPv4 and for IPv6 addresses of the same \"src\": "
                        "give each family an action of its own");
    }
}

// Whether anybody may send to anywhere by this rule. What a client says of itself (HELO, the
// reverse-path) keeps nobody out.
bool is_open(const MatchRule& rule) {
    bool from_anywhere = false;
    bool to_anywhere = false;
    for (const Criterion& criterion : rule.criteria) {
        switch (criterion.kind) {
        case CriterionKind::from_any:
        case CriterionKind::from_mail_from:
            from_anywhere = !criterion.negated || criterion.kind != CriterionKind::from_any;
            break;
        case CriterionKind::for_any:
            to_anywhere = !criterion.negated;
            break;
        case CriterionKind::helo:
        case CriterionKind::mail_from:
        case CriterionKind::tls:
            break;
        default:
            return false;
        }
    }
    return from_anywhere && to_anywhere;
}

std::vector<Diagnostic> warn_of_open_relays(const Grammar& g) {
    std::vector<Diagnostic> warnings;
    for (const ActionReference& reference : g.action_references) {
        const MatchRule& rule = g.configuration.rules[reference.rule];
        const auto action =
            std::find_if(g.configuration.actions.begin(), g.configuration.actions.end(),
                         [&](const Action& other) { return other.name == rule.action; });
        const Position& at = g.rule_positions[reference.rule];
        if (is_open(rule) && action != g.configuration.actions.end() &&
            action->kind == ActionKind::relay)
            warnings.push_back({g.lexer.file_name(at), at.line, at.column,
                                "open relay: by this rule anybody may send to anywhere"});
    }
    return warnings;
}

} // namespace

std::vector<Diagnostic> check(Grammar& g) {
    check_tables(g);
    check_actions(g);
    check_aliases(g);
    check_retries(g);
    check_source_pools(g);
    check_srs(g);
    check_pkis(g);
    check_relays(g);
    return warn_of_open_relays(g);
}

} // namespace postern::config
