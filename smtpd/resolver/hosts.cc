#include "smtpd/resolver/hosts.h"

#include <algorithm>

#include "common/mail/domain.h"
#include "common/smtp/address.h"
#include "common/smtp/text.h"

namespace postern {

namespace {

constexpr IpAddress ipv4_loopback{4, 0, 0x7f000001};
constexpr IpAddress ipv6_loopback{6, 0, 1};

// The next word of `line`, empty at its end; takes it off.
std::string_view take_word(std::string_view& line) {
    static constexpr std::string_view blanks = " \t\r\v\f";
    line.remove_prefix(std::min(line.find_first_not_of(blanks), line.size()));
    const size_t end = std::min(line.find_first_of(blanks), line.size());
    std::string_view word = line.substr(0, end);
    line.remove_prefix(end);
    return word;
}

ipc::ResolveAnswer answer_of(const DnsQuestion& question, std::vector<ipc::DnsRecord> records) {
    ipc::ResolveAnswer answer;
    answer.status = records.empty() ? ipc::ResolveStatus::no_data : ipc::ResolveStatus::ok;
    answer.canonical_name = question.name;
    answer.records = std::move(records);
    return answer;
}

std::vector<ipc::DnsRecord> address_records(const std::vector<IpAddress>& addresses,
                                            ipc::RecordType type) {
    const int version = type == ipc::RecordType::a ? 4 : 6;
    std::vector<ipc::DnsRecord> records;
    for (const IpAddress& address : addresses)
        if (address.version == version)
            records.emplace_back().address = address;
    return records;
}

bool wants_address(const DnsQuestion& question) {
    return question.type == ipc::RecordType::a || question.type == ipc::RecordType::aaaa;
}

} // namespace

HostsFile HostsFile::parse(std::string_view text) {
    HostsFile hosts;
    while (!text.empty()) {
        std::string_view line = take_line(text);
        line = line.substr(0, line.find('#'));
        std::optional<IpAddress> address = IpAddress::parse(take_word(line));
        if (!address)
            continue;
        for (std::string_view word = take_word(line); !word.empty(); word = take_word(line)) {
            std::string name = normalize_domain(word);
            if (!is_domain(name, Underscore::accepted))
                continue;
            hosts.names_.try_emplace(*address, name);
            std::vector<IpAddress>& addresses = hosts.addresses_[name];
            if (std::find(addresses.begin(), addresses.end(), *address) == addresses.end())
                addresses.push_back(*address);
        }
    }
    return hosts;
}

std::optional<ipc::ResolveAnswer> HostsFile::answer(const DnsQuestion& question) const {
    if (question.address.version != 0)
        return answer_address(question);
    if (auto found = addresses_.find(question.name);
        found != addresses_.end() && wants_address(question))
        return answer_of(question, address_records(found->second, question.type));
    if (question.name == "localhost" || question.name.ends_with(".localhost"))
        return answer_localhost(question);
    return std::nullopt;
}

std::optional<ipc::ResolveAnswer> HostsFile::answer_address(const DnsQuestion& question) const {
    ipc::DnsRecord record;
    if (auto found = names_.find(question.address); found != names_.end())
        record.name = found->second;
    else if (question.address == ipv4_loopback || question.address == ipv6_loopback)
        record.name = "localhost";
    else
        return std::nullopt;
    return answer_of(question, {record});
}

std::optional<ipc::ResolveAnswer> HostsFile::answer_localhost(const DnsQuestion& question) const {
    if (!wants_address(question))
        return answer_of(question, {});
    return answer_of(question, address_records({ipv4_loopback, ipv6_loopback}, question.type));
}

} // namespace postern
