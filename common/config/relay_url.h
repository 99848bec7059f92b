// Where mail is relayed to, and through what, as smtpd.conf, its tables and smtpctl write it. Pure
// functions; an error says what was expected.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "common/base/result.h"
#include "common/config/configuration.h"

namespace postern::config {

// [scheme://]host[:port] of `relay host`.
Result<RelayHost> parse_relay_url(std::string_view text);

// The same with a label of a credential: [scheme://[label@]]host[:port], of a scheme with TLS.
Result<RelayTarget> parse_relay_target(std::string_view text);
// One or more of these with commas between them: no more than relay_hosts_limit.
Result<std::vector<RelayTarget>> parse_relay_targets(std::string_view text);

// "socks5://[label@]host[:port]" or "proxy-v2://host:port".
Result<EgressProxy> parse_egress_proxy(std::string_view text);

// The contrary of parse_relay_url(). `host` has no unix_path.
std::string to_url(const RelayHost& host);

// "host:port" or "/path" of `lmtp`.
Result<RelayHost> parse_lmtp_destination(std::string_view text);

} // namespace postern::config
