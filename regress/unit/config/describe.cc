#include "regress/unit/config/describe.h"

#include <sstream>

namespace postern::test {

namespace {

const char* name_of(CriterionKind kind) {
    static constexpr const char* names[] = {
        "from any",    "from local",  "from src", "from auth", "from mail-from",
        "from rdns",   "from socket", "for any",  "for local", "for domain",
        "for rcpt-to", "auth",        "helo",     "mail-from", "rcpt-to",
        "tag",         "tls"};
    return names[static_cast<size_t>(kind)];
}

std::string describe(const RelayHost& host) {
    static constexpr const char* schemes[] = {"smtp", "smtp+notls", "smtp+tls", "smtps", "lmtp"};
    const std::string scheme = schemes[static_cast<size_t>(host.scheme)];
    if (!host.unix_path.empty())
        return scheme + ":" + host.unix_path + " " + std::to_string(host.port);
    return scheme + "://" + host.host + " " + std::to_string(host.port);
}

// The content of a table that was written inline, else its name.
std::string describe(const Configuration& configuration, const std::string& table) {
    if (!table.starts_with("<inline:"))
        return " <" + table + ">";
    std::string text;
    for (const std::string& value : configuration.tables.at(table).values)
        text += " " + value;
    return text;
}

void describe_tables(std::ostream& out, const Configuration& configuration) {
    for (const auto& [name, table] : configuration.tables) {
        if (name.starts_with("<inline:"))
            continue;
        out << "table " << name << (table.is_mapping ? " mapping" : " list");
        for (const std::string& value : table.values)
            out << " [" << value << "]";
        for (const auto& [key, value] : table.pairs)
            out << " [" << key << "=" << value << "]";
        out << "\n";
    }
}

void describe_actions(std::ostream& out, const Configuration& configuration) {
    static constexpr const char* kinds[] = {"relay", "maildir",     "lmtp",        "mbox",
                                            "mda",   "expand-only", "forward-only"};
    for (const Action& action : configuration.actions) {
        out << "action " << action.name << " " << kinds[static_cast<size_t>(action.kind)];
        if (action.host)
            out << " " << describe(*action.host);
        if (!action.label.empty())
            out << " label " << action.label;
        if (!action.hosts.empty())
            out << " hosts" << describe(configuration, action.hosts);
        if (!action.host_by_domain.empty())
            out << " domain" << describe(configuration, action.host_by_domain);
        if (action.backup)
            out << " backup " << action.backup_name;
        if (!action.credentials.empty())
            out << " auth" << describe(configuration, action.credentials);
        if (!action.sources.empty())
            out << " src" << describe(configuration, action.sources);
        if (!action.helo_by_source.empty())
            out << " helo-src" << describe(configuration, action.helo_by_source);
        if (action.proxy && action.proxy->protocol == EgressProtocol::proxy_v2)
            out << " proxy-v2 " << action.proxy->host << " " << action.proxy->port;
        else if (action.proxy)
            out << " proxy " << action.proxy->label << "@" << action.proxy->host << " "
                << action.proxy->port;
        if (action.srs)
            out << " srs";
        if (!action.tls.pki.empty())
            out << " pki " << action.tls.pki;
        if (!action.helo.empty())
            out << " helo " << action.helo;
        if (action.tls.required)
            out << (action.tls.verify ? " tls" : " tls no-verify");
        if (!action.tls.authority.empty())
            out << " ca " << action.tls.authority;
        if (!action.tls.ciphers.empty())
            out << " ciphers " << action.tls.ciphers;
        if (!action.tls.tls_1_2 || !action.tls.tls_1_3)
            out << (action.tls.tls_1_2 ? " TLSv1.2" : " TLSv1.3");
        if (action.source)
            out << " src " << action.source->to_string();
        if (!action.maildir_path.empty())
            out << " path " << action.maildir_path;
        for (const std::string& word : action.command)
            out << " [" << word << "]";
        if (!action.user.empty())
            out << " user " << action.user;
        if (!action.aliases.empty())
            out << " alias " << action.aliases;
        if (!action.virtual_users.empty())
            out << " virtual " << action.virtual_users;
        if (action.lmtp_rcpt_to)
            out << " rcpt-to";
        if (action.ttl)
            out << " ttl " << action.ttl->count();
        out << "\n";
    }
}

void describe_rules(std::ostream& out, const Configuration& configuration) {
    for (const MatchRule& rule : configuration.rules) {
        out << rule.line << ":";
        for (const Criterion& criterion : rule.criteria) {
            out << " " << (criterion.negated ? "!" : "") << name_of(criterion.kind);
            if (!criterion.table.empty())
                out << describe(configuration, criterion.table);
            out << ",";
        }
        out << (rule.action.empty() ? " reject" : " action " + rule.action) << "\n";
    }
}

void describe_tls(std::ostream& out, const TlsOptions& tls) {
    static constexpr const char* modes[] = {"", " tls", " tls-require", " smtps"};
    out << modes[static_cast<size_t>(tls.mode)] << (tls.verify ? " verify" : "");
    for (const std::string& name : tls.pkis)
        out << " pki " << name;
    if (!tls.authority.empty())
        out << " ca " << tls.authority;
    if (!tls.ciphers.empty())
        out << " ciphers " << tls.ciphers;
    if (!tls.tls_1_2 || !tls.tls_1_3)
        out << " only " << (tls.tls_1_2 ? "TLSv1.2" : "TLSv1.3");
}

void describe_auth(std::ostream& out, const AuthOptions& auth) {
    static constexpr const char* modes[] = {"", " auth-optional", " auth"};
    out << modes[static_cast<size_t>(auth.mode)];
    if (!auth.credentials.empty())
        out << " <" << auth.credentials << ">";
    if (!auth.senders.empty())
        out << " senders <" << auth.senders << ">";
    if (auth.in_received)
        out << " received-auth";
}

void describe_pkis(std::ostream& out, const Configuration& configuration) {
    for (const auto& [name, pki] : configuration.pkis)
        out << "pki " << name << " " << pki.certificate << " " << pki.key << "\n";
    for (const auto& [name, path] : configuration.authorities)
        out << "ca " << name << " " << path << "\n";
}

template <class T>
void setting(std::ostream& out, const char* name, const T& value, const T& preset) {
    if (value != preset)
        out << name << " " << value << "\n";
}

void describe_rates(std::ostream& out, const std::string& scope, const ClientRates& rates,
                    const ClientRates& preset) {
    const auto rate = [&](const char* name, auto value, auto default_value) {
        setting(out, (scope + " " + name).c_str(), value, default_value);
    };
    rate("sessions", rates.sessions, preset.sessions);
    rate("session-rate", rates.session_rate, preset.session_rate);
    rate("command-rate", rates.command_rate, preset.command_rate);
    rate("error-rate", rates.error_rate, preset.error_rate);
    rate("mail-rate", rates.mail_rate, preset.mail_rate);
    rate("rcpt-rate", rates.rcpt_rate, preset.rcpt_rate);
    rate("byte-rate", rates.byte_rate, preset.byte_rate);
}

void describe_settings(std::ostream& out, const Configuration& c) {
    const Configuration preset;
    setting(out, "spool", c.spool, preset.spool);
    setting(out, "socket", c.socket, preset.socket);
    setting(out, "hostname", c.hostname, preset.hostname);
    setting(out, "listeners", c.listeners, preset.listeners);
    setting(out, "relays", c.relays, preset.relays);
    setting(out, "max-message-size", c.limits.max_message_size, preset.limits.max_message_size);
    setting(out, "max-rcpt", c.limits.max_recipients, preset.limits.max_recipients);
    setting(out, "max-mails", c.limits.max_mails, preset.limits.max_mails);
    setting(out, "max-sessions", c.limits.max_sessions, preset.limits.max_sessions);
    setting(out, "max-errors", c.limits.max_errors, preset.limits.max_errors);
    setting(out, "max-hops", c.limits.max_received_hops, preset.limits.max_received_hops);
    setting(out, "max-commands", c.limits.max_commands, preset.limits.max_commands);
    setting(out, "max-bytes", c.limits.max_bytes, preset.limits.max_bytes);
    setting(out, "max-memory", c.limits.max_memory, preset.limits.max_memory);
    setting(out, "max-hold", c.limits.max_hold.count(), preset.limits.max_hold.count());
    describe_rates(out, "per-address", c.limits.per_address, preset.limits.per_address);
    describe_rates(out, "per-network", c.limits.per_network, preset.limits.per_network);
    describe_rates(out, "in-all", c.limits.in_all, preset.limits.in_all);
    setting(out, "exempt", c.limits.exempt, preset.limits.exempt);
    setting(out, "ttl", c.queue.ttl.count(), preset.queue.ttl.count());
    setting(out, "retry-delay", c.queue.retry_delay.count(), preset.queue.retry_delay.count());
    setting(out, "retry-max", c.queue.retry_max.count(), preset.queue.retry_max.count());
    if (c.queue.warn_delays != preset.queue.warn_delays) {
        out << "warn-delay" << (c.queue.warn_delays.empty() ? " none" : "");
        for (std::chrono::seconds delay : c.queue.warn_delays)
            out << " " << delay.count();
        out << "\n";
    }
    setting(out, "max-in-memory", c.queue.max_in_memory, preset.queue.max_in_memory);
    for (const RetryRule& rule : c.queue.retries) {
        out << "retry " << (rule.domains.empty() ? "all" : rule.domains);
        for (FailureClass one : rule.classes)
            out << " " << static_cast<int>(one);
        out << " " << (rule.delay ? rule.delay->count() : 0) << " "
            << (rule.most ? rule.most->count() : 0) << "\n";
    }
    for (const DestinationLimit& limit : c.queue.limits)
        out << "limit " << (limit.domains.empty() ? "all" : limit.domains) << " "
            << limit.max_deliveries << " " << limit.rate << "/" << limit.period.count() << "\n";
    for (const SourceLimit& limit : c.queue.source_limits)
        out << "limit src " << limit.source.to_string() << " " << limit.max_deliveries << " "
            << limit.rate << "/" << limit.period.count() << "\n";
    setting(out, "max-per-destination", c.queue.max_per_destination,
            preset.queue.max_per_destination);
    if (c.resolver.mode != preset.resolver.mode)
        out << "resolver " << (c.resolver.mode == ResolverMode::forward ? "forward" : "recursive")
            << "\n";
    for (const Endpoint& server : c.resolver.forwarders)
        out << "forwarder " << server.to_string() << "\n";
    setting(out, "trust-anchor", c.resolver.trust_anchor, preset.resolver.trust_anchor);
    setting(out, "timeout", c.resolver.timeout.count(), preset.resolver.timeout.count());
    for (const auto& [process, user] : c.users.by_process)
        out << "user " << process << " " << user << "\n";
}

} // namespace

std::string describe(const Configuration& configuration) {
    std::ostringstream out;
    describe_settings(out, configuration);
    describe_pkis(out, configuration);
    for (const Listen& listen : configuration.listens) {
        out << listen.line << ": listen " << listen.on << " " << listen.port;
        if (!listen.unix_socket.path.empty())
            out << " mode " << std::oct << listen.unix_socket.mode << std::dec;
        if (!listen.unix_socket.group.empty())
            out << " group " << listen.unix_socket.group;
        if (!listen.hostname.empty())
            out << " hostname " << listen.hostname;
        if (!listen.tag.empty())
            out << " tag " << listen.tag;
        describe_tls(out, listen.tls);
        describe_auth(out, listen.auth);
        if (listen.proxy != ProxyProtocol::none)
            out << (listen.proxy == ProxyProtocol::only_v2 ? " proxy-v2" : " proxy");
        if (!listen.proxy_from.empty())
            out << " proxy-from " << listen.proxy_from;
        if (!listen.extensions.dsn)
            out << " no-dsn";
        if (!listen.extensions.smtp_utf8)
            out << " no-smtputf8";
        if (listen.extensions.binary_mime)
            out << " binarymime";
        out << (listen.lmtp ? " lmtp" : "") << (listen.vrfy ? " vrfy" : "");
        if (!listen.etrn.empty())
            out << " etrn " << listen.etrn;
        if (!listen.normalise_from.empty())
            out << " normalise-from " << listen.normalise_from;
        if (!listen.xclient_from.empty())
            out << " xclient-from " << listen.xclient_from;
        out << "\n";
    }
    describe_tables(out, configuration);
    describe_actions(out, configuration);
    describe_rules(out, configuration);
    return out.str();
}

} // namespace postern::test
