// Text and sockaddr forms of addresses. Everything here is pure: no name is ever resolved.
#include "common/base/ip_address.h"

#include <algorithm>
#include <arpa/inet.h>
#include <cstring>
#include <netinet/in.h>
#include <sys/socket.h>

namespace postern {

namespace {

constexpr uint64_t mapped_prefix = 0xffffull << 32; // ::ffff:0:0/96, RFC 4291 2.5.5.2

uint64_t load_big_endian(const unsigned char* bytes, size_t count) {
    uint64_t value = 0;
    for (size_t i = 0; i < count; ++i)
        value = value << 8 | bytes[i];
    return value;
}

void store_big_endian(uint64_t value, unsigned char* bytes, size_t count) {
    for (size_t i = count; i-- > 0; value >>= 8)
        bytes[i] = static_cast<unsigned char>(value & 0xff);
}

IpAddress from_ipv4(const in_addr& address) { return {4, 0, ntohl(address.s_addr)}; }

IpAddress from_ipv6(const in6_addr& address) {
    const uint64_t high = load_big_endian(address.s6_addr, 8);
    const uint64_t low = load_big_endian(address.s6_addr + 8, 8);
    if (high == 0 && (low & ~uint64_t{0xffffffff}) == mapped_prefix)
        return {4, 0, low & 0xffffffff};
    return {6, high, low};
}

in_addr to_ipv4(const IpAddress& address) { return {htonl(static_cast<uint32_t>(address.low))}; }

in6_addr to_ipv6(const IpAddress& address) {
    in6_addr result;
    store_big_endian(address.high, result.s6_addr, 8);
    store_big_endian(address.low, result.s6_addr + 8, 8);
    return result;
}

uint64_t leading_ones(unsigned count) {
    return count == 0 ? 0 : count >= 64 ? ~uint64_t{0} : ~uint64_t{0} << (64 - count);
}

// One to three decimal digits.
std::optional<unsigned> parse_prefix_length(std::string_view text) {
    if (text.empty() || text.size() > 3)
        return std::nullopt;
    unsigned value = 0;
    for (char c : text) {
        if (c < '0' || c > '9')
            return std::nullopt;
        value = value * 10 + static_cast<unsigned>(c - '0');
    }
    return value;
}

// "[…]" without its brackets, and without the "IPv6:" of an address literal; IPv4 has none.
std::optional<std::string_view> strip_brackets(std::string_view text) {
    if (text.empty() || text.front() != '[')
        return text;
    if (text.back() != ']')
        return std::nullopt;
    text = text.substr(1, text.size() - 2);
    constexpr std::string_view tag = "IPv6:";
    if (text.size() > tag.size() && strncasecmp(text.data(), tag.data(), tag.size()) == 0)
        text.remove_prefix(tag.size());
    return text.find(':') == std::string_view::npos ? std::nullopt : std::optional(text);
}

} // namespace

std::optional<IpAddress> IpAddress::parse(std::string_view text) {
    char buffer[INET6_ADDRSTRLEN];
    if (text.empty() || text.size() >= sizeof buffer || text.find('\0') != std::string_view::npos)
        return std::nullopt;
    std::memcpy(buffer, text.data(), text.size());
    buffer[text.size()] = '\0';
    in_addr ipv4;
    if (::inet_pton(AF_INET, buffer, &ipv4) == 1)
        return from_ipv4(ipv4);
    in6_addr ipv6;
    if (::inet_pton(AF_INET6, buffer, &ipv6) == 1)
        return from_ipv6(ipv6);
    return std::nullopt;
}

std::string IpAddress::to_string() const {
    char buffer[INET6_ADDRSTRLEN] = "none";
    if (version == 4) {
        const in_addr address = to_ipv4(*this);
        ::inet_ntop(AF_INET, &address, buffer, sizeof buffer);
    } else if (version == 6) {
        const in6_addr address = to_ipv6(*this);
        ::inet_ntop(AF_INET6, &address, buffer, sizeof buffer);
    }
    return buffer;
}

std::string IpAddress::to_literal() const {
    return (version == 6 ? "[IPv6:" : "[") + to_string() + "]";
}

bool IpAddress::is_loopback() const {
    return (version == 4 && low >> 24 == 127) || (version == 6 && high == 0 && low == 1);
}

bool IpAddress::is_unspecified() const { return version != 0 && high == 0 && low == 0; }

IpAddress IpAddress::prefix(unsigned length) const {
    if (version == 4)
        return {4, 0, low & leading_ones(length + 32) & 0xffffffff};
    return {version, high & leading_ones(length),
            low & leading_ones(length > 64 ? length - 64 : 0)};
}

std::optional<Endpoint> Endpoint::from_sockaddr(const sockaddr& address) {
    if (address.sa_family == AF_INET) {
        sockaddr_in ipv4;
        std::memcpy(&ipv4, &address, sizeof ipv4);
        return Endpoint{from_ipv4(ipv4.sin_addr), ntohs(ipv4.sin_port)};
    }
    if (address.sa_family == AF_INET6) {
        sockaddr_in6 ipv6;
        std::memcpy(&ipv6, &address, sizeof ipv6);
        return Endpoint{from_ipv6(ipv6.sin6_addr), ntohs(ipv6.sin6_port)};
    }
    return std::nullopt;
}

unsigned Endpoint::to_sockaddr(sockaddr_storage& storage) const {
    std::memset(&storage, 0, sizeof storage);
    if (address.version == 4) {
        sockaddr_in ipv4{};
        ipv4.sin_family = AF_INET;
        ipv4.sin_port = htons(port);
        ipv4.sin_addr = to_ipv4(address);
        std::memcpy(&storage, &ipv4, sizeof ipv4);
        return sizeof ipv4;
    }
    if (address.version == 6) {
        sockaddr_in6 ipv6{};
        ipv6.sin6_family = AF_INET6;
        ipv6.sin6_port = htons(port);
        ipv6.sin6_addr = to_ipv6(address);
        std::memcpy(&storage, &ipv6, sizeof ipv6);
        return sizeof ipv6;
    }
    storage.ss_family = AF_UNSPEC; // bind and connect refuse it
    return sizeof storage.ss_family;
}

std::string Endpoint::to_string() const {
    const std::string text = address.to_string();
    return (address.version == 6 ? "[" + text + "]" : text) + ":" + std::to_string(port);
}

std::optional<Network> Network::parse(std::string_view text) {
    // "[2001:db8::]/32" and "[2001:db8::/32]" are both in use.
    const bool wraps_all = !text.empty() && text.back() == ']';
    const auto unwrapped = wraps_all ? strip_brackets(text) : text;
    if (!unwrapped)
        return std::nullopt;
    const size_t slash = unwrapped->rfind('/');
    const std::string_view before = unwrapped->substr(0, slash);
    const auto address_text = wraps_all ? before : strip_brackets(before);
    if (!address_text)
        return std::nullopt;
    if (slash == std::string_view::npos) {
        const auto address = IpAddress::parse(*address_text);
        if (!address)
            return std::nullopt;
        return Network{*address, static_cast<uint8_t>(address->version == 4 ? 32 : 128)};
    }
    const bool written_as_ipv6 = address_text->find(':') != std::string_view::npos;
    std::string padded(*address_text);
    if (!written_as_ipv6) // "10/8" and "192.168/16" too
        for (auto dots = std::count(padded.begin(), padded.end(), '.'); dots < 3; ++dots)
            padded += ".0";
    const auto address = IpAddress::parse(padded);
    const auto length = parse_prefix_length(unwrapped->substr(slash + 1));
    if (!address || !length)
        return std::nullopt;
    const unsigned least = address->version == 4 && written_as_ipv6 ? 96 : 0; // IPv4-mapped
    const unsigned most = least + (address->version == 4 ? 32 : 128);
    if (*length < least || *length > most)
        return std::nullopt;
    return Network{address->prefix(*length - least), static_cast<uint8_t>(*length - least)};
}

bool Network::contains(const IpAddress& other) const {
    return other.version != 0 && other.version == address.version &&
           other.prefix(prefix_length) == address.prefix(prefix_length);
}

} // namespace postern
