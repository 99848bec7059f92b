// What an MTA-STS policy asks of mail exchangers (RFC 8461 4). Pure.
#pragma once

#include <string>

#include "common/ipc/transport_policy.h"
#include "deliver/relay/tls_policy.h"

namespace postern::relay {

// Whether mail on this route is sent by the policy of its domain: it goes to mail exchangers of a
// domain, with TLS.
bool goes_by_sts(const ipc::Route& route);

// Whether the policy names the host: by its name, or by "*" for its first label (4.1).
bool names_exchanger(const ipc::StsPolicy& policy, const std::string& host);

// What a connection of this policy came to, for the exchanger's domain to be told (RFC 8460 4).
ipc::SessionResult session_result(const std::string& domain, const Exchanger& exchanger,
                                  const TlsPolicy& policy, const ipc::StsPolicy& sts);
// Our address, for the same; version 0: others could not tell by it who that was.
IpAddress reported_address(const IpAddress& address);
// What is wrong with a certificate, by OpenSSL's number.
ipc::TlsResult result_of_certificate(int error);

// What `policy` becomes for an exchanger that is named: TLS, and a certificate for its name (4.2).
TlsPolicy with_sts(TlsPolicy policy, const ipc::StsPolicy& sts);

} // namespace postern::relay
