// From DNS answers to the addresses to try (RFC 5321 5.1, RFC 7505), as tables.
#include "deliver/relay/exchangers.h"

#include <algorithm>
#include <gtest/gtest.h>
#include <map>
#include <set>

namespace postern::relay {
namespace {

using ipc::ResolveAnswer;
using ipc::ResolveStatus;

using Mx = std::vector<std::pair<uint16_t, std::string>>;

ResolveAnswer mx_answer(const Mx& records) {
    ResolveAnswer answer;
    answer.status = ResolveStatus::ok;
    for (const auto& [preference, name] : records) {
        ipc::DnsRecord record;
        record.preference = preference;
        record.name = name;
        answer.records.push_back(record);
    }
    return answer;
}

ResolveAnswer status_answer(ResolveStatus status) {
    ResolveAnswer answer;
    answer.status = status;
    return answer;
}

// "192.0.2.1 192.0.2.2"; "" for no data; "?" temporary; "!" bogus; "-" no such name.
ResolveAnswer address_answer(const std::string& text) {
    if (text.empty())
        return status_answer(ResolveStatus::no_data);
    if (text == "?")
        return status_answer(ResolveStatus::temporary);
    if (text == "!")
        return status_answer(ResolveStatus::bogus);
    if (text == "-")
        return status_answer(ResolveStatus::no_domain);
    ResolveAnswer answer;
    answer.status = ResolveStatus::ok;
    for (size_t at = 0; at < text.size();) {
        const size_t space = std::min(text.find(' ', at), text.size());
        ipc::DnsRecord record;
        record.address = IpAddress::parse(text.substr(at, space - at)).value();
        answer.records.push_back(record);
        at = space + 1;
    }
    return answer;
}

Endpoint endpoint(const char* address, uint16_t port) {
    return {IpAddress::parse(address).value(), port};
}

Ourselves gateway() {
    Ourselves ourselves;
    ourselves.names = {"gw.example"};
    ourselves.endpoints = {endpoint("203.0.113.1", 25), endpoint("127.0.0.1", 2525)};
    return ourselves;
}

uint64_t always_first(uint64_t) { return 0; }
// Leaves the order as it is: each place is swapped with itself.
uint64_t always_last(uint64_t bound) { return bound - 1; }

std::string names(const RankedHosts& ranked) {
    std::string result;
    for (const Host& host : ranked.hosts)
        result += (result.empty() ? "" : " ") + host.name;
    if (ranked.failure)
        result = to_string(ranked.failure->status);
    return result;
}

std::string addresses(const ExchangerList& list) {
    std::string result;
    for (const Exchanger& exchanger : list.exchangers)
        result += (result.empty() ? "" : " ") + to_string(exchanger);
    if (list.failure)
        result = to_string(list.failure->status);
    return result;
}

TEST(RankMailExchangers, Table) {
    struct Row {
        const char* what;
        ResolveAnswer mx;
        const char* expected; // hosts in order, or the status
    };
    const Row rows[] = {
        {"one exchanger", mx_answer({{10, "mx.dest.example"}}), "mx.dest.example"},
        {"by preference", mx_answer({{30, "c.example"}, {10, "a.example"}, {20, "b.example"}}),
         "a.example b.example c.example"},
        {"preference 0 comes first", mx_answer({{1, "b.example"}, {0, "a.example"}}),
         "a.example b.example"},
        {"the largest preference", mx_answer({{65535, "b.example"}, {65534, "a.example"}}),
         "a.example b.example"},
        {"names are compared without case and final dot", mx_answer({{10, "MX.Dest.Example."}}),
         "mx.dest.example"},
        {"the same host twice: the better preference counts",
         mx_answer({{20, "a.example"}, {10, "b.example"}, {5, "A.example"}}),
         "a.example b.example"},
        {"no MX: implicit", status_answer(ResolveStatus::no_data), "dest.example"},
        {"no such domain", status_answer(ResolveStatus::no_domain), "5.1.2"},
        {"no answer", status_answer(ResolveStatus::temporary), "4.4.3"},
        {"bogus", status_answer(ResolveStatus::bogus), "4.4.3"},
        {"null MX", mx_answer({{0, ""}}), "5.1.10"},
        {"null MX of another preference", mx_answer({{10, ""}}), "5.1.10"},
        {"a null MX beside others means nothing", mx_answer({{0, ""}, {10, "a.example"}}),
         "a.example"},
        {"we are the best", mx_answer({{10, "gw.example"}, {20, "b.example"}}), "5.4.6"},
        {"we are the only one, in capitals", mx_answer({{10, "GW.Example"}}), "5.4.6"},
        {"we are a backup: only better ones are left",
         mx_answer({{10, "a.example"}, {20, "gw.example"}, {30, "c.example"}}), "a.example"},
        {"our equals go, too",
         mx_answer({{10, "a.example"}, {20, "b.example"}, {20, "gw.example"}}), "a.example"},
        {"our equals go, too, before us", mx_answer({{20, "gw.example"}, {20, "b.example"}}),
         "5.4.6"},
        {"a name that only ends like ours", mx_answer({{10, "notgw.example"}}), "notgw.example"},
    };
    for (const Row& row : rows)
        EXPECT_EQ(names(rank_mail_exchangers("dest.example", row.mx, gateway(), always_last)),
                  row.expected)
            << row.what;
}

TEST(RankMailExchangers, EqualPreferencesAreShuffledByTheRandomnessGiven) {
    const ResolveAnswer mx = mx_answer({{10, "a"}, {10, "b"}, {10, "c"}, {5, "first"}});
    EXPECT_EQ(names(rank_mail_exchangers("d.example", mx, {}, always_last)), "first a b c");
    EXPECT_NE(names(rank_mail_exchangers("d.example", mx, {}, always_first)), "first a b c");
}

TEST(RankMailExchangers, EveryOrderOfEqualsIsAsLikely) {
    const ResolveAnswer mx = mx_answer({{10, "a"}, {10, "b"}, {10, "c"}});
    std::map<std::string, int> seen;
    // Every sequence of choices of a shuffle of three: bounds 3, then 2.
    for (uint64_t choice = 0; choice < 6; ++choice) {
        uint64_t left = choice;
        Random random = [&left](uint64_t bound) {
            const uint64_t now = left % bound;
            left /= bound;
            return now;
        };
        ++seen[names(rank_mail_exchangers("d.example", mx, {}, random))];
    }
    EXPECT_EQ(seen.size(), 6u);
}

TEST(RankMailExchangers, OurselvesBeyondTheLimitStillCut) {
    Mx records;
    for (int i = 0; i < 40; ++i)
        records.push_back({10, "mx" + std::to_string(i) + ".example"});
    EXPECT_EQ(
        rank_mail_exchangers("d.example", mx_answer(records), gateway(), always_last).hosts.size(),
        hosts_limit);
    records.push_back({10, "gw.example"});
    EXPECT_EQ(names(rank_mail_exchangers("d.example", mx_answer(records), gateway(), always_last)),
              "5.4.6");
}

struct HostRow {
    uint16_t preference;
    const char* name;
    const char* a;
    const char* aaaa;
};

ExchangerList order(const std::vector<HostRow>& rows, bool cut_loops = true,
                    const Ourselves& ourselves = gateway(), uint16_t port = 25) {
    std::vector<Host> hosts;
    std::vector<HostAddresses> answers;
    for (const HostRow& row : rows) {
        hosts.push_back({row.preference, row.name});
        answers.push_back({address_answer(row.a), address_answer(row.aaaa)});
    }
    return order_exchangers("dest.example", hosts, answers, port, cut_loops, ourselves);
}

TEST(OrderExchangers, Table) {
    struct Row {
        const char* what;
        std::vector<HostRow> hosts;
        const char* expected;
    };
    const Row rows[] = {
        {"one address", {{10, "mx", "192.0.2.1", ""}}, "mx[192.0.2.1]:25"},
        {"IPv6 only", {{10, "mx", "", "2001:db8::1"}}, "mx[2001:db8::1]:25"},
        {"a multi-homed host: all of its addresses, in the order given",
         {{10, "mx", "192.0.2.2 192.0.2.1", ""}},
         "mx[192.0.2.2]:25 mx[192.0.2.1]:25"},
        {"families alternate",
         {{10, "mx", "192.0.2.1 192.0.2.2", "2001:db8::1 2001:db8::2"}},
         "mx[2001:db8::1]:25 mx[192.0.2.1]:25 mx[2001:db8::2]:25 mx[192.0.2.2]:25"},
        {"one family longer than the other",
         {{10, "mx", "192.0.2.1 192.0.2.2 192.0.2.3", "2001:db8::1"}},
         "mx[2001:db8::1]:25 mx[192.0.2.1]:25 mx[192.0.2.2]:25 mx[192.0.2.3]:25"},
        {"hosts one after the other",
         {{10, "a", "192.0.2.1", ""}, {20, "b", "192.0.2.2", ""}},
         "a[192.0.2.1]:25 b[192.0.2.2]:25"},
        {"an address of two hosts is tried once",
         {{10, "a", "192.0.2.1", ""}, {20, "b", "192.0.2.1 192.0.2.2", ""}},
         "a[192.0.2.1]:25 b[192.0.2.2]:25"},
        {"a family that cannot be looked up does not matter",
         {{10, "mx", "192.0.2.1", "?"}},
         "mx[192.0.2.1]:25"},
        {"a host without address is passed over",
         {{10, "a", "-", "-"}, {20, "b", "192.0.2.2", ""}},
         "b[192.0.2.2]:25"},
        {"a host that cannot be looked up is passed over",
         {{10, "a", "?", "?"}, {20, "b", "192.0.2.2", ""}},
         "b[192.0.2.2]:25"},
        {"none has an address", {{10, "a", "-", "-"}, {20, "b", "", ""}}, "5.4.4"},
        {"the implicit MX has none", {{0, "dest.example", "", ""}}, "5.4.4"},
        {"one may have an address", {{10, "a", "-", "-"}, {20, "b", "", "?"}}, "4.4.3"},
        {"bogus addresses are none", {{10, "a", "!", "!"}}, "4.4.3"},
        {"addresses that no host has",
         {{10, "a", "0.0.0.0 224.0.0.1 255.255.255.255 0.1.2.3", ":: ff02::1"}},
         "5.4.4"},
        {"one usable among them", {{10, "a", "0.0.0.0 192.0.2.1", "::"}}, "a[192.0.2.1]:25"},
        {"we are the best, by address", {{10, "alias", "203.0.113.1", ""}}, "5.4.6"},
        {"one of several addresses is ours",
         {{10, "alias", "192.0.2.1 203.0.113.1", "2001:db8::1"}},
         "5.4.6"},
        {"we are a backup, by address",
         {{10, "a", "192.0.2.1", ""}, {20, "alias", "203.0.113.1", ""}, {30, "c", "192.0.2.3", ""}},
         "a[192.0.2.1]:25"},
        {"our equals by address go, whatever their place",
         {{10, "a", "192.0.2.1", ""}, {20, "b", "192.0.2.2", ""}, {20, "alias", "203.0.113.1", ""}},
         "a[192.0.2.1]:25"},
        {"the better one cannot be looked up, then it is us: not a loop, later",
         {{10, "a", "?", "?"}, {20, "alias", "203.0.113.1", ""}},
         "4.4.3"},
        {"the better one has no address, then it is us",
         {{10, "a", "", ""}, {20, "alias", "203.0.113.1", ""}},
         "5.4.4"},
        {"our address, but a port where we do not listen",
         {{10, "a", "127.0.0.1", ""}},
         "a[127.0.0.1]:25"},
    };
    for (const Row& row : rows)
        EXPECT_EQ(addresses(order(row.hosts)), row.expected) << row.what;
}

// An AAAA record can hold an IPv4 address, ours for example: ::ffff:203.0.113.1, ::203.0.113.1.
TEST(OrderExchangers, Ipv4AddressesWrittenAsIpv6AreNone) {
    HostAddresses answers{address_answer("192.0.2.1"), address_answer("2001:db8::1")};
    for (uint64_t prefix : {uint64_t{0xffff} << 32, uint64_t{0}}) {
        ipc::DnsRecord record;
        record.address = {6, 0, prefix | 0xcb007101};
        answers.aaaa.records.push_back(record);
    }
    EXPECT_EQ(
        addresses(order_exchangers("dest.example", {{10, "a"}}, {answers}, 25, true, gateway())),
        "a[2001:db8::1]:25 a[192.0.2.1]:25");
}

TEST(OrderExchangers, AConfiguredHostMayBeOurselves) {
    EXPECT_EQ(addresses(order({{0, "alias", "203.0.113.1", ""}}, false)), "alias[203.0.113.1]:25");
}

TEST(OrderExchangers, AddressesAreBoundedByHostAndInAll) {
    std::string many;
    for (int i = 1; i <= 200; ++i)
        many += (many.empty() ? "" : " ") + ("192.0.2." + std::to_string(i));
    ExchangerList list =
        order({{10, "a", many.c_str(), "2001:db8::1"}, {20, "b", "198.51.100.1", ""}});
    ASSERT_EQ(list.exchangers.size(), addresses_per_host_limit + 1);
    EXPECT_EQ(list.exchangers.back().host, "b") << "many addresses of one host hide the next";

    std::vector<HostRow> rows;
    std::vector<std::string> texts;
    for (int i = 1; i <= 200; ++i)
        texts.push_back("192.0.2." + std::to_string(i));
    for (const std::string& text : texts)
        rows.push_back({10, "mx", text.c_str(), ""});
    EXPECT_EQ(order(rows).exchangers.size(), addresses_limit);
}

TEST(Ourselves, Endpoints) {
    Ourselves ourselves;
    ourselves.endpoints = {endpoint("0.0.0.0", 25), endpoint("::1", 2525),
                           endpoint("192.0.2.9", 587)};
    ourselves.machine_addresses = {*IpAddress::parse("192.0.2.7"),
                                   *IpAddress::parse("2001:db8::7")};
    struct Row {
        const char* address;
        uint16_t port;
        bool ours;
    };
    const Row rows[] = {
        {"192.0.2.7", 25, true},  {"192.0.2.7", 26, false},
        {"192.0.2.8", 25, false}, {"127.0.0.1", 25, true},
        {"127.1.2.3", 25, true},  {"2001:db8::7", 25, false}, // no IPv6 listener on 25
        {"::1", 25, false},       {"::1", 2525, true},
        {"192.0.2.9", 587, true}, {"192.0.2.9", 25, false},
    };
    for (const Row& row : rows)
        EXPECT_EQ(ourselves.has_endpoint(endpoint(row.address, row.port)), row.ours)
            << row.address << " " << row.port;
}

TEST(LiteralExchanger, Table) {
    struct Row {
        const char* literal;
        const char* expected;
    };
    const Row rows[] = {
        {"[192.0.2.1]", "[192.0.2.1]:25"},
        {"[IPv6:2001:db8::1]", "[2001:db8::1]:25"},
        {"[203.0.113.1]", "5.4.6"}, // ourselves
        {"[0.0.0.0]", "5.1.2"},
        {"[IPv6:::]", "5.1.2"},
        {"[224.0.0.1]", "5.1.2"},
        {"[2001:db8::1]", "5.1.2"}, // without its tag
        {"[192.0.2.1", "5.1.2"},
        {"[]", "5.1.2"},
        {"[X400:whatever]", "5.1.2"},
    };
    for (const Row& row : rows)
        EXPECT_EQ(addresses(literal_exchanger(row.literal, 25, gateway())), row.expected)
            << row.literal;
}

TEST(Localhost, Names) {
    EXPECT_TRUE(is_localhost("localhost"));
    EXPECT_TRUE(is_localhost("LocalHost."));
    EXPECT_TRUE(is_localhost("mail.localhost"));
    EXPECT_FALSE(is_localhost("localhost.example"));
    EXPECT_FALSE(is_localhost("notlocalhost"));
    EXPECT_FALSE(is_localhost(".localhost"));
    EXPECT_EQ(addresses(order_exchangers("localhost", {{0, "localhost"}}, {localhost_addresses()},
                                         2626, false, {})),
              "localhost[::1]:2626 localhost[127.0.0.1]:2626");
}

} // namespace
} // namespace postern::relay
