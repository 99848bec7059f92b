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

// How a recipient is to be delivered. Two recipients with equal routes may share one transaction.
struct Route {
    ActionKind kind = ActionKind::relay;
    std::string action;              // its name, for the log and to find its settings
    std::optional<RelayHost> host;   // relay host, lmtp
    std::string domain;              // relay by mail exchanger: the recipient's domain
    std::string helo;                // empty: the server's host name
    std::optional<IpAddress> source; // local address of the connection
    RelayTls tls;
    std::string user;                // maildir: the system user that it runs as
    bool lmtp_rcpt_to = false;
    std::optional<std::chrono::seconds> ttl; // none: the queue's

    static constexpr auto fields(auto& m) {
        return std::tie(m.kind, m.action, m.host, m.domain, m.helo, m.source, m.tls, m.user,
                        m.lmtp_rcpt_to, m.ttl);
    }
};

struct RouteQuery {
    uint32_t request = 0;
    Origin origin;
    std::string reverse_path;
    std::string recipient; // in wire form
    static constexpr auto fields(auto& m) {
        return std::tie(m.request, m.origin, m.reverse_path, m.recipient);
    }
};

enum class RouteVerdict : uint8_t {
    accepted,   // `route` is set
    refused,    // a rule says reject
    no_rule,    // no rule matches: relaying denied
    no_mailbox, // it would be local, but there is no such user
    temporary,  // ask again later: a table or the user database is away
};
constexpr RouteVerdict last_enumerator(RouteVerdict) { return RouteVerdict::temporary; }

struct RouteAnswer {
    uint32_t request = 0;
    RouteVerdict verdict = RouteVerdict::temporary;
    Route route;
    static constexpr auto fields(auto& m) { return std::tie(m.request, m.verdict, m.route); }
};

// The rules have changed: what was answered before may be answered otherwise from now on.
struct RoutesChanged {
    static constexpr auto fields(auto&) { return std::tie(); }
};

using ToLookup = std::variant<RouteQuery>;
using FromLookup = std::variant<RouteAnswer, RoutesChanged>;

} // namespace postern::ipc
