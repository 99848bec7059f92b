// What smtpd.conf(5) says, parsed and checked. Only the supervisor and `smtpd -n` hold a whole one:
// every other process gets the slice that it needs (common/ipc/*_settings.h).
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "common/base/ip_address.h"
#include "common/config/external_table.h"

namespace postern {

// How a key is found in a table.
enum class TableKind : uint8_t {
    plain,    // it is one of the values or keys, or meets one that has asterisks
    cidr,     // by the first of `values`, which are networks, that it is in
    regex,    // by the first of `values`, which are expressions of RE2, that it has a match for
    external, // postern-tables is asked
};
constexpr TableKind last_enumerator(TableKind) { return TableKind::external; }

// A table is a list of values, or keys with values. Values written inline in a rule become tables
// with generated names.
struct Table {
    std::string name;
    bool is_mapping = false;
    std::vector<std::string> values;          // of a list, lower-cased where compared so
    std::map<std::string, std::string> pairs; // of a mapping
    TableKind kind = TableKind::plain;
    std::vector<std::string> results; // cidr, regex that are mappings: what each of `values` means

    static constexpr auto fields(auto& m) {
        return std::tie(m.name, m.is_mapping, m.values, m.pairs, m.kind, m.results);
    }
};

// How to reach a configured next hop: `host smtp://name:port`.
enum class RelayScheme : uint8_t {
    smtp,        // STARTTLS if offered
    smtp_no_tls, // smtp+notls
    smtp_tls,    // smtp+tls: STARTTLS or nothing
    smtps,       // TLS from the first byte
    lmtp,
};
constexpr RelayScheme last_enumerator(RelayScheme) { return RelayScheme::lmtp; }

struct RelayHost {
    RelayScheme scheme = RelayScheme::smtp;
    std::string host;      // a domain name, or an address in text form without brackets
    uint16_t port = 25;    // 0 with `unix_path`
    std::string unix_path; // of an LMTP socket; else empty

    static constexpr auto fields(auto& m) {
        return std::tie(m.scheme, m.host, m.port, m.unix_path);
    }
};

// Relay hosts that stand for each other.
inline constexpr size_t relay_hosts_limit = 32;

// A relay host, and as whom we speak to it: `host smtp+tls://label@name:port`.
struct RelayTarget {
    RelayHost host;
    std::string label{}; // of a credential in the table of `auth`; empty: as nobody

    static constexpr auto fields(auto& m) { return std::tie(m.host, m.label); }
};

// What a proxy is told of the connection that it is to make.
enum class EgressProtocol : uint8_t {
    socks5,   // RFC 1928, RFC 1929
    proxy_v2, // the header of the PROXY protocol: from which address to which
};
constexpr EgressProtocol last_enumerator(EgressProtocol) { return EgressProtocol::proxy_v2; }
constexpr std::string_view url_scheme(EgressProtocol protocol) {
    return protocol == EgressProtocol::socks5 ? "socks5://" : "proxy-v2://";
}

// `relay … proxy socks5://label@name:port`, `proxy proxy-v2://name:port`: through whom connections
// are made.
struct EgressProxy {
    EgressProtocol protocol = EgressProtocol::socks5;
    std::string host; // as RelayHost has it
    uint16_t port = 1080;
    std::string label{}; // as RelayTarget has it; of SOCKS alone

    static constexpr auto fields(auto& m) { return std::tie(m.protocol, m.host, m.port, m.label); }
};

// `relay … tls`, `ca`, `protocols`, `ciphers`, `pki`: what connections to next hops have to be
// like.
struct RelayTls {
    bool required = false; // `tls`
    bool verify = true;    // not `tls no-verify`; of connections that have to be encrypted
    std::string authority; // `ca` by name, that certificates are verified by; empty: the system's
    std::string ciphers;   // of TLS 1.2, as in ciphers(1ssl); empty: ours
    bool tls_1_2 = true;   // `protocols`
    bool tls_1_3 = true;
    bool mta_sts = true; // not `no-mta-sts`: exchangers are what their domain asks
    std::string pki{};   // by name, what servers that ask for a certificate are shown; or empty

    bool operator==(const RelayTls&) const = default;
    static constexpr auto fields(auto& m) {
        return std::tie(m.required, m.verify, m.authority, m.ciphers, m.tls_1_2, m.tls_1_3,
                        m.mta_sts, m.pki);
    }
};

enum class ActionKind : uint8_t {
    relay,
    maildir,
    lmtp,
    mbox,
    mda,
    expand_only,  // what aliases say; a mailbox is none
    forward_only, // the same, and only to addresses elsewhere
};
constexpr ActionKind last_enumerator(ActionKind) { return ActionKind::forward_only; }

// `action "name" …`: what happens to a recipient.
struct Action {
    std::string name;
    ActionKind kind = ActionKind::relay;
    std::optional<RelayHost> host;    // relay host, or where LMTP is spoken
    std::string label;                // of `host`, as RelayTarget has it
    std::string hosts;                // table: several relay hosts; empty: `host`
    std::string host_by_domain;       // table: the recipient's domain → relay hosts, with commas
    bool backup = false;              // `backup`: to better mail exchangers than `backup_name`
    std::string backup_name;          // empty: the server's
    std::string credentials;          // table: label → user:password; empty: there are none
    std::string helo;                 // name given in EHLO; empty: the server's
    std::optional<IpAddress> source;  // `src`: local address of outgoing connections
    std::string sources;              // table: several of these; empty: `source`
    std::string helo_by_source;       // table: source address → name given in EHLO
    std::optional<EgressProxy> proxy; // none: connections are made from here
    bool srs = false;                 // `srs`: forwarded mail leaves with a reverse-path of ours
    RelayTls tls;
    // maildir, mbox: with %{…} not yet expanded; empty: ~/Maildir, /var/mail/%{user.username}
    std::string maildir_path;
    // mda: the words of the command (command_words.h), with those of its wrapper. Nobody but the
    // supervisor has them.
    std::vector<std::string> command;
    std::string user; // deliver as this system user; empty: the recipient's own
    // Tables: user name → whoever is in his place; for system users alone, or for any mailbox.
    // Empty: none.
    std::string aliases;
    std::string virtual_users;
    bool lmtp_rcpt_to = false;               // LMTP: send the envelope recipient, not the user name
    std::optional<std::chrono::seconds> ttl; // how long to try; none: the queue's

    static constexpr auto fields(auto& m) {
        return std::tie(m.name, m.kind, m.host, m.label, m.hosts, m.host_by_domain, m.backup,
                        m.backup_name, m.credentials, m.helo, m.source, m.sources, m.helo_by_source,
                        m.proxy, m.srs, m.tls, m.maildir_path, m.user, m.aliases, m.virtual_users,
                        m.lmtp_rcpt_to, m.ttl);
    }
};

enum class CriterionKind : uint8_t {
    from_any,
    from_local,
    from_source,
    from_auth,
    from_mail_from,
    from_rdns,
    from_socket,
    for_any,
    for_local,
    for_domain,
    for_rcpt_to,
    auth,
    helo,
    mail_from,
    rcpt_to,
    tag,
    tls,
};
constexpr CriterionKind last_enumerator(CriterionKind) { return CriterionKind::tls; }

struct Criterion {
    CriterionKind kind = CriterionKind::from_any;
    bool negated = false;
    std::string table; // what to look in; empty where the criterion needs no value

    static constexpr auto fields(auto& m) { return std::tie(m.kind, m.negated, m.table); }
};

// `match …`: rules are tried in order, the first whose criteria all hold decides.
struct MatchRule {
    std::vector<Criterion> criteria;
    std::string action; // name; empty: reject
    uint32_t line = 0;  // where it was written, for the operator

    static constexpr auto fields(auto& m) { return std::tie(m.criteria, m.action, m.line); }
};

// `pki NAME …`: what a server proves its identity with. Paths of PEM files.
struct Pki {
    std::string certificate; // the server's own first, then those that vouch for it
    std::string key;         // ECDSA or RSA
    uint32_t line = 0;       // where it was first written, for the operator
};

// When a listener speaks TLS.
enum class TlsMode : uint8_t {
    none,
    offered,  // `tls`: STARTTLS is there for those who want it
    required, // `tls-require`: no mail before it
    implicit, // `smtps`: from the first byte (RFC 8314)
};
constexpr TlsMode last_enumerator(TlsMode) { return TlsMode::implicit; }

struct TlsOptions {
    TlsMode mode = TlsMode::none;
    bool verify = false;           // the client must have a certificate of `authority`
    std::vector<std::string> pkis; // names; the first is for clients that name no server we know
    std::string authority;         // `ca` by name; empty: clients are not asked for certificates
    std::string ciphers;           // of TLS 1.2, as in ciphers(1ssl); empty: ours
    bool tls_1_2 = true;           // `protocols`
    bool tls_1_3 = true;

    static constexpr auto fields(auto& m) {
        return std::tie(m.mode, m.verify, m.pkis, m.authority, m.ciphers, m.tls_1_2, m.tls_1_3);
    }
};

// `listen on … proxy`: whether connections begin with a PROXY header.
enum class ProxyProtocol : uint8_t { none, only_v2, v1_or_v2 };
constexpr ProxyProtocol last_enumerator(ProxyProtocol) { return ProxyProtocol::v1_or_v2; }

// Whether clients of a listener may say who they are (RFC 4954).
enum class AuthMode : uint8_t {
    none,
    optional, // `auth-optional`
    required, // `auth`: no mail before it
};
constexpr AuthMode last_enumerator(AuthMode) { return AuthMode::required; }

struct AuthOptions {
    AuthMode mode = AuthMode::none;
    std::string credentials;  // table: user → password hash; or others (common/smtp/sasl.h)
    std::string senders;      // table: user → reverse-paths that are his; empty: any will do
    bool in_received = false; // `received-auth`: Received: says who it was

    static constexpr auto fields(auto& m) {
        return std::tie(m.mode, m.credentials, m.senders, m.in_received);
    }
};

// Extensions of SMTP that a listener need not offer.
struct ExtensionOptions {
    bool dsn = true;          // RFC 3461; `no-dsn`
    bool smtp_utf8 = true;    // RFC 6531; `no-smtputf8`
    bool binary_mime = false; // RFC 3030; `binarymime`

    static constexpr auto fields(auto& m) { return std::tie(m.dsn, m.smtp_utf8, m.binary_mime); }
};

// `listen on "/path"`: a socket of this host's programs.
struct UnixSocket {
    std::string path; // empty: it is another listener
    uint32_t mode = 0660;
    std::string group; // empty: that of whoever runs the supervisor

    bool operator==(const UnixSocket&) const = default;
    static constexpr auto fields(auto& m) { return std::tie(m.path, m.mode, m.group); }
};

// `listen on … port …`. A name or an interface is resolved to addresses by the supervisor.
struct Listen {
    std::string on; // address, host name, interface name, or path
    UnixSocket unix_socket;
    uint16_t port = 25;   // 0 with a path
    std::string hostname; // in the greeting; empty: the server's
    std::string tag;
    TlsOptions tls;
    ProxyProtocol proxy = ProxyProtocol::none;
    std::string proxy_from; // table of the proxies' networks; empty: loopback addresses only
    AuthOptions auth;
    ExtensionOptions extensions;
    bool lmtp = false; // LMTP (RFC 2033) rather than SMTP
    bool vrfy = false; // VRFY says whether there is a mailbox
    // Names of tables; empty: there are none.
    std::string xclient_from;   // networks that may say XCLIENT
    std::string normalise_from; // networks whose bare CR and LF are line ends
    std::string etrn;           // domains that ETRN (RFC 1985) is for
    uint32_t line = 0;
};

enum class ResolverMode : uint8_t {
    system,    // the name servers of /etc/resolv.conf
    recursive, // from the root, validating
    forward,   // the given servers
};
constexpr ResolverMode last_enumerator(ResolverMode) { return ResolverMode::forward; }

struct ResolverOptions {
    ResolverMode mode = ResolverMode::system;
    std::vector<Endpoint> forwarders;
    std::string
        trust_anchor; // file of DS or DNSKEY records; empty: none, or the root's when recursive
    std::chrono::seconds timeout{10}; // of one question, whatever it takes
};

// The processes' users. Empty: the default name of each (etc/postern.sysusers).
struct Users {
    std::map<std::string, std::string> by_process; // "queue" → "postern-queue"
};

// `smtp limit per-address …`, `per-network …`, `in-all …`: what the clients of one address, of one
// network, or all of one listener process may do. Rates are by the minute. 0: no limit.
struct ClientRates {
    uint32_t sessions = 0; // at once
    uint32_t session_rate = 0;
    uint32_t command_rate = 0;
    uint32_t error_rate = 0; // bad commands and recipients that were refused for good
    uint32_t mail_rate = 0;  // transactions
    uint32_t rcpt_rate = 0;
    uint64_t byte_rate = 0; // whatever the client sends

    static constexpr auto fields(auto& m) {
        return std::tie(m.sessions, m.session_rate, m.command_rate, m.error_rate, m.mail_rate,
                        m.rcpt_rate, m.byte_rate);
    }
};

struct Limits {
    uint32_t max_message_size = 35 * 1024 * 1024; // `smtp max-message-size`, bytes
    uint32_t max_recipients = 1000;               // `smtp limit max-rcpt`, per transaction
    uint32_t max_mails = 1000;        // `smtp limit max-mails`, transactions per session
    uint32_t max_sessions = 5000;     // `smtp limit max-sessions`, of one listener process
    uint32_t max_errors = 20;         // bad commands in a session until 421
    uint32_t max_received_hops = 100; // RFC 5321 6.3
    uint32_t max_commands = 0;        // `smtp limit max-commands`, per session; 0: no limit
    uint64_t max_bytes = 0;           // `smtp limit max-bytes`, of one session; 0: no limit
    // `smtp limit max-memory`: bytes that the sessions of one listener process hold.
    uint64_t max_memory = 256 * 1024 * 1024;
    // `smtp limit max-hold`: how long a message may be held for later (RFC 4865); 0: not at all
    std::chrono::seconds max_hold{std::chrono::hours(24 * 7)};
    ClientRates per_address{.sessions = 200};
    ClientRates per_network{.sessions = 1000};
    ClientRates in_all;
    std::string exempt; // table of networks that the three above are not for; empty: loopback only
};

// What kind of failure it was, as far as `queue retry … on` tells them apart.
enum class FailureClass : uint8_t {
    unreachable, // nobody could be talked to, or the session broke off
    throttled,   // turned away for now: 421, 4.7.x, greylisting
    mailbox,     // 4.2.x
    resolver,    // the DNS did not answer: 4.4.3
    other,
};
constexpr FailureClass last_enumerator(FailureClass) { return FailureClass::other; }

// `queue retry …`: the first that is for a recipient's domain and failure decides.
struct RetryRule {
    std::string domains;                       // table; empty: all
    std::vector<FailureClass> classes;         // empty: all
    std::optional<std::chrono::seconds> delay; // none: QueueOptions::retry_delay
    std::optional<std::chrono::seconds> most;  // none: QueueOptions::retry_max
};

// `mta limit …`: the first that is for a destination's domain decides.
struct DestinationLimit {
    std::string domains;         // table; empty: all
    uint32_t max_deliveries = 0; // at once; 0: QueueOptions::max_per_destination
    uint32_t rate = 0;           // messages in `period`; 0: no limit
    std::chrono::seconds period{1};
};

// `mta limit src …`: of what leaves from the address, to all destinations together.
struct SourceLimit {
    IpAddress source;
    uint32_t max_deliveries = 0; // at once; 0: no limit
    uint32_t rate = 0;           // messages in `period`; 0: no limit
    std::chrono::seconds period{1};
};

struct QueueOptions {
    std::chrono::seconds ttl{std::chrono::hours(24 * 4)};        // `queue ttl`
    std::chrono::seconds retry_delay{std::chrono::seconds(300)}; // the first; it doubles
    std::chrono::seconds retry_max{std::chrono::hours(4)};       // and grows no further
    std::vector<RetryRule> retries;                              // `queue retry`
    uint32_t max_per_destination = 20;                           // deliveries at once
    std::vector<DestinationLimit> limits;                        // `mta limit`
    std::vector<SourceLimit> source_limits;                      // `mta limit src`
    uint32_t max_in_memory = 100'000; // messages; more wait on disk alone
    // `queue warn-delay`: how long mail has waited when its sender is told, in order, four at most
    std::vector<std::chrono::seconds> warn_delays{std::chrono::hours(4)};
};

// `srs …`: the Sender Rewriting Scheme (smtpd/lookup/srs.h).
struct SrsOptions {
    std::string key;                 // that addresses are rewritten by; empty: none are
    std::vector<std::string> former; // `srs key backup`: that what comes back may be by as well
    std::string domain;              // of rewritten addresses; empty: the host name
    std::chrono::seconds ttl{std::chrono::hours(24 * 7)}; // that they are good for; whole days

    static constexpr auto fields(auto& m) { return std::tie(m.key, m.former, m.domain, m.ttl); }
};

struct Configuration {
    std::string spool = "/var/spool/postern";
    std::string socket = "/run/postern/smtpd.sock";
    std::string hostname;   // `hostname`; empty: the machine's own
    uint32_t listeners = 0; // `listener processes`; 0: one per core
    uint32_t relays = 0;    // `relay processes`; 0: half as many as cores, one at least
    Limits limits;
    QueueOptions queue;
    ResolverOptions resolver;
    SrsOptions srs;
    Users users;
    std::map<std::string, Pki> pkis;
    std::map<std::string, std::string> authorities; // `ca NAME cert PATH`
    std::string ciphers;                            // `smtp ciphers`, for listeners without
    std::vector<Listen> listens;
    std::vector<Action> actions;
    std::vector<MatchRule> rules;
    std::map<std::string, Table> tables;
    std::map<std::string, ExternalTable> external_tables; // those of `tables` that are external
};

} // namespace postern
