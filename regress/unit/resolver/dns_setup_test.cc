#include "smtpd/resolver/dns_setup.h"

#include <gtest/gtest.h>

namespace postern {
namespace {

std::string joined(const std::vector<Endpoint>& servers) {
    std::string out;
    for (const Endpoint& server : servers)
        out += (out.empty() ? "" : " ") + server.to_string();
    return out;
}

TEST(NameServers, AreReadAsTheCLibraryDoes) {
    struct {
        const char* text;
        const char* expected;
    } const cases[] = {
        {"nameserver 192.0.2.53\n", "192.0.2.53:53"},
        {"search a.test\n nameserver\t192.0.2.53 # office\nnameserver 2001:db8::53",
         "192.0.2.53:53 [2001:db8::53]:53"},
        {"", "127.0.0.1:53"},
        {"#nameserver 192.0.2.1\n;nameserver 192.0.2.1\nnameservers 192.0.2.1\n", "127.0.0.1:53"},
        {"nameserver dns.test\nnameserver\noptions edns0\n", "127.0.0.1:53"},
    };
    for (const auto& c : cases)
        EXPECT_EQ(joined(parse_name_servers(c.text)), c.expected) << c.text;

    std::string many;
    for (int i = 0; i < 100; ++i)
        many += "nameserver 192.0.2." + std::to_string(i) + "\n";
    EXPECT_EQ(parse_name_servers(many).size(), name_server_limit);
}

constexpr const char* ds = "test. IN DS 12345 13 2 "
                           "0000000000000000000000000000000000000000000000000000000000000001";

TEST(TrustAnchor, IsReadFromZoneFileText) {
    const std::string text = std::string("; our zone\n$TTL 300\n\n") + ds + " ; key\n" +
                             "sub.test. IN DS ( 1 13 2 ; split\n"
                             "  00000000000000000000000000000000 \n"
                             "  00000000000000000000000000000002 )\n";
    const auto records = parse_trust_anchor(text);
    ASSERT_TRUE(records.ok()) << records.error().message;
    ASSERT_EQ(records->size(), 2u);
    EXPECT_EQ((*records)[0], ds);
}

TEST(TrustAnchor, ErrorsNameTheLine) {
    struct {
        std::string text;
        const char* expected; // part of the message
    } const cases[] = {
        {"\nnonsense here\n", "line 2"},
        {"test. IN A 192.0.2.1\n", "neither a DS nor a DNSKEY"},
        {"test. IN DS ( 1 13 2", "not closed"},
        {"test. IN DS ) 1", "line 1: parentheses"},
    };
    for (const auto& c : cases) {
        const auto records = parse_trust_anchor(c.text);
        ASSERT_FALSE(records.ok()) << c.text;
        EXPECT_NE(records.error().message.find(c.expected), std::string::npos)
            << records.error().message;
    }
}

TEST(Setup, FollowsTheMode) {
    const Endpoint system{*IpAddress::parse("192.0.2.1"), 53};
    const Endpoint given{*IpAddress::parse("127.0.0.1"), 5353};
    ipc::ResolverSettings settings;
    settings.trust_anchor = ds;
    settings.forwarders = {given};

    settings.mode = ResolverMode::system;
    auto setup = make_setup(settings, {system});
    ASSERT_TRUE(setup.ok());
    EXPECT_EQ(setup->servers, std::vector{system});
    EXPECT_TRUE(setup->anchors.empty());

    settings.mode = ResolverMode::forward;
    setup = make_setup(settings, {system});
    ASSERT_TRUE(setup.ok());
    EXPECT_EQ(setup->servers, std::vector{given});
    EXPECT_EQ(setup->anchors.size(), 1u);

    settings.mode = ResolverMode::recursive;
    setup = make_setup(settings, {system});
    ASSERT_TRUE(setup.ok());
    EXPECT_TRUE(setup->servers.empty());
    EXPECT_EQ(setup->anchors.size(), 1u);
}

TEST(Setup, RefusesWhatCannotWork) {
    ipc::ResolverSettings settings;
    settings.mode = ResolverMode::forward;
    EXPECT_FALSE(make_setup(settings, {}).ok());
    // Somebody who names a trust anchor does not want to go without one.
    settings.mode = ResolverMode::recursive;
    settings.trust_anchor = "; nothing\n";
    EXPECT_FALSE(make_setup(settings, {}).ok());
}

} // namespace
} // namespace postern
