// Between lookup and those who ask what a recipient is: listeners at RCPT, the queue at every
// attempt.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <tuple>
#include <variant>
#include <vector>

#include "common/base/ip_address.h"
#include "common/config/configuration.h"
#include "common/ipc/codec.h"
#include "common/ipc/envelope.h"

namespace postern::ipc {

inline constexpr uint32_t routing_credit = 4096; // questions one peer may have open

// A local address of connections, and the name given in EHLO on these.
struct SourceAddress {
    IpAddress address;
    std::string helo{}; // empty: Route::helo

    static constexpr auto fields(auto& m) { return std::tie(m.address, m.helo); }
};

// How a recipient is to be delivered. Two recipients with equal routes may share one transaction.
struct Route {
    ActionKind kind = ActionKind::relay;
    std::string action;              // its name, for the log and to find its settings
    std::optional<RelayHost> host;   // relay host, lmtp
    std::string label;               // of `host`, as RelayTarget has it
    std::vector<RelayTarget> others; // relay hosts as good as `host`
    std::string credentials;         // table of the labels
    std::string domain;              // relay by mail exchanger: the recipient's domain
    std::string backup_name; // the same: only exchangers better than this host; empty: all
    std::string helo;        // empty: the server's host name
    // Where connections come from: one of a family at most. Without any the system chooses; else
    // there are none to addresses of another family.
    std::vector<SourceAddress> sources;
    std::optional<EgressProxy> proxy;
    RelayTls tls;
    std::optional<std::string> reverse_path; // in the place of the message's; in wire form
    // Local deliveries: the system user that it runs as. A recipient with a target of the kind
    // command has the kind mda, and one with a file mbox, whatever its action's is.
    std::string user;
    bool lmtp_rcpt_to = false;
    std::optional<std::chrono::seconds> ttl; // none: the queue's

    static constexpr auto fields(auto& m) {
        return std::tie(m.kind, m.action, m.host, m.label, m.others, m.credentials, m.domain,
                        m.backup_name, m.helo, m.sources, m.proxy, m.tls, m.reverse_path, m.user, m.lmtp_rcpt_to,
                        m.ttl);
    }
};

struct RouteQuery {
    uint32_t request = 0;
    Origin origin;
    std::string reverse_path;
    std::string recipient;        // in wire form
    std::optional<Target> target; // its, if that is not an address
    static constexpr auto fields(auto& m) {
        return std::tie(m.request, m.origin, m.reverse_path, m.recipient, m.target);
    }
};

enum class RouteVerdict : uint8_t {
    accepted,   // `route` is set
    refused,    // a rule says reject
    no_rule,    // no rule matches: relaying denied
    no_mailbox, // it would be local, but there is no such user
    temporary,  // ask again later: a table or the user database is away
    expanded,   // others are in its place: `expanded`
};
constexpr RouteVerdict last_enumerator(RouteVerdict) { return RouteVerdict::expanded; }

inline constexpr size_t expansion_limit = 10'000; // of one recipient

struct RouteAnswer {
    uint32_t request = 0;
    RouteVerdict verdict = RouteVerdict::temporary;
    Route route;
    std::vector<ExpandedRecipient> expanded; // to the queue alone
    bool more = false; // there are more of them, in the next answer to the same request
    // refused, temporary: the words of a table, "550 5.7.1 text" in printable ASCII, at most 400
    // octets; empty: the usual ones.
    std::string words;
    static constexpr auto fields(auto& m) {
        return std::tie(m.request, m.verdict, m.route, m.expanded, m.more, m.words);
    }
};

// The rules have changed: what was answered before may be answered otherwise from now on.
struct RoutesChanged {
    static constexpr auto fields(auto&) { return std::tie(); }
};

using ToLookup = std::variant<RouteQuery>;
using FromLookup = std::variant<RouteAnswer, RoutesChanged>;

} // namespace postern::ipc
