// PROXY headers, good, bad and cut short.
#include "common/smtp/proxy_header.h"

#include <gtest/gtest.h>

#include <string>

#include "common/base/crc32c.h"

namespace postern {
namespace {

using namespace std::string_literals;

std::string outcome(std::string_view input, bool only_v2 = false) {
    const ProxyHeader header = parse_proxy_header(input, only_v2);
    switch (header.status) {
    case ProxyStatus::incomplete:
        return "incomplete";
    case ProxyStatus::bad:
        return "bad";
    case ProxyStatus::client:
        return header.client.to_string() + " " + std::to_string(header.length);
    case ProxyStatus::own:
        return "own " + std::to_string(header.length);
    case ProxyStatus::unknown:
        return "unknown " + std::to_string(header.length);
    }
    return "?";
}

TEST(ProxyHeaderV1, Table) {
    const struct {
        std::string input;
        const char* expected;
    } table[] = {
        {"PROXY TCP4 192.0.2.7 192.0.2.1 4711 25\r\n", "192.0.2.7 40"},
        {"PROXY TCP4 192.0.2.7 192.0.2.1 4711 25\r\nEHLO x\r\n", "192.0.2.7 40"},
        {"PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n", "255.255.255.255 56"},
        {"PROXY TCP6 2001:db8::7 2001:db8::1 0 25\r\n", "2001:db8::7 41"},
        {"PROXY TCP6 ::ffff:192.0.2.7 ::1 1 25\r\n", "192.0.2.7 38"},
        {"PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
         "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n",
         "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 104"},
        {"PROXY UNKNOWN\r\n", "unknown 15"},
        {"PROXY UNKNOWN anything at all\r\n", "unknown 31"},
        {"PROXY UNKNOWN" + std::string(92, ' ') + "\r\n", "unknown 107"},
        {"PROXY UNKNOWN" + std::string(93, ' ') + "\r\n", "bad"},
        {std::string("PROXY ") + std::string(200, 'x'), "bad"},
        {"", "incomplete"},
        {"\n", "bad"},
        {"EHLO client.example\r\n", "bad"},
        {"proxy TCP4 192.0.2.7 192.0.2.1 4711 25\r\n", "bad"},
        {"PROXY  TCP4 192.0.2.7 192.0.2.1 4711 25\r\n", "bad"},
        {"PROXY TCP4  192.0.2.7 192.0.2.1 4711 25\r\n", "bad"},
        {"PROXY TCP4 192.0.2.7 192.0.2.1 4711 25\n", "bad"},
        {"PROXY TCP4 192.0.2.7 192.0.2.1 4711 25 \r\n", "bad"},
        {"PROXY TCP4 192.0.2.7 192.0.2.1 4711 25 1\r\n", "bad"},
        {"PROXY TCP4 192.0.2.7 192.0.2.1 4711\r\n", "bad"},
        {"PROXY TCP4 192.0.2.7 192.0.2.1 4711 \r\n", "bad"},
        {"PROXY TCP4 192.0.2.7 192.0.2.1 04711 25\r\n", "bad"},
        {"PROXY TCP4 192.0.2.7 192.0.2.1 65536 25\r\n", "bad"},
        {"PROXY TCP4 192.0.2.7 192.0.2.1 -1 25\r\n", "bad"},
        {"PROXY TCP4 192.0.2.7 192.0.2.1 4711 x\r\n", "bad"},
        {"PROXY TCP4 192.0.2 192.0.2.1 4711 25\r\n", "bad"},
        {"PROXY TCP4 192.0.2.256 192.0.2.1 4711 25\r\n", "bad"},
        {"PROXY TCP4 2001:db8::7 2001:db8::1 4711 25\r\n", "bad"},
        {"PROXY TCP6 192.0.2.7 192.0.2.1 4711 25\r\n", "bad"},
        {"PROXY TCP6 [2001:db8::7] 2001:db8::1 4711 25\r\n", "bad"},
        {"PROXY TCP4 192.0.2.7\0 192.0.2.1 4711 25\r\n"s, "bad"},
        {"PROXY TCP5 192.0.2.7 192.0.2.1 4711 25\r\n", "bad"},
        {"PROXY UDP4 192.0.2.7 192.0.2.1 4711 25\r\n", "bad"},
        {"PROXY \r\n", "bad"},
        {"PROXY\r\n", "bad"},
        {"PROXY TCP4 192.0.2.7 192.0.2.1 4711 25\r\r\n", "bad"},
    };
    for (const auto& [input, expected] : table)
        EXPECT_EQ(outcome(input), expected) << input;
}

std::string v2(unsigned command, unsigned family, std::string rest, int length = -1) {
    std::string header = "\r\n\r\n\0\r\nQUIT\n"s;
    const size_t size = length < 0 ? rest.size() : static_cast<size_t>(length);
    for (unsigned octet :
         {command, family, static_cast<unsigned>(size >> 8), static_cast<unsigned>(size & 255)})
        header += static_cast<char>(octet);
    return header + rest;
}

const std::string v4_addresses = "\xc0\x00\x02\x07\xc0\x00\x02\x01\x12\x67\x00\x19"s;
const std::string v6_addresses = "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x07"
                                 "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01\x12\x67\x00\x19"s;
const std::string mapped = "\0\0\0\0\0\0\0\0\0\0\xff\xff\xc0\x00\x02\x07"
                           "\0\0\0\0\0\0\0\0\0\0\xff\xff\xc0\x00\x02\x01\x12\x67\x00\x19"s;

std::string with_checksum(unsigned damage) {
    std::string header = v2(0x21, 0x11, v4_addresses + "\x04\x00\x01x\x03\x00\x04\0\0\0\0"s);
    const uint32_t sum = crc32c(header) ^ damage;
    for (int i = 0; i < 4; ++i)
        header[header.size() - 4 + static_cast<size_t>(i)] = static_cast<char>(sum >> (24 - 8 * i));
    return header;
}

TEST(ProxyHeaderV2, Table) {
    const struct {
        std::string input;
        const char* expected;
    } table[] = {
        {v2(0x21, 0x11, v4_addresses), "192.0.2.7 28"},
        {v2(0x21, 0x11, v4_addresses) + "EHLO x\r\n", "192.0.2.7 28"},
        {v2(0x21, 0x21, v6_addresses), "2001:db8::7 52"},
        {v2(0x21, 0x21, mapped), "192.0.2.7 52"},
        {v2(0x21, 0x11, v4_addresses + "\x01\x00\x02h2"s), "192.0.2.7 33"},
        {v2(0x21, 0x11, v4_addresses + "\x01\x00\x00"s), "192.0.2.7 31"},
        {with_checksum(0), "192.0.2.7 39"},
        {with_checksum(1), "bad"},
        {v2(0x20, 0x00, ""), "own 16"},
        {v2(0x20, 0x11, v4_addresses), "own 28"},
        {v2(0x20, 0xff, "rubbish"), "own 23"},
        {v2(0x21, 0x00, ""), "unknown 16"},
        {v2(0x21, 0x31, std::string(216, 'x')), "unknown 232"},
        {v2(0x21, 0x12, v4_addresses), "unknown 28"},
        {v2(0x22, 0x11, v4_addresses), "bad"},
        {v2(0x11, 0x11, v4_addresses), "bad"},
        {v2(0x31, 0x11, v4_addresses), "bad"},
        {v2(0x21, 0x11, v4_addresses.substr(0, 11)), "bad"},
        {v2(0x21, 0x21, v4_addresses), "bad"},
        {v2(0x21, 0x11, v4_addresses + "\x01"s), "bad"},
        {v2(0x21, 0x11, v4_addresses + "\x01\x00"s), "bad"},
        {v2(0x21, 0x11, v4_addresses + "\x01\x00\x03h2"s), "bad"},
        {v2(0x21, 0x11, v4_addresses + "\x03\x00\x02xx"s), "bad"},
        {v2(0x21, 0x11, "", 12), "incomplete"},
        {v2(0x21, 0x11, "", 4080), "incomplete"},
        {v2(0x21, 0x11, "", 4081), "bad"},
        {v2(0x21, 0x11, "", 65535), "bad"},
        {"\r\n\r\n\r\nQUIT\n\x21\x11\0\x0c"s + v4_addresses, "bad"},
    };
    for (const auto& [input, expected] : table) {
        EXPECT_EQ(outcome(input), expected) << testing::PrintToString(input);
        EXPECT_EQ(outcome(input, true), expected) << testing::PrintToString(input);
    }
}

TEST(ProxyHeaderV2, OnlyThisOneIfSaid) {
    EXPECT_EQ(outcome("PROXY TCP4 192.0.2.7 192.0.2.1 4711 25\r\n", true), "bad");
    EXPECT_EQ(outcome("P", true), "bad");
    EXPECT_EQ(outcome("", true), "incomplete");
}

// Wherever it is cut, more of it is waited for.
TEST(ProxyHeader, InPieces) {
    for (const std::string& whole :
         {"PROXY TCP4 192.0.2.7 192.0.2.1 4711 25\r\n"s, "PROXY UNKNOWN x\r\n"s,
          v2(0x21, 0x21, v6_addresses), with_checksum(0), v2(0x20, 0x00, "")})
        for (size_t cut = 0; cut < whole.size(); ++cut)
            ASSERT_EQ(outcome(std::string_view(whole).substr(0, cut)), "incomplete")
                << testing::PrintToString(whole) << " cut at " << cut;
}

TEST(ProxyHeader, AnyOctetsAreReadWithinTheirBounds) {
    uint32_t random = 4711;
    for (int round = 0; round < 20000; ++round) {
        std::string input = round % 2
                                ? v2(0x21, round % 3 ? 0x11 : 0x21, v6_addresses + v4_addresses)
                                : "PROXY TCP4 192.0.2.7 192.0.2.1 4711 25\r\n"s;
        for (int i = 0; i < 3; ++i) {
            random = random * 1664525 + 1013904223;
            input[12 + (random >> 8) % (input.size() - 12)] = static_cast<char>(random >> 24);
        }
        const ProxyHeader header = parse_proxy_header(input, false);
        if (header.status != ProxyStatus::incomplete) {
            ASSERT_LE(header.length, input.size());
        }
    }
}

// What is written is read again, and is what the specification has.
TEST(ProxyHeaderV2, Written) {
    const std::string four = proxy_header_v2(*IpAddress::parse("192.0.2.7"),
                                             Endpoint{*IpAddress::parse("198.51.100.1"), 25});
    EXPECT_EQ(four, v2(0x21, 0x11, "\xc0\x00\x02\x07\xc6\x33\x64\x01\0\0\0\x19"s));
    EXPECT_EQ(outcome(four + "EHLO x\r\n", true), "192.0.2.7 28");
    const std::string six = proxy_header_v2(*IpAddress::parse("2001:db8::7"),
                                            Endpoint{*IpAddress::parse("2001:db8::1"), 465});
    EXPECT_EQ(six, v2(0x21, 0x21, v6_addresses.substr(0, 32) + "\0\0\x01\xd1"s));
    EXPECT_EQ(outcome(six, true), "2001:db8::7 52");
}

} // namespace
} // namespace postern
