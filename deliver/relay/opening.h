// From an address to a session that can take the message: connection, TLS as the route, the zone
// and the sender want it, and authentication. What the mail is does not matter here.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "common/ipc/transport_policy.h"
#include "common/loop/task.h"
#include "deliver/relay/delivery.h"
#include "deliver/relay/destination.h"
#include "deliver/relay/diagnosis.h"
#include "deliver/relay/exchangers.h"

namespace postern::relay {

// What all openings of one delivery have in common.
struct OpeningTerms {
    explicit OpeningTerms(const ipc::Route& route) : route(route) {}
    const ipc::Route& route; // of several hosts `host` is meant
    std::string helo;        // where the address that we connect from has no name of its own
    std::vector<std::string> domains{}; // ExchangerList::domains
    ipc::StsPolicy sts{};               // of the domain (RFC 8461)
    // RFC 8689 4.2.1: over TLS to a server that proves by a name which can be trusted who it is,
    // and offers as much.
    bool require_tls = false;
    Duration connect_limit = Network::connect_limit; // for connections without a proxy
    // RFC 8689 3: asked when the recipient's domain demands more than the route; true: never mind.
    std::function<bool()> waives_tls{};
    // It may be a report on TLS, whose own connections are for no report (RFC 8460 3): two who tell
    // each other would never end.
    bool unreported = false;
    // Exchangers whom there is no connection with for what their domain has been told of: a host
    // has many addresses, and this is said of it once. Null: always.
    std::set<std::string>* told = nullptr;

    bool lmtp() const { return route.host && route.host->scheme == RelayScheme::lmtp; }
};

struct Opening {
    std::unique_ptr<Connection> connection; // an open session; null: `failure` says why not
    Diagnosis failure{};
    bool reached = false; // somebody said hello, and let us in
    bool ours = false;    // the failure is not the server's
    // It is that the server is not what `require_tls` wants. The class of `failure` is 5 then, for
    // the case that there is no other server.
    bool unmet = false;
    bool timed_out = false;    // it is that there was no answer within `connect_limit`
    bool waived = false;       // the connection is for this message only
    bool proxy_failed = false; // other servers cannot be reached either
};

// The references must outlive the task. Connections that did not come to it are closed by `lease`.
Task<Opening> open_exchanger(Surroundings around, const OpeningTerms& terms, Exchanger exchanger,
                             Destinations::Lease& lease);
Task<Opening> open_unix(Surroundings around, const OpeningTerms& terms, std::string path,
                        Destinations::Lease& lease);

} // namespace postern::relay
