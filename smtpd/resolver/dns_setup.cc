#include "smtpd/resolver/dns_setup.h"

#include <ldns/ldns.h>

#include "common/smtp/text.h"

namespace postern {

namespace {

constexpr uint16_t dns_port = 53;
constexpr std::string_view blanks = " \t\r";

// Nothing, or what is wrong with it.
Result<void> check_anchor(const std::string& record) {
    ldns_rr* rr = nullptr;
    const ldns_status status = ldns_rr_new_frm_str(&rr, record.c_str(), 0, nullptr, nullptr);
    if (status != LDNS_STATUS_OK)
        return Error{ldns_get_errorstr_by_id(status)};
    const ldns_rr_type type = ldns_rr_get_type(rr);
    ldns_rr_free(rr);
    if (type != LDNS_RR_TYPE_DS && type != LDNS_RR_TYPE_DNSKEY)
        return Error{"neither a DS nor a DNSKEY record"};
    return {};
}

} // namespace

std::vector<Endpoint> parse_name_servers(std::string_view resolv_conf) {
    static constexpr std::string_view keyword = "nameserver";
    std::vector<Endpoint> servers;
    while (!resolv_conf.empty() && servers.size() < name_server_limit) {
        std::string_view line = trim(take_line(resolv_conf), blanks);
        if (!line.starts_with(keyword) || line.size() == keyword.size() ||
            blanks.find(line[keyword.size()]) == std::string_view::npos)
            continue;
        line = trim(line.substr(keyword.size()), blanks);
        if (auto address = IpAddress::parse(line.substr(0, line.find_first_of(blanks))))
            servers.push_back({*address, dns_port});
    }
    if (servers.empty())
        servers.push_back({*IpAddress::parse("127.0.0.1"), dns_port});
    return servers;
}

Result<std::vector<std::string>> parse_trust_anchor(std::string_view text) {
    std::vector<std::string> records;
    std::string record;
    int depth = 0;
    size_t number = 0;
    while (!text.empty()) {
        ++number;
        std::string_view line = take_line(text);
        for (char c : line.substr(0, line.find(';'))) {
            depth += c == '(' ? 1 : c == ')' ? -1 : 0;
            if (depth < 0 || depth > 1)
                return Error{"trust anchor, line " + std::to_string(number) + ": parentheses"};
            record += c == '(' || c == ')' ? ' ' : c;
        }
        record += ' ';
        if (depth > 0)
            continue;
        std::string whole(trim(record, blanks));
        record.clear();
        if (whole.empty() || whole.starts_with('$'))
            continue;
        if (Result<void> good = check_anchor(whole); !good)
            return Error{"trust anchor, line " + std::to_string(number) + ": " +
                         good.error().message};
        records.push_back(std::move(whole));
    }
    if (depth > 0)
        return Error{"trust anchor: a parenthesis is not closed"};
    return records;
}

Result<DnsSetup> make_setup(const ipc::ResolverSettings& settings,
                            const std::vector<Endpoint>& system_servers) {
    DnsSetup setup;
    if (settings.mode == ResolverMode::system) {
        // A name server of whoever runs the network: nobody says that it passes signatures on.
        setup.servers = system_servers;
        return setup;
    }
    if (settings.mode == ResolverMode::forward) {
        if (settings.forwarders.empty())
            return Error{"no name servers to forward to"};
        setup.servers = settings.forwarders;
    }
    Result<std::vector<std::string>> anchors = parse_trust_anchor(settings.trust_anchor);
    if (!anchors)
        return anchors.error();
    if (!settings.trust_anchor.empty() && anchors->empty())
        return Error{"the trust anchor's file has no record in it"};
    setup.anchors = std::move(*anchors);
    return setup;
}

} // namespace postern
