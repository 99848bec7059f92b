// Where a recipient belongs: all with an equal destination share concurrency, holds and
// connections.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "common/base/ip_address.h"

namespace postern {

struct Place {
    std::string destination; // for the log too
    // The domain whose mail exchangers are looked up, the host that is relayed to, or the domain of
    // a local recipient: what `mta limit for domain` means. Empty for a socket of this machine.
    std::string domain;
    bool local = false; // for local; else for a relay
    // Of our addresses, one of a family at most, if the action names any.
    std::vector<IpAddress> sources{};
};

// Of a forward-path in wire form; empty for one that has none (<postmaster>).
inline std::string_view domain_of_path(std::string_view path) {
    const size_t at = path.rfind('@');
    return at == std::string_view::npos ? std::string_view() : path.substr(at + 1);
}

} // namespace postern
