// Between the resolver and those who ask it.
#pragma once

#include <cstdint>
#include <string>
#include <tuple>
#include <variant>
#include <vector>

#include "common/base/ip_address.h"
#include "common/ipc/codec.h"

namespace postern::ipc {

inline constexpr uint32_t resolution_credit = 4096; // questions one peer may have open

enum class RecordType : uint8_t { a, aaaa, mx, ptr, txt, tlsa, cname };
constexpr RecordType last_enumerator(RecordType) { return RecordType::cname; }

struct ResolveQuery {
    uint32_t request = 0;
    RecordType type = RecordType::a;
    std::string name;  // ASCII, without a trailing dot
    IpAddress address; // instead of `name` with type ptr
    static constexpr auto fields(auto& m) { return std::tie(m.request, m.type, m.name, m.address); }
};

struct DnsRecord {
    uint16_t preference = 0; // mx
    std::string name;        // mx, ptr, cname: a host name without trailing dot, "" for the root
    IpAddress address;       // a, aaaa
    std::string data;        // txt: the joined strings; tlsa: the record data
    static constexpr auto fields(auto& m) {
        return std::tie(m.preference, m.name, m.address, m.data);
    }
};

enum class ResolveStatus : uint8_t {
    ok,        // records follow, one at least
    no_data,   // the name exists, without records of this type
    no_domain, // the name does not exist (RFC 8020)
    temporary, // no answer in time, SERVFAIL
    bogus,     // DNSSEC validation failed: treat as temporary, never as an answer
};
constexpr ResolveStatus last_enumerator(ResolveStatus) { return ResolveStatus::bogus; }

struct ResolveAnswer {
    uint32_t request = 0;
    ResolveStatus status = ResolveStatus::temporary;
    bool secure = false;        // validated by DNSSEC
    std::string canonical_name; // where CNAMEs led; equal to the question without any
    std::vector<DnsRecord> records;
    static constexpr auto fields(auto& m) {
        return std::tie(m.request, m.status, m.secure, m.canonical_name, m.records);
    }
};

using ToResolver = std::variant<ResolveQuery>;
using FromResolver = std::variant<ResolveAnswer>;

} // namespace postern::ipc
