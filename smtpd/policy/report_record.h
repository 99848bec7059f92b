// Where a domain wants to be told how TLS with it goes (RFC 8460 3). Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "common/ipc/resolution.h"

namespace postern::policy {

// "_smtp._tls.example.com"
std::string report_record_name(std::string_view domain);

struct ReportPlace {
    std::string mailbox; // "mailto:", in wire form, ASCII; empty: it is the other
    std::string host;    // "https:"
    uint16_t port = 443;
    std::string path; // "/…"
    bool operator==(const ReportPlace&) const = default;
};

inline constexpr size_t report_places_limit = 5;

// The places of the record, the first ones, without those that are of no kind that we know. None:
// there is no record, more than one, or a malformed one.
std::vector<ReportPlace> report_places(const ipc::ResolveAnswer& answer);

} // namespace postern::policy
