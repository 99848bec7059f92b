#include "smtpd/supervisor/slices.h"

#include <algorithm>

#include "common/base/utf8.h"
#include "common/ipc/codec.h"
#include "common/ipc/control_settings.h"
#include "common/ipc/keyholder_settings.h"
#include "common/ipc/local_settings.h"
#include "common/ipc/lookup_settings.h"
#include "common/ipc/pam_settings.h"
#include "common/ipc/policy_settings.h"
#include "common/ipc/queue_settings.h"
#include "common/ipc/relay_settings.h"
#include "common/ipc/resolver_settings.h"
#include "common/ipc/tables_settings.h"
#include "common/mail/domain.h"
#include "common/smtp/internationalized.h"
#include "common/smtp/scram_secret.h"
#include "smtpd/supervisor/wiring.h"

namespace postern {

namespace {

// None if there is no such table.
std::vector<std::string> values_of(const Configuration& configuration, const std::string& table) {
    const auto found = configuration.tables.find(table);
    return found == configuration.tables.end() ? std::vector<std::string>() : found->second.values;
}

ipc::ListenerSettings listener(const Configuration& configuration, const Surroundings& found) {
    ipc::ListenerSettings settings;
    settings.addresses = found.listen;
    for (const PkiFiles& pki : found.credentials.pkis)
        settings.pkis.push_back({pki.name, {pki.certificates}});
    for (const AuthorityFile& authority : found.credentials.authorities)
        settings.authorities.push_back({authority.name, {authority.certificates}});
    settings.max_message_size = configuration.limits.max_message_size;
    settings.max_recipients = configuration.limits.max_recipients;
    settings.max_mails = configuration.limits.max_mails;
    settings.max_sessions = configuration.limits.max_sessions;
    settings.max_errors = configuration.limits.max_errors;
    settings.max_received_hops = configuration.limits.max_received_hops;
    settings.max_commands = configuration.limits.max_commands;
    settings.max_bytes = configuration.limits.max_bytes;
    settings.max_memory = configuration.limits.max_memory;
    settings.max_hold = configuration.limits.max_hold.count();
    settings.clients.per_address = configuration.limits.per_address;
    settings.clients.per_network = configuration.limits.per_network;
    settings.clients.in_all = configuration.limits.in_all;
    settings.clients.exempt = networks_of(configuration, configuration.limits.exempt);
    return settings;
}

ipc::KeyholderSettings keyholder(const Configuration& configuration, const Surroundings& found) {
    ipc::KeyholderSettings settings;
    for (const PkiFiles& pki : found.credentials.pkis)
        settings.names.push_back(pki.name);
    for (const Action& action : configuration.actions)
        if (action.kind == ActionKind::relay && !action.tls.pki.empty())
            settings.for_relays.push_back(action.tls.pki);
    return settings;
}

// Of a table that a rule names; nothing where it names none, and is for all.
std::optional<std::vector<std::string>> domains_for(const Configuration& configuration,
                                                    const std::string& table) {
    return table.empty() ? std::nullopt : std::optional(values_of(configuration, table));
}

void add_rules(const Configuration& configuration, ipc::QueueSettings& settings) {
    const QueueOptions& options = configuration.queue;
    for (const RetryRule& rule : options.retries) {
        ipc::RetryRule& added = settings.retries.emplace_back();
        added.domains = domains_for(configuration, rule.domains);
        added.classes = rule.classes;
        added.delay = rule.delay.value_or(options.retry_delay);
        added.most = rule.most.value_or(options.retry_max);
    }
    for (const DestinationLimit& limit : options.limits) {
        ipc::DestinationLimit& added = settings.limits.emplace_back();
        added.domains = domains_for(configuration, limit.domains);
        added.max_deliveries = limit.max_deliveries;
        added.rate = limit.rate;
        added.period = limit.period;
    }
    for (const SourceLimit& limit : options.source_limits)
        settings.source_limits.push_back(
            {limit.source, limit.max_deliveries, limit.rate, limit.period});
}

ipc::QueueSettings queue(const Configuration& configuration, const Surroundings& found) {
    ipc::QueueSettings settings;
    settings.hostname = found.hostname;
    settings.ttl = configuration.queue.ttl;
    settings.retry_delay = configuration.queue.retry_delay;
    settings.retry_max = configuration.queue.retry_max;
    settings.warn_delays = configuration.queue.warn_delays;
    settings.max_per_destination = configuration.queue.max_per_destination;
    settings.max_in_memory = configuration.queue.max_in_memory;
    add_rules(configuration, settings);
    settings.max_message_size = configuration.limits.max_message_size;
    settings.relays = process_count(ipc::Role::relay, configuration, found.cores);
    return settings;
}

// The names under which this server can be meant: its own and those of its listeners.
std::vector<std::string> own_names(const Surroundings& found) {
    std::vector<std::string> names{found.hostname};
    for (const ipc::ListenAddress& address : found.listen)
        if (std::find(names.begin(), names.end(), address.hostname) == names.end())
            names.push_back(address.hostname);
    return names;
}

// Those that actions name, not all.
void add_client_certificates(const Configuration& configuration, const Surroundings& found,
                             ipc::RelaySettings& settings) {
    for (const PkiFiles& pki : found.credentials.pkis)
        if (std::any_of(configuration.actions.begin(), configuration.actions.end(),
                        [&](const Action& action) { return action.tls.pki == pki.name; }))
            settings.pkis.push_back({pki.name, {pki.certificates}});
}

ipc::RelaySettings relay(const Configuration& configuration, const Surroundings& found) {
    ipc::RelaySettings settings;
    settings.hostname = found.hostname;
    settings.own_names = own_names(found);
    settings.machine_addresses = found.local_addresses;
    for (const ipc::ListenAddress& address : found.listen)
        if (!address.is_local_socket())
            settings.own_endpoints.push_back(address.endpoint);
    for (const AuthorityFile& authority : found.credentials.authorities)
        settings.authorities.push_back({authority.name, {authority.certificates}});
    settings.system_authorities = {found.credentials.system_authorities};
    add_client_certificates(configuration, found, settings);
    return settings;
}

void add_name(std::vector<std::string>& names, const std::string& name) {
    if (!name.empty() && std::find(names.begin(), names.end(), name) == names.end())
        names.push_back(name);
}

ipc::LookupSettings lookup(const Configuration& configuration, const Surroundings& found) {
    ipc::LookupSettings settings;
    settings.actions = configuration.actions;
    settings.rules = configuration.rules;
    settings.tables = configuration.tables;
    for (const Listen& listen : configuration.listens) {
        add_name(settings.credentials, listen.auth.credentials);
        add_name(settings.senders, listen.auth.senders);
    }
    settings.decoy_key = found.decoy_key;
    settings.local_names = own_names(found);
    settings.local_names.push_back("localhost");
    settings.local_addresses = found.local_addresses;
    settings.srs = configuration.srs;
    if (settings.srs.domain.empty())
        settings.srs.domain = found.hostname;
    settings.switch_user = found.root;
    return settings;
}

ipc::ResolverSettings resolver(const Configuration& configuration, const Surroundings& found) {
    ipc::ResolverSettings settings;
    settings.mode = configuration.resolver.mode;
    settings.forwarders = configuration.resolver.forwarders;
    settings.trust_anchor = found.trust_anchor;
    settings.hosts = found.hosts;
    settings.timeout = configuration.resolver.timeout;
    return settings;
}

} // namespace

std::vector<std::string> domains_of(const Configuration& configuration, const std::string& table) {
    std::vector<std::string> result = values_of(configuration, table);
    for (std::string& domain : result)
        domain = normalize_domain(is_ascii(domain) ? domain : to_a_labels(domain).value_or(domain));
    return result;
}

std::vector<Network> networks_of(const Configuration& configuration, const std::string& table) {
    std::vector<Network> result;
    for (const std::string& value : values_of(configuration, table))
        if (const auto network = Network::parse(value))
            result.push_back(*network);
    return result;
}

std::vector<std::string> pam_services_of(const Configuration& configuration) {
    std::vector<std::string> services;
    for (const Listen& listen : configuration.listens)
        if (listen.auth.mode != AuthMode::none)
            add_name(services, pam_service(listen.auth.credentials).value_or(""));
    return services;
}

bool asks_for_policies(const Configuration& configuration) {
    return std::any_of(
        configuration.actions.begin(), configuration.actions.end(), [](const Action& action) {
            return action.kind == ActionKind::relay && !action.host && action.tls.mta_sts;
        });
}

// SCRAM only where somebody can use it. For a Dovecot, what every one of them has, until it has
// announced what else there is. PAM has to be told the password.
std::vector<SaslMechanism> mechanisms_of(const Configuration& configuration,
                                         const AuthOptions& auth) {
    std::vector<SaslMechanism> mechanisms;
    const auto table = configuration.tables.find(auth.credentials);
    if (auth.mode != AuthMode::none &&
        (dovecot_socket(auth.credentials) || pam_service(auth.credentials)))
        return {SaslMechanism::plain, SaslMechanism::login};
    if (auth.mode == AuthMode::none || table == configuration.tables.end())
        return mechanisms;
    const auto& pairs = table->second.pairs;
    const auto external = configuration.external_tables.find(auth.credentials);
    const bool external_scram =
        external != configuration.external_tables.end() && external->second.scram;
    if (external_scram || std::any_of(pairs.begin(), pairs.end(), [](const auto& pair) {
            return pair.second.starts_with(scram_secret_prefix);
        }))
        mechanisms = {SaslMechanism::scram_sha_256_plus, SaslMechanism::scram_sha_256};
    mechanisms.push_back(SaslMechanism::plain);
    mechanisms.push_back(SaslMechanism::login);
    return mechanisms;
}

std::string settings_for(ipc::Role role, const Configuration& configuration,
                         const Surroundings& found) {
    switch (role) {
    case ipc::Role::listener:
        return ipc::encode_bytes(listener(configuration, found));
    case ipc::Role::queue:
        return ipc::encode_bytes(queue(configuration, found));
    case ipc::Role::relay:
        return ipc::encode_bytes(relay(configuration, found));
    case ipc::Role::lookup:
        return ipc::encode_bytes(lookup(configuration, found));
    case ipc::Role::resolver:
        return ipc::encode_bytes(resolver(configuration, found));
    case ipc::Role::control:
        return ipc::encode_bytes(ipc::ControlSettings{found.user_id});
    case ipc::Role::local:
        return ipc::encode_bytes(ipc::LocalSettings{ipc::max_local_helpers});
    case ipc::Role::keyholder:
        return ipc::encode_bytes(keyholder(configuration, found));
    case ipc::Role::policy:
        return ipc::encode_bytes(
            ipc::PolicySettings{found.hostname, {found.credentials.system_authorities}});
    case ipc::Role::pam:
        return ipc::encode_bytes(ipc::PamSettings{pam_services_of(configuration)});
    case ipc::Role::tables:
        return ipc::encode_bytes(ipc::TablesSettings{configuration.external_tables});
    }
    return {};
}

} // namespace postern
