// The slice of the configuration that the resolver needs.
#pragma once

#include <chrono>
#include <string>
#include <tuple>
#include <vector>

#include "common/base/ip_address.h"
#include "common/config/configuration.h"

namespace postern::ipc {

struct ResolverSettings {
    ResolverMode mode = ResolverMode::system;
    std::vector<Endpoint> forwarders;
    // Text of the trust anchor's file (read by the supervisor); empty: nothing is validated.
    std::string trust_anchor;
    std::string hosts; // text of /etc/hosts
    std::chrono::seconds timeout{0};
    static constexpr auto fields(auto& m) {
        return std::tie(m.mode, m.forwarders, m.trust_anchor, m.hosts, m.timeout);
    }
};

} // namespace postern::ipc
