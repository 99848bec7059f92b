// The slice of the configuration that a relay needs.
#pragma once

#include <string>
#include <tuple>
#include <vector>

#include "common/base/ip_address.h"
#include "common/ipc/named_certificates.h"

namespace postern::ipc {

struct RelaySettings {
    std::string hostname; // in EHLO
    // Our own listeners' addresses and names: a mail exchanger that is one of them is ourselves
    // (RFC 5321 5.1). Unspecified addresses stand for all of the machine's.
    std::vector<Endpoint> own_endpoints;
    std::vector<IpAddress> machine_addresses;
    std::vector<std::string> own_names;
    // Who vouches for servers' certificates: by the name of a `ca`, and for all others.
    std::vector<NamedCertificates> authorities;
    Blob system_authorities; // PEM; empty: there are none
    // What servers that ask for it are shown; the keyholder has the keys.
    std::vector<NamedCertificates> pkis;
    static constexpr auto fields(auto& m) {
        return std::tie(m.hostname, m.own_endpoints, m.machine_addresses, m.own_names,
                        m.authorities, m.system_authorities, m.pkis);
    }
};

} // namespace postern::ipc
