// Internet addresses, endpoints and networks as plain values that can be compared, logged and sent.
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>

struct sockaddr;
struct sockaddr_storage;

namespace postern {

struct IpAddress {
    uint8_t version = 0; // 4, 6, or 0 for none
    uint64_t high =
        0; // the address in network order, as numbers; IPv4 is in the low 32 bits of `low`
    uint64_t low = 0;

    // "192.0.2.1" or "2001:db8::1", without brackets. An IPv4-mapped IPv6 address becomes the IPv4
    // one.
    static std::optional<IpAddress> parse(std::string_view text);
    std::string to_string() const;
    // The form of RFC 5321 4.1.3, brackets included: "[192.0.2.1]", "[IPv6:2001:db8::1]".
    std::string to_literal() const;
    bool is_loopback() const;
    bool is_unspecified() const;
    // The network part: everything behind the first `length` bits is cleared.
    IpAddress prefix(unsigned length) const;

    auto operator<=>(const IpAddress&) const = default;
    static constexpr auto fields(auto& m) { return std::tie(m.version, m.high, m.low); }
};

struct Endpoint {
    IpAddress address;
    uint16_t port = 0;

    static std::optional<Endpoint> from_sockaddr(const sockaddr& address);
    // Fills `storage` and returns the length to hand to bind(2) or connect(2).
    unsigned to_sockaddr(sockaddr_storage& storage) const;
    std::string to_string() const; // "192.0.2.1:25", "[2001:db8::1]:25"

    auto operator<=>(const Endpoint&) const = default;
    static constexpr auto fields(auto& m) { return std::tie(m.address, m.port); }
};

struct Network {
    IpAddress address;
    uint8_t prefix_length = 0;

    // "192.0.2.0/24", "2001:db8::/32", or a single address; brackets around IPv6 are accepted.
    static std::optional<Network> parse(std::string_view text);
    bool contains(const IpAddress& other) const;

    static constexpr auto fields(auto& m) { return std::tie(m.address, m.prefix_length); }
};

} // namespace postern
