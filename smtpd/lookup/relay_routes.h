// What an action `relay` says of next hops, of our own addresses and of our names there, made ready
// to be looked things up in: several hosts, hosts by domain, a pool of source addresses. Pure.
//
// Which address of a pool a message leaves from is settled here, so that the queue can keep to the
// limit of each, and by the reverse-path: all recipients of a message have the same route, and a
// server that puts mail off at first (greylisting) sees the same client when it is tried again.
// Another address in the pool changes the choice for its own share only.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/result.h"
#include "common/ipc/lookup_settings.h"
#include "common/ipc/routing.h"

namespace postern {

class RelayRoutes {
  public:
    // Fails if an action names a table that is not there, or one of other things.
    static Result<RelayRoutes> prepare(const ipc::LookupSettings& settings);

    // Fills in `route` for an action `relay`. `domain` is the recipient's, normalised; `sender` is
    // what an address is chosen by. False: the table of hosts by domain has neither the domain nor
    // "*", which is the operator's mistake.
    bool complete(ipc::Route& route, const Action& action, const std::string& domain,
                  std::string_view sender) const;

  private:
    using Targets = std::vector<RelayTarget>;
    struct Relay {
        Targets hosts; // empty: by mail exchanger
        bool by_domain = false;
        std::map<std::string, Targets> hosts_of; // by normalised domain, or "*"
        std::vector<ipc::SourceAddress> sources;
    };

    static Result<Relay> prepare(const Action& action, const ipc::LookupSettings& settings);

    std::string hostname_;
    std::map<std::string, Relay> relays_; // by action
};

// Of each family the one that `key` falls to; each key to the same one, keys to all alike. The
// choice is one for both families, so that a destination does not see more of them than there are
// places in the pool.
std::vector<ipc::SourceAddress> choose_sources(const std::vector<ipc::SourceAddress>& pool,
                                               std::string_view key);

} // namespace postern
