#include "smtpd/resolver/question.h"

#include "common/mail/domain.h"
#include "common/smtp/text.h"

namespace postern {

namespace {

constexpr size_t name_limit = 253; // RFC 1035 2.3.4, as text without the last dot
constexpr size_t label_limit = 63;

bool is_askable(std::string_view name) {
    if (name.empty() || name.size() > name_limit)
        return false;
    size_t label = 0;
    for (char c : name) {
        if (c == '.') {
            if (label == 0)
                return false;
            label = 0;
            continue;
        }
        if (!is_ascii_letter(c) && !is_ascii_digit(c) && c != '-' && c != '_')
            return false;
        if (++label > label_limit)
            return false;
    }
    return label != 0;
}

std::string reverse_ipv4(uint64_t bits) {
    std::string name;
    for (int shift = 0; shift < 32; shift += 8)
        name += std::to_string((bits >> shift) & 0xff) + '.';
    return name + "in-addr.arpa";
}

std::string reverse_ipv6(const IpAddress& address) {
    std::string name;
    for (uint64_t half : {address.low, address.high}) {
        for (int shift = 0; shift < 64; shift += 4) {
            name += "0123456789abcdef"[(half >> shift) & 0xf];
            name += '.';
        }
    }
    return name + "ip6.arpa";
}

} // namespace

std::string reverse_name(const IpAddress& address) {
    return address.version == 4 ? reverse_ipv4(address.low) : reverse_ipv6(address);
}

std::optional<DnsQuestion> make_question(const ipc::ResolveQuery& query) {
    DnsQuestion question;
    question.type = query.type;
    if (query.type == ipc::RecordType::ptr && query.address.version != 0) {
        question.address = query.address;
        question.name = reverse_name(query.address);
        return question;
    }
    question.name = normalize_domain(query.name);
    if (!is_askable(question.name))
        return std::nullopt;
    return question;
}

int type_number(ipc::RecordType type) {
    switch (type) {
    case ipc::RecordType::a:
        return 1;
    case ipc::RecordType::cname:
        return 5;
    case ipc::RecordType::ptr:
        return 12;
    case ipc::RecordType::mx:
        return 15;
    case ipc::RecordType::txt:
        return 16;
    case ipc::RecordType::aaaa:
        return 28;
    case ipc::RecordType::tlsa:
        return 52;
    }
    return 0;
}

} // namespace postern
