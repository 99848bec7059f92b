// See next_hops.h.
#include "deliver/relay/next_hops.h"

#include <algorithm>

#include "common/base/log.h"
#include "common/loop/completion.h"
#include "common/mail/domain.h"
#include "common/smtp/address.h"

namespace postern::relay {

namespace {

// Lookups that run side by side, and what they have brought so far.
struct Lookups {
    explicit Lookups(Executor& executor) : progress(executor) {}
    size_t open = 0;
    bool found = false; // an address
    Completion<bool> progress;
};

Task<void> look_up(Network& network, ipc::RecordType type, std::string name, Lookups& lookups,
                   ipc::ResolveAnswer& answer) {
    answer = co_await network.resolve(type, std::move(name));
    lookups.found = lookups.found || answer.status == ipc::ResolveStatus::ok;
    --lookups.open;
    lookups.progress.complete(true);
}

// A and AAAA of all hosts at once, in the order of the hosts.
Task<std::vector<HostAddresses>> look_up_addresses(Network& network, std::vector<Host> hosts) {
    std::vector<HostAddresses> answers(hosts.size());
    Lookups lookups(network.executor());
    TaskGroup group;
    for (size_t i = 0; i < hosts.size(); ++i) {
        if (is_localhost(hosts[i].name)) {
            answers[i] = localhost_addresses();
            lookups.found = true;
            continue;
        }
        lookups.open += 2;
        group.spawn(
            look_up(network, ipc::RecordType::aaaa, hosts[i].name, lookups, answers[i].aaaa));
        group.spawn(look_up(network, ipc::RecordType::a, hosts[i].name, lookups, answers[i].a));
    }
    TimePoint deadline = network.executor().now() + lookups_limit;
    bool shortened = false;
    while (lookups.open > 0) {
        const TimePoint now = network.executor().now();
        if (lookups.found && !std::exchange(shortened, true))
            deadline = std::min(deadline, now + stragglers_limit);
        if (now >= deadline)
            break;
        co_await lookups.progress.wait(deadline - now);
    }
    co_return answers;
}

bool has_exchanger(const ipc::ResolveAnswer& mx, const std::string& name) {
    return std::any_of(mx.records.begin(), mx.records.end(), [&](const ipc::DnsRecord& record) {
        return same_domain(record.name, name);
    });
}

// `backup`: as which exchanger of the domain we are meant besides; empty: none.
Task<ExchangerList> find_by_domain(Network& network, std::string domain, std::string backup,
                                   const Ourselves& ourselves, const Random& random) {
    ExchangerList result;
    if (!domain.empty() && domain.front() == '[')
        co_return literal_exchanger(domain, smtp_port, ourselves);
    if (!is_domain(domain, Underscore::accepted)) {
        result.failure = Diagnosis(status::bad_system, "the recipient's domain is no domain name");
        co_return result;
    }
    ipc::ResolveAnswer mx;
    mx.status = ipc::ResolveStatus::no_data;
    if (!is_localhost(domain))
        mx = co_await network.resolve(ipc::RecordType::mx, domain);
    if (mx.status == ipc::ResolveStatus::ok && !backup.empty() && !has_exchanger(mx, backup))
        log::warning("a backup is none of the domain's mail exchangers: mail goes to any of these",
                     {{"domain", domain}, {"backup", backup}});
    RankedHosts ranked = rank_mail_exchangers(domain, mx, ourselves, random);
    if (ranked.failure) {
        result.failure = std::move(ranked.failure);
        co_return result;
    }
    std::vector<HostAddresses> addresses = co_await look_up_addresses(network, ranked.hosts);
    result = order_exchangers(domain, ranked.hosts, addresses, smtp_port, true, ourselves);
    result.untried.insert(result.untried.end(), ranked.untried.begin(), ranked.untried.end());
    if (mx.secure) { // so is that there are none, where the domain is its own exchanger
        for (Exchanger& exchanger : result.exchangers)
            exchanger.secure_name = true;
        result.domains = {normalize_domain(domain)};
        if (!mx.canonical_name.empty())
            result.domains.push_back(normalize_domain(mx.canonical_name));
    }
    co_return result;
}

Task<ExchangerList> find_configured(Network& network, std::string name, uint16_t port,
                                    const Ourselves& ourselves) {
    ExchangerList result;
    if (std::optional<IpAddress> address = IpAddress::parse(name)) {
        result.exchangers.push_back({{}, {*address, port}});
    } else {
        std::vector<Host> hosts;
        hosts.push_back({0, normalize_domain(name)}); // the name that its certificate is for
        std::vector<HostAddresses> addresses = co_await look_up_addresses(network, hosts);
        result = order_exchangers(name, hosts, addresses, port, false, ourselves);
        if (result.failure && result.failure->status.status_class == 5)
            result.failure->status = status::misconfigured.as(4);
    }
    const auto is_us = [&](const Exchanger& exchanger) {
        return ourselves.has_endpoint(exchanger.endpoint);
    };
    if (std::erase_if(result.exchangers, is_us) > 0 && result.exchangers.empty())
        result.failure = Diagnosis(status::misconfigured.as(4),
                                   "the relay host " + name + " is this host itself");
    co_return result;
}

} // namespace

Task<ExchangerList> find_exchangers(Network& network, const ipc::Route& route,
                                    const Ourselves& ourselves, const Random& random) {
    if (route.host)
        co_return co_await find_configured(network, route.host->host, route.host->port, ourselves);
    if (route.backup_name.empty())
        co_return co_await find_by_domain(network, route.domain, "", ourselves, random);
    Ourselves with_backup = ourselves; // the same rule, for one more name (RFC 5321 5.1)
    with_backup.names.push_back(route.backup_name);
    co_return co_await find_by_domain(network, route.domain, route.backup_name, with_backup,
                                      random);
}

} // namespace postern::relay
