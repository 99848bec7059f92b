#include "smtpd/listener/reverse_name.h"

#include <algorithm>

#include "common/mail/domain.h"
#include "common/smtp/address.h"

namespace postern::listener {

namespace {

bool lists(const ipc::ResolveAnswer& answer, const IpAddress& address) {
    return answer.status == ipc::ResolveStatus::ok &&
           std::any_of(answer.records.begin(), answer.records.end(),
                       [&](const ipc::DnsRecord& record) { return record.address == address; });
}

} // namespace

Task<std::string> find_reverse_name(Resolver& resolver, IpAddress client) {
    if (client.is_loopback())
        co_return "localhost";
    ipc::ResolveQuery pointer;
    pointer.type = ipc::RecordType::ptr;
    pointer.address = client;
    ipc::ResolveAnswer names = co_await resolver.resolve(std::move(pointer), resolve_limit);
    if (names.status != ipc::ResolveStatus::ok)
        co_return "";
    const size_t count = std::min(names.records.size(), reverse_names_tried);
    for (size_t i = 0; i < count; ++i) {
        std::string name = normalize_domain(names.records[i].name);
        if (!is_domain(name, Underscore::accepted))
            continue; // it goes into headers and logs
        ipc::ResolveQuery forward;
        forward.type = client.version == 4 ? ipc::RecordType::a : ipc::RecordType::aaaa;
        forward.name = name;
        ipc::ResolveAnswer addresses = co_await resolver.resolve(std::move(forward), resolve_limit);
        if (lists(addresses, client))
            co_return name;
    }
    co_return "";
}

} // namespace postern::listener
