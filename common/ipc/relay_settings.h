// The slice of the configuration that a relay needs.
#pragma once

#include <string>
#include <tuple>
#include <vector>

#include "common/base/ip_address.h"

namespace postern::ipc {

struct RelaySettings {
    std::string hostname; // in EHLO
    // Our own listeners' addresses and names: a mail exchanger that is one of them is ourselves
    // (RFC 5321 5.1). Unspecified addresses stand for all of the machine's.
    std::vector<Endpoint> own_endpoints;
    std::vector<IpAddress> machine_addresses;
    std::vector<std::string> own_names;
    static constexpr auto fields(auto& m) {
        return std::tie(m.hostname, m.own_endpoints, m.machine_addresses, m.own_names);
    }
};

} // namespace postern::ipc
