#include "common/smtp/proxy_header.h"

#include <array>
#include <optional>

#include "common/base/crc32c.h"
#include "common/base/decimal.h"
#include "common/base/network_order.h"

namespace postern {

namespace {

using namespace std::string_view_literals;

constexpr std::string_view signature_v1 = "PROXY ";
constexpr size_t longest_v1 = 107; // with CRLF
constexpr std::string_view signature_v2 = "\r\n\r\n\0\r\nQUIT\n"sv;
constexpr size_t fixed_part_v2 = 16;
constexpr unsigned version_2 = 2;
constexpr unsigned local = 0; // commands
constexpr unsigned proxy = 1;
constexpr unsigned tcp4 = 0x11;
constexpr unsigned tcp6 = 0x21;
constexpr size_t addresses_tcp4 = 2 * (4 + 2); // octets: address and port, twice
constexpr size_t addresses_tcp6 = 2 * (16 + 2);

ProxyHeader bad() { return {ProxyStatus::bad, 0, {}}; }

bool begins(std::string_view input, std::string_view signature) {
    const size_t shared = std::min(input.size(), signature.size());
    return input.substr(0, shared) == signature.substr(0, shared);
}

// Up to a space, which is taken as well.
std::string_view take_field(std::string_view& line) {
    const size_t space = line.find(' ');
    const std::string_view field = line.substr(0, space);
    line.remove_prefix(space == std::string_view::npos ? line.size() : space + 1);
    return field;
}

std::optional<IpAddress> parse_address(std::string_view text, bool v6) {
    const bool looks_v6 = text.find(':') != std::string_view::npos;
    return looks_v6 == v6 ? IpAddress::parse(text) : std::nullopt;
}

bool is_port(std::string_view text) {
    return parse_decimal<uint16_t>(text) && (text.size() == 1 || text[0] != '0');
}

// 2.1: "PROXY TCP4 192.0.2.7 192.0.2.1 4711 25" CRLF
ProxyHeader parse_v1(std::string_view input) {
    const size_t end = input.substr(0, longest_v1).find('\n');
    if (end == std::string_view::npos)
        return input.size() < longest_v1 ? ProxyHeader() : bad();
    if (input[end - 1] != '\r')
        return bad();
    std::string_view line = input.substr(signature_v1.size(), end - 1 - signature_v1.size());
    ProxyHeader header;
    header.length = end + 1;
    header.status = ProxyStatus::unknown;
    const std::string_view family = take_field(line);
    if (family == "UNKNOWN") // whatever follows
        return header;
    if (family != "TCP4" && family != "TCP6")
        return bad();
    const auto source = parse_address(take_field(line), family == "TCP6");
    const auto destination = parse_address(take_field(line), family == "TCP6");
    const bool source_port = is_port(take_field(line));
    const bool destination_port = is_port(line);
    if (!source || !destination || !source_port || !destination_port)
        return bad();
    header.status = ProxyStatus::client;
    header.client = *source;
    return header;
}

unsigned octet(std::string_view bytes, size_t at) { return static_cast<unsigned char>(bytes[at]); }

uint64_t number(std::string_view bytes) {
    uint64_t value = 0;
    for (size_t i = 0; i < bytes.size(); ++i)
        value = value << 8 | octet(bytes, i);
    return value;
}

// 2.2.3: the checksum is that of the header with zeros in its place.
bool checksum_holds(std::string_view header, size_t at) {
    uint32_t sum = crc32c(header.substr(0, at), 0);
    sum = crc32c("\0\0\0\0"sv, sum);
    sum = crc32c(header.substr(at + 4), sum);
    return sum == number(header.substr(at, 4));
}

// 2.2.1: type, length and value, one after another, from `at` to the end of `header`.
bool check_extensions(std::string_view header, size_t at) {
    constexpr unsigned crc32c_type = 0x03;
    while (at < header.size()) {
        if (header.size() - at < 3)
            return false;
        const unsigned type = octet(header, at);
        const size_t length = number(header.substr(at + 1, 2));
        at += 3;
        if (length > header.size() - at)
            return false;
        if (type == crc32c_type && (length != 4 || !checksum_holds(header, at)))
            return false;
        at += length;
    }
    return true;
}

// The source address of a connection over TCP; else nothing.
std::optional<IpAddress> source_address(std::string_view addresses, bool v6) {
    IpAddress address;
    address.version = v6 ? 6 : 4;
    address.high = v6 ? number(addresses.substr(0, 8)) : 0;
    address.low = number(v6 ? addresses.substr(8, 8) : addresses.substr(0, 4));
    return IpAddress::parse(address.to_string()); // an IPv4 one if it is mapped
}

ProxyHeader parse_v2(std::string_view input) {
    if (input.size() < fixed_part_v2)
        return {};
    const unsigned version_and_command = octet(input, 12);
    const unsigned family = octet(input, 13);
    ProxyHeader header;
    header.length = fixed_part_v2 + number(input.substr(14, 2));
    if (version_and_command >> 4 != version_2 || header.length > proxy_header_limit)
        return bad();
    if (input.size() < header.length)
        return {};
    input = input.substr(0, header.length);
    header.status = (version_and_command & 15) == local ? ProxyStatus::own : ProxyStatus::unknown;
    if ((version_and_command & 15) == local)
        return header; // the rest has no meaning then
    if ((version_and_command & 15) != proxy)
        return bad();
    if (family != tcp4 && family != tcp6)
        return header;
    const size_t addresses = family == tcp6 ? addresses_tcp6 : addresses_tcp4;
    if (header.length - fixed_part_v2 < addresses ||
        !check_extensions(input, fixed_part_v2 + addresses))
        return bad();
    const auto source = source_address(input.substr(fixed_part_v2), family == tcp6);
    if (!source)
        return bad();
    header.status = ProxyStatus::client;
    header.client = *source;
    return header;
}

} // namespace

ProxyHeader parse_proxy_header(std::string_view input, bool only_v2) {
    if (begins(input, signature_v2))
        return parse_v2(input);
    if (!only_v2 && begins(input, signature_v1))
        return input.size() < signature_v1.size() ? ProxyHeader() : parse_v1(input);
    return bad();
}

std::string proxy_header_v2(const IpAddress& source, const Endpoint& destination) {
    const bool six = destination.address.version == 6;
    std::string header(signature_v2);
    append_number(header, version_2 << 4 | proxy, 1);
    append_number(header, six ? tcp6 : tcp4, 1);
    append_number(header, six ? addresses_tcp6 : addresses_tcp4, 2);
    append_address(header, source);
    append_address(header, destination.address);
    append_number(header, 0, 2);
    append_number(header, destination.port, 2);
    return header;
}

} // namespace postern
