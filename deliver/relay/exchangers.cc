// See exchangers.h.
#include "deliver/relay/exchangers.h"

#include <algorithm>
#include <set>

#include "common/mail/domain.h"
#include "common/smtp/address.h"

namespace postern::relay {

namespace {

using ipc::ResolveAnswer;
using ipc::ResolveStatus;

RankedHosts failed_hosts(EnhancedStatusCode status, std::string text) {
    RankedHosts result;
    result.failure = Diagnosis(status, std::move(text));
    return result;
}

ExchangerList failed_list(EnhancedStatusCode status, std::string text) {
    ExchangerList result;
    result.failure = Diagnosis(status, std::move(text));
    return result;
}

std::string loops_back(const std::string& destination) {
    return "mail for " + destination + " loops back to myself";
}

bool unanswered(const ResolveAnswer& answer) {
    return answer.status == ResolveStatus::temporary || answer.status == ResolveStatus::bogus;
}

// What a mail host can have: neither "this host", nor a group, nor what is reserved, such as IPv4
// addresses written as IPv6 (RFC 4291 2.5.5), which would hide whose they are. Loopback is let
// pass: whoever lists it means this machine, and own endpoints are recognised.
bool is_usable(const IpAddress& address) {
    if (address.version == 4)
        return address.low >> 24 != 0 && address.low >> 24 < 224;
    return address.version == 6 && address.high >> 56 != 0xff &&
           (address.high != 0 || address.is_loopback());
}

std::vector<IpAddress> usable_addresses(const ResolveAnswer& answer, uint8_t version) {
    std::vector<IpAddress> result;
    if (answer.status != ResolveStatus::ok)
        return result;
    for (const ipc::DnsRecord& record : answer.records)
        if (record.address.version == version && is_usable(record.address))
            result.push_back(record.address);
    return result;
}

// IPv6 first, then one of each family in turn.
std::vector<IpAddress> alternate(const HostAddresses& addresses) {
    std::vector<IpAddress> six = usable_addresses(addresses.aaaa, 6);
    std::vector<IpAddress> four = usable_addresses(addresses.a, 4);
    std::vector<IpAddress> result;
    for (size_t i = 0; i < std::max(six.size(), four.size()); ++i) {
        if (i < six.size())
            result.push_back(six[i]);
        if (i < four.size())
            result.push_back(four[i]);
    }
    return result;
}

// Hosts by preference, equal ones in random order.
std::vector<Host> sort_hosts(const ResolveAnswer& mx, const Random& random) {
    std::vector<Host> hosts;
    for (const ipc::DnsRecord& record : mx.records)
        if (!record.name.empty()) // "." beside others: RFC 7505 3 forbids it, nobody is meant
            hosts.push_back({record.preference, normalize_domain(record.name)});
    // Shuffled before a stable sort: within a preference any order is as likely.
    for (size_t i = hosts.size(); i > 1; --i)
        std::swap(hosts[i - 1], hosts[static_cast<size_t>(random(i))]);
    std::stable_sort(hosts.begin(), hosts.end(),
                     [](const Host& a, const Host& b) { return a.preference < b.preference; });
    std::set<std::string> seen;
    std::erase_if(hosts, [&](const Host& host) { return !seen.insert(host.name).second; });
    return hosts;
}

// Drops all hosts from the preference of the first on for which `is_us` (RFC 5321 5.1).
template <class IsUs> bool cut_from_ourselves(std::vector<Host>& hosts, IsUs is_us) {
    for (size_t i = 0; i < hosts.size(); ++i) {
        if (!is_us(i))
            continue;
        const uint16_t ours = hosts[i].preference;
        std::erase_if(hosts, [&](const Host& host) { return host.preference >= ours; });
        return true;
    }
    return false;
}

} // namespace

std::string to_string(const Exchanger& exchanger) {
    return exchanger.host + "[" + exchanger.endpoint.address.to_string() +
           "]:" + std::to_string(exchanger.endpoint.port);
}

bool Ourselves::has_name(const std::string& host) const {
    return std::any_of(names.begin(), names.end(),
                       [&](const std::string& name) { return same_domain(name, host); });
}

bool Ourselves::has_endpoint(const Endpoint& endpoint) const {
    const IpAddress& address = endpoint.address;
    return std::any_of(endpoints.begin(), endpoints.end(), [&](const Endpoint& own) {
        if (own.port != endpoint.port)
            return false;
        if (own.address == address)
            return true;
        return own.address.is_unspecified() && own.address.version == address.version &&
               (address.is_loopback() ||
                std::find(machine_addresses.begin(), machine_addresses.end(), address) !=
                    machine_addresses.end());
    });
}

RankedHosts rank_mail_exchangers(const std::string& domain, const ResolveAnswer& mx,
                                 const Ourselves& ourselves, const Random& random) {
    RankedHosts result;
    switch (mx.status) {
    case ResolveStatus::no_domain:
        return failed_hosts(status::bad_system, "the domain " + domain + " does not exist");
    case ResolveStatus::temporary:
        return failed_hosts(status::directory_failure,
                            "the mail exchangers of " + domain + " cannot be looked up now");
    case ResolveStatus::bogus:
        return failed_hosts(status::directory_failure,
                            "the mail exchangers of " + domain + " fail DNSSEC validation");
    case ResolveStatus::no_data: // the implicit MX (RFC 5321 5.1)
        result.hosts.push_back({0, normalize_domain(domain)});
        break;
    case ResolveStatus::ok:
        result.hosts = sort_hosts(mx, random);
        if (result.hosts.empty()) // nothing but "." (RFC 7505)
            return failed_hosts(status::recipient_null_mx,
                                "the domain " + domain + " does not accept mail (null MX)");
    }
    auto is_us = [&](size_t i) { return ourselves.has_name(result.hosts[i].name); };
    if (cut_from_ourselves(result.hosts, is_us) && result.hosts.empty())
        return failed_hosts(status::routing_loop, loops_back(domain));
    for (size_t i = hosts_limit; i < result.hosts.size(); ++i)
        result.untried.push_back(result.hosts[i].name);
    if (result.hosts.size() > hosts_limit)
        result.hosts.resize(hosts_limit);
    return result;
}

ExchangerList order_exchangers(const std::string& destination, const std::vector<Host>& all_hosts,
                               const std::vector<HostAddresses>& addresses, uint16_t port,
                               bool cut_loops, const Ourselves& ourselves) {
    std::vector<std::vector<IpAddress>> of_host;
    for (const HostAddresses& answers : addresses)
        of_host.push_back(alternate(answers));
    of_host.resize(all_hosts.size());

    std::vector<Host> hosts = all_hosts;
    auto is_us = [&](size_t i) {
        return std::any_of(of_host[i].begin(), of_host[i].end(), [&](const IpAddress& address) {
            return ourselves.has_endpoint({address, port});
        });
    };
    // Preferences ascend, so those that are left are the first ones: `of_host` still fits.
    if (cut_loops && cut_from_ourselves(hosts, is_us) && hosts.empty())
        return failed_list(status::routing_loop, loops_back(destination));

    ExchangerList result;
    std::set<Endpoint> seen;
    bool some_unanswered = false;
    for (size_t i = 0; i < hosts.size(); ++i) {
        size_t of_this_host = 0;
        for (const IpAddress& address : of_host[i]) {
            const Endpoint endpoint{address, port};
            if (result.exchangers.size() >= addresses_limit ||
                of_this_host >= addresses_per_host_limit) {
                result.untried.push_back(hosts[i].name);
                break;
            }
            if (!seen.insert(endpoint).second)
                continue;
            const ResolveAnswer& answer = address.version == 4 ? addresses[i].a : addresses[i].aaaa;
            Exchanger& added = result.exchangers.emplace_back(Exchanger{hosts[i].name, endpoint});
            added.secure_address = answer.secure;
            if (answer.canonical_name != hosts[i].name)
                added.canonical = answer.canonical_name;
            ++of_this_host;
        }
        if (i < addresses.size() && !unanswered(addresses[i].a) && !unanswered(addresses[i].aaaa))
            continue;
        some_unanswered = true;
        result.untried.push_back(hosts[i].name);
    }
    if (!result.exchangers.empty())
        return result;
    if (some_unanswered)
        return failed_list(status::directory_failure, "the addresses of the mail hosts of " +
                                                          destination + " cannot be looked up now");
    return failed_list(status::unroutable,
                       "no mail host of " + destination + " has a usable address");
}

ExchangerList literal_exchanger(const std::string& literal, uint16_t port,
                                const Ourselves& ourselves) {
    std::optional<IpAddress> address;
    if (std::optional<std::string> canonical = parse_address_literal(literal))
        address = IpAddress::parse(address_of_literal(*canonical));
    if (!address || !is_usable(*address))
        return failed_list(status::bad_system, "no mail host can have the address " + literal);
    if (ourselves.has_endpoint({*address, port}))
        return failed_list(status::routing_loop, loops_back(literal));
    ExchangerList result;
    result.exchangers.push_back({{}, {*address, port}});
    return result;
}

bool is_localhost(std::string_view name) {
    const std::string normal = normalize_domain(name);
    constexpr std::string_view suffix = ".localhost";
    return normal == "localhost" ||
           (normal.size() > suffix.size() &&
            normal.compare(normal.size() - suffix.size(), suffix.size(), suffix) == 0);
}

HostAddresses localhost_addresses() {
    HostAddresses result;
    for (auto [answer, text] :
         {std::pair{&result.a, "127.0.0.1"}, std::pair{&result.aaaa, "::1"}}) {
        answer->status = ResolveStatus::ok;
        ipc::DnsRecord record;
        record.address = *IpAddress::parse(text);
        answer->records.push_back(std::move(record));
    }
    return result;
}

} // namespace postern::relay
