// A question as the DNS sees it: made from what a peer asks, checked. Pure.
#pragma once

#include <optional>
#include <string>

#include "common/base/ip_address.h"
#include "common/ipc/resolution.h"

namespace postern {

struct DnsQuestion {
    ipc::RecordType type = ipc::RecordType::a;
    std::string name;  // lower case, without trailing dot
    IpAddress address; // of a question for the name of an address; else version 0
};

// Nothing if there can be no such name in the DNS: empty, too long, or with characters other than
// letters, digits, hyphens and underscores in its labels.
std::optional<DnsQuestion> make_question(const ipc::ResolveQuery& query);

// "1.2.0.192.in-addr.arpa" (RFC 1035 3.5), "…ip6.arpa" (RFC 3596 2.5).
std::string reverse_name(const IpAddress& address);

// The record type's number (RFC 1035 3.2.2 and later).
int type_number(ipc::RecordType type);

} // namespace postern
