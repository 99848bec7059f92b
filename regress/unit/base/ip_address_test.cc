// Addresses, endpoints and networks: what parses, how it is written, what contains what.
#include "common/base/ip_address.h"

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>

namespace postern {
namespace {

TEST(IpAddress, ParsesAndWritesTheCanonicalForm) {
    const struct {
        const char* text;
        const char* canonical; // nullptr: not an address
        const char* literal;
    } cases[] = {
        {"192.0.2.1", "192.0.2.1", "[192.0.2.1]"},
        {"0.0.0.0", "0.0.0.0", "[0.0.0.0]"},
        {"255.255.255.255", "255.255.255.255", "[255.255.255.255]"},
        {"2001:db8::1", "2001:db8::1", "[IPv6:2001:db8::1]"},
        {"2001:DB8:0:0:0:0:0:1", "2001:db8::1", "[IPv6:2001:db8::1]"},
        {"::", "::", "[IPv6:::]"},
        {"::1", "::1", "[IPv6:::1]"},
        {"::ffff:192.0.2.1", "192.0.2.1", "[192.0.2.1]"},
        {"::ffff:c000:201", "192.0.2.1", "[192.0.2.1]"},
        {"::fffe:192.0.2.1", "::fffe:c000:201", "[IPv6:::fffe:c000:201]"},
        {"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
         "[IPv6:ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]"},
        {"", nullptr, nullptr},
        {"192.0.2", nullptr, nullptr},
        {"192.0.2.256", nullptr, nullptr},
        {"192.0.2.1.1", nullptr, nullptr},
        {"192.0.2.01", nullptr, nullptr}, // octal to some: ambiguous, so refused
        {" 192.0.2.1", nullptr, nullptr},
        {"[::1]", nullptr, nullptr},
        {"fe80::1%eth0", nullptr, nullptr},
        {":::", nullptr, nullptr},
        {"2001:db8::1::2", nullptr, nullptr},
        {"localhost", nullptr, nullptr},
        {"1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa:bbbb:cccc", nullptr, nullptr},
    };
    for (const auto& c : cases) {
        SCOPED_TRACE(c.text);
        const auto address = IpAddress::parse(c.text);
        ASSERT_EQ(address.has_value(), c.canonical != nullptr);
        if (!address)
            continue;
        EXPECT_EQ(address->to_string(), c.canonical);
        EXPECT_EQ(address->to_literal(), c.literal);
        EXPECT_EQ(IpAddress::parse(address->to_string()), address);
    }
    EXPECT_FALSE(IpAddress::parse(std::string_view("192.0.2.1\0", 10)));
    EXPECT_EQ(IpAddress{}.to_string(), "none");
}

TEST(IpAddress, KnowsLoopbackAndUnspecified) {
    for (const char* text : {"127.0.0.1", "127.255.255.254", "::1", "::ffff:127.0.0.1"})
        EXPECT_TRUE(IpAddress::parse(text)->is_loopback()) << text;
    for (const char* text : {"128.0.0.1", "126.255.255.255", "::2", "::", "1::1", "0.0.0.1"})
        EXPECT_FALSE(IpAddress::parse(text)->is_loopback()) << text;
    EXPECT_TRUE(IpAddress::parse("0.0.0.0")->is_unspecified());
    EXPECT_TRUE(IpAddress::parse("::")->is_unspecified());
    EXPECT_FALSE(IpAddress::parse("::1")->is_unspecified());
    EXPECT_FALSE(IpAddress{}.is_unspecified());
    EXPECT_FALSE(IpAddress{}.is_loopback());
}

TEST(Endpoint, SurvivesTheSocketForm) {
    for (const char* text : {"192.0.2.1", "2001:db8::1", "::"}) {
        const Endpoint endpoint{*IpAddress::parse(text), 2525};
        sockaddr_storage storage;
        const unsigned length = endpoint.to_sockaddr(storage);
        EXPECT_EQ(length,
                  endpoint.address.version == 4 ? sizeof(sockaddr_in) : sizeof(sockaddr_in6));
        EXPECT_EQ(Endpoint::from_sockaddr(reinterpret_cast<const sockaddr&>(storage)), endpoint);
    }
    EXPECT_EQ((Endpoint{*IpAddress::parse("192.0.2.1"), 25}.to_string()), "192.0.2.1:25");
    EXPECT_EQ((Endpoint{*IpAddress::parse("2001:db8::1"), 25}.to_string()), "[2001:db8::1]:25");
}

TEST(Endpoint, RefusesOtherFamilies) {
    sockaddr_storage storage;
    Endpoint{}.to_sockaddr(storage);
    EXPECT_EQ(storage.ss_family, AF_UNSPEC);
    storage.ss_family = AF_UNIX;
    EXPECT_FALSE(Endpoint::from_sockaddr(reinterpret_cast<const sockaddr&>(storage)));
}

TEST(Endpoint, MappedPeerIsAnIpv4Peer) {
    sockaddr_in6 peer{};
    peer.sin6_family = AF_INET6;
    peer.sin6_port = htons(25);
    peer.sin6_addr.s6_addr[10] = peer.sin6_addr.s6_addr[11] = 0xff;
    peer.sin6_addr.s6_addr[12] = 192;
    peer.sin6_addr.s6_addr[15] = 7;
    EXPECT_EQ(Endpoint::from_sockaddr(reinterpret_cast<const sockaddr&>(peer))->to_string(),
              "192.0.0.7:25");
}

TEST(Network, ContainsItsAddresses) {
    const struct {
        const char* network;
        const char* address;
        bool contained;
    } cases[] = {
        {"192.0.2.0/24", "192.0.2.255", true},
        {"192.0.2.0/24", "192.0.3.0", false},
        {"192.0.2.77/24", "192.0.2.1", true}, // host bits do not count
        {"192.0.2.1", "192.0.2.1", true},
        {"192.0.2.1", "192.0.2.2", false},
        {"192.0.2.0/31", "192.0.2.1", true},
        {"192.0.2.0/31", "192.0.2.2", false},
        {"192.0.2.1/32", "192.0.2.1", true},
        {"0.0.0.0/0", "203.0.113.9", true},
        {"0.0.0.0/0", "2001:db8::1", false},
        {"10/8", "10.255.0.1", true},
        {"192.168/16", "192.168.9.9", true},
        {"::/0", "2001:db8::1", true},
        {"::/0", "192.0.2.1", false},
        {"2001:db8::/32", "2001:db8:ffff::1", true},
        {"2001:db8::/32", "2001:db9::1", false},
        {"[2001:db8::]/32", "2001:db8::1", true},
        {"[2001:db8::/32]", "2001:db8::1", true},
        {"[::1]", "::1", true},
        {"[IPv6:2001:db8::1]", "2001:db8::1", true},
        {"2001:db8::/64", "2001:db8::ffff:ffff:ffff:ffff", true},
        {"2001:db8::/64", "2001:db8:0:1::", false},
        {"2001:db8::/65", "2001:db8::7fff:0:0:0", true},
        {"2001:db8::/65", "2001:db8::8000:0:0:0", false},
        {"2001:db8::1/128", "2001:db8::1", true},
        {"2001:db8::1/128", "2001:db8::2", false},
        {"::ffff:192.0.2.0/120", "192.0.2.9", true},
        {"192.0.2.0/24", "::ffff:192.0.2.9", true},
    };
    for (const auto& c : cases) {
        const auto network = Network::parse(c.network);
        ASSERT_TRUE(network) << c.network;
        EXPECT_EQ(network->contains(*IpAddress::parse(c.address)), c.contained)
            << c.network << " and " << c.address;
    }
    EXPECT_FALSE(Network::parse("0.0.0.0/0")->contains(IpAddress{}));
    EXPECT_FALSE(Network{}.contains(IpAddress{}));
}

TEST(Network, RefusesWhatIsNone) {
    for (const char* text : {"",
                             "/",
                             "/8",
                             "192.0.2.0/",
                             "192.0.2.0/33",
                             "192.0.2.0/-1",
                             "192.0.2.0/ 8",
                             "10",
                             "192.0.2.0/0024",
                             "2001:db8::/129",
                             "2001:db8::/1280",
                             "[2001:db8::",
                             "2001:db8::]",
                             "[192.0.2.1]",
                             "[]",
                             "[]/8",
                             "[::1]x",
                             "example.org",
                             "example.org/24",
                             "192.0.2.0/24/8",
                             "::ffff:192.0.2.0/95",
                             "[[::1]]"})
        EXPECT_FALSE(Network::parse(text)) << text;
}

} // namespace
} // namespace postern
