// Whom to ask, worked out from the settings and from what the machine says. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "common/base/ip_address.h"
#include "common/base/result.h"
#include "common/ipc/resolver_settings.h"

namespace postern {

struct DnsSetup {
    std::vector<Endpoint> servers; // to forward to; empty: ask from the root on
    std::vector<std::string>
        anchors; // DS and DNSKEY records, one each; empty: nothing is validated

    bool operator==(const DnsSetup&) const = default;
};

// The name servers of resolv.conf(5), at most `name_server_limit`; the machine itself if there are
// none, as the C library does it.
inline constexpr size_t name_server_limit = 8;
std::vector<Endpoint> parse_name_servers(std::string_view resolv_conf);

// The records of a trust anchor's file, in the form of a zone file: comments, and parentheses that
// join lines, are understood; directives ($TTL) are passed over. An error names the line.
Result<std::vector<std::string>> parse_trust_anchor(std::string_view text);

// `system_servers` are those of /etc/resolv.conf, for ResolverMode::system.
Result<DnsSetup> make_setup(const ipc::ResolverSettings& settings,
                            const std::vector<Endpoint>& system_servers);

} // namespace postern
