#include "smtpd/policy/questions.h"

#include <algorithm>

#include "common/base/public_address.h"

namespace postern::policy {

namespace {

constexpr size_t address_limit = 8; // of each family

} // namespace

ipc::ResolveQuery question(ipc::RecordType type, const std::string& name) {
    ipc::ResolveQuery query;
    query.type = type;
    query.name = name;
    return query;
}

Task<std::vector<IpAddress>> addresses_of(const Resolve& resolve, std::string host) {
    std::vector<IpAddress> addresses;
    for (const ipc::RecordType type : {ipc::RecordType::aaaa, ipc::RecordType::a}) {
        ipc::ResolveQuery query = question(type, host);
        const ipc::ResolveAnswer answer = co_await resolve(std::move(query), resolve_limit);
        for (size_t i = 0; i < std::min(answer.records.size(), address_limit); ++i)
            if (is_public(answer.records[i].address))
                addresses.push_back(answer.records[i].address);
    }
    co_return addresses;
}

} // namespace postern::policy
