#include "smtpd/resolver/answer.h"

#include <ldns/ldns.h>

#include <cstdlib>
#include <memory>
#include <optional>

#include "common/smtp/address.h"
#include "common/smtp/text.h"

namespace postern {

namespace {

constexpr size_t dns_message_limit = 65535;

struct PacketDeleter {
    void operator()(ldns_pkt* packet) const { ldns_pkt_free(packet); }
};
using Packet = std::unique_ptr<ldns_pkt, PacketDeleter>;

struct NameDeleter {
    void operator()(ldns_rdf* name) const { ldns_rdf_deep_free(name); }
};
using Name = std::unique_ptr<ldns_rdf, NameDeleter>;

std::string_view bytes_of(const ldns_rdf* field) {
    return {reinterpret_cast<const char*>(ldns_rdf_data(field)), ldns_rdf_size(field)};
}

// The field of this number, if it is there and of this type.
const ldns_rdf* field_of(const ldns_rr* record, size_t number, ldns_rdf_type type) {
    if (number >= ldns_rr_rd_count(record))
        return nullptr;
    const ldns_rdf* field = ldns_rr_rdf(record, number);
    return field && ldns_rdf_get_type(field) == type ? field : nullptr;
}

// As text, whatever is in it: odd characters are escaped (RFC 1035 5.1).
std::string presentation(const ldns_rdf* name) {
    std::unique_ptr<char, decltype(&std::free)> text(ldns_rdf2str(name), &std::free);
    std::string result = text ? text.get() : "";
    if (result.ends_with('.'))
        result.pop_back();
    for (char& c : result)
        c = ascii_lower(c);
    return result;
}

// A host's name; "" for the root; nothing if it is not such a name.
std::optional<std::string> host_name(const ldns_rdf* name) {
    if (bytes_of(name) == std::string_view("\0", 1))
        return "";
    // An escape brings a backslash with it, which no host name has.
    std::string text = presentation(name);
    if (!is_domain(text, Underscore::accepted))
        return std::nullopt;
    return text;
}

std::optional<IpAddress> address_of(std::string_view bytes, uint8_t version) {
    if (bytes.size() != (version == 4 ? 4u : 16u))
        return std::nullopt;
    IpAddress address;
    address.version = version;
    for (size_t i = 0; i < bytes.size(); ++i) {
        uint64_t& half = version == 6 && i < 8 ? address.high : address.low;
        half = half << 8 | static_cast<unsigned char>(bytes[i]);
    }
    return address;
}

// One record, or nothing if it is of no use.
std::optional<ipc::DnsRecord> read_host(const ldns_rr* rr, size_t number, bool root_allowed) {
    const ldns_rdf* name = field_of(rr, number, LDNS_RDF_TYPE_DNAME);
    std::optional<std::string> host = name ? host_name(name) : std::nullopt;
    if (!host || (host->empty() && !root_allowed))
        return std::nullopt;
    ipc::DnsRecord record;
    record.name = std::move(*host);
    return record;
}

std::optional<ipc::DnsRecord> read_mx(const ldns_rr* rr) {
    const ldns_rdf* preference = field_of(rr, 0, LDNS_RDF_TYPE_INT16);
    std::optional<ipc::DnsRecord> record = read_host(rr, 1, true);
    if (!preference || !record)
        return std::nullopt;
    record->preference = ldns_rdf2native_int16(preference);
    return record;
}

std::optional<ipc::DnsRecord> read_address(const ldns_rr* rr, ldns_rdf_type type, uint8_t version) {
    const ldns_rdf* field = field_of(rr, 0, type);
    std::optional<IpAddress> address = field ? address_of(bytes_of(field), version) : std::nullopt;
    if (!address)
        return std::nullopt;
    ipc::DnsRecord record;
    record.address = *address;
    return record;
}

std::optional<ipc::DnsRecord> read_text(const ldns_rr* rr) {
    ipc::DnsRecord record;
    for (size_t i = 0; i < ldns_rr_rd_count(rr); ++i) {
        const ldns_rdf* field = field_of(rr, i, LDNS_RDF_TYPE_STR);
        if (!field || ldns_rdf_size(field) == 0)
            return std::nullopt;
        record.data += bytes_of(field).substr(1); // behind its length
    }
    return record;
}

std::optional<ipc::DnsRecord> read_raw(const ldns_rr* rr) {
    ipc::DnsRecord record;
    for (size_t i = 0; i < ldns_rr_rd_count(rr); ++i)
        record.data += bytes_of(ldns_rr_rdf(rr, i));
    return record;
}

std::optional<ipc::DnsRecord> read_record(const ldns_rr* rr, ipc::RecordType type) {
    switch (type) {
    case ipc::RecordType::a:
        return read_address(rr, LDNS_RDF_TYPE_A, 4);
    case ipc::RecordType::aaaa:
        return read_address(rr, LDNS_RDF_TYPE_AAAA, 6);
    case ipc::RecordType::mx:
        return read_mx(rr);
    case ipc::RecordType::ptr:
    case ipc::RecordType::cname:
        return read_host(rr, 0, false);
    case ipc::RecordType::txt:
        return read_text(rr);
    case ipc::RecordType::tlsa:
        return read_raw(rr);
    }
    return std::nullopt;
}

bool is_at(const ldns_rr* rr, const ldns_rdf* owner, ldns_rr_type type) {
    return ldns_rr_get_type(rr) == type && ldns_rr_get_class(rr) == LDNS_RR_CLASS_IN &&
           ldns_rr_owner(rr) && ldns_dname_compare(ldns_rr_owner(rr), owner) == 0;
}

// Where the CNAME at `owner` leads; null without one.
const ldns_rdf* alias_of(const ldns_rr_list* records, const ldns_rdf* owner) {
    for (size_t i = 0; i < ldns_rr_list_rr_count(records); ++i) {
        const ldns_rr* rr = ldns_rr_list_rr(records, i);
        if (is_at(rr, owner, LDNS_RR_TYPE_CNAME))
            return field_of(rr, 0, LDNS_RDF_TYPE_DNAME);
    }
    return nullptr;
}

Packet decode(std::string_view wire) {
    if (wire.size() > dns_message_limit)
        return nullptr;
    ldns_pkt* packet = nullptr;
    if (ldns_wire2pkt(&packet, reinterpret_cast<const uint8_t*>(wire.data()), wire.size()) !=
        LDNS_STATUS_OK)
        return nullptr;
    return Packet(packet);
}

// Whether the packet answers what was asked, as a whole.
bool answers(const ldns_pkt* packet, const ldns_rdf* name, int type) {
    const ldns_rr_list* asked = ldns_pkt_question(packet);
    if (!ldns_pkt_qr(packet) || ldns_pkt_tc(packet) || ldns_rr_list_rr_count(asked) != 1)
        return false;
    return is_at(ldns_rr_list_rr(asked, 0), name, static_cast<ldns_rr_type>(type));
}

} // namespace

ipc::ResolveAnswer parse_answer(std::string_view wire, const DnsQuestion& question) {
    ipc::ResolveAnswer answer;
    answer.canonical_name = question.name;
    const auto type = static_cast<ldns_rr_type>(type_number(question.type));
    Packet packet = decode(wire);
    Name name(ldns_dname_new_frm_str(question.name.c_str()));
    if (!packet || !name || !answers(packet.get(), name.get(), type))
        return answer;
    const ldns_pkt_rcode code = ldns_pkt_get_rcode(packet.get());
    if (code != LDNS_RCODE_NOERROR && code != LDNS_RCODE_NXDOMAIN)
        return answer;

    const ldns_rr_list* records = ldns_pkt_answer(packet.get());
    const ldns_rdf* owner = name.get();
    if (question.type != ipc::RecordType::cname) {
        int aliases = 0;
        while (const ldns_rdf* target = alias_of(records, owner)) {
            if (++aliases > alias_limit)
                return answer;
            owner = target;
        }
        if (aliases > 0)
            answer.canonical_name = presentation(owner);
    }

    bool dropped = false;
    for (size_t i = 0; i < ldns_rr_list_rr_count(records); ++i) {
        const ldns_rr* rr = ldns_rr_list_rr(records, i);
        if (!is_at(rr, owner, type))
            continue;
        std::optional<ipc::DnsRecord> record = read_record(rr, question.type);
        if (!record)
            dropped = true;
        else if (answer.records.size() < answer_record_limit)
            answer.records.push_back(std::move(*record));
    }
    if (!answer.records.empty())
        answer.status = ipc::ResolveStatus::ok;
    else if (!dropped)
        answer.status = code == LDNS_RCODE_NXDOMAIN ? ipc::ResolveStatus::no_domain
                                                    : ipc::ResolveStatus::no_data;
    return answer;
}

} // namespace postern
