#include "smtpd/resolver/answer.h"

#include <gtest/gtest.h>

#include <random>
#include <sstream>

#include "regress/unit/resolver/packets.h"

namespace postern {
namespace {

using ipc::RecordType;
using ipc::ResolveStatus;
using test::make_packet;
using test::PacketText;

const char* name_of(ResolveStatus status) {
    constexpr const char* names[] = {"ok", "no_data", "no_domain", "temporary", "bogus"};
    return names[static_cast<int>(status)];
}

// "ok mx.test: 10 a.test, 20 b.test"
std::string describe(const ipc::ResolveAnswer& answer, RecordType type) {
    std::ostringstream out;
    out << name_of(answer.status) << " " << answer.canonical_name << ":";
    const char* separator = " ";
    for (const ipc::DnsRecord& record : answer.records) {
        out << separator;
        separator = ", ";
        if (type == RecordType::mx)
            out << record.preference << " ";
        if (record.address.version != 0)
            out << record.address.to_string();
        out << record.name << record.data;
    }
    return out.str();
}

struct Case {
    const char* what;
    RecordType type;
    const char* name; // asked
    PacketText packet;
    const char* expected;
};

void PrintTo(const Case& c, std::ostream* out) { *out << c.what; }

const Case cases[] = {
    {"an address",
     RecordType::a,
     "a.test",
     {"a.test", LDNS_RR_TYPE_A, {"a.test A 192.0.2.1"}},
     "ok a.test: 192.0.2.1"},
    {"addresses of version 6",
     RecordType::aaaa,
     "a.test",
     {"a.test", LDNS_RR_TYPE_AAAA, {"a.test AAAA 2001:db8::1", "a.test AAAA 2001:db8::2"}},
     "ok a.test: 2001:db8::1, 2001:db8::2"},
    {"mail exchangers, lower-cased, in the packet's order",
     RecordType::mx,
     "d.test",
     {"D.test", LDNS_RR_TYPE_MX, {"d.TEST MX 20 B.test", "d.test MX 10 a.test"}},
     "ok d.test: 20 b.test, 10 a.test"},
    {"a Null MX (RFC 7505) has the empty name",
     RecordType::mx,
     "d.test",
     {"d.test", LDNS_RR_TYPE_MX, {"d.test MX 0 ."}},
     "ok d.test: 0 "},
    {"an underscore in an exchanger's name",
     RecordType::mx,
     "d.test",
     {"d.test", LDNS_RR_TYPE_MX, {"d.test MX 5 mail_1.test"}},
     "ok d.test: 5 mail_1.test"},
    {"an exchanger whose name is none is dropped",
     RecordType::mx,
     "d.test",
     {"d.test",
      LDNS_RR_TYPE_MX,
      {"d.test MX 5 a\\032b.test", "d.test MX 6 x\\010y.test", "d.test MX 7 mx.test",
       "d.test MX 8 evil\\;.test", "d.test MX 9 a\\.b.test"}},
     "ok d.test: 7 mx.test"},
    {"with only such exchangers there is no answer, not a domain without MX",
     RecordType::mx,
     "d.test",
     {"d.test", LDNS_RR_TYPE_MX, {"d.test MX 5 a\\032b.test"}},
     "temporary d.test:"},
    {"the name of an address",
     RecordType::ptr,
     "1.2.0.192.in-addr.arpa",
     {"1.2.0.192.in-addr.arpa", LDNS_RR_TYPE_PTR, {"1.2.0.192.in-addr.arpa PTR Host.test"}},
     "ok 1.2.0.192.in-addr.arpa: host.test"},
    {"the root is no host's name",
     RecordType::ptr,
     "1.2.0.192.in-addr.arpa",
     {"1.2.0.192.in-addr.arpa", LDNS_RR_TYPE_PTR, {"1.2.0.192.in-addr.arpa PTR ."}},
     "temporary 1.2.0.192.in-addr.arpa:"},
    {"delegation of reverse zones (RFC 2317) by an alias",
     RecordType::ptr,
     "1.2.0.192.in-addr.arpa",
     {"1.2.0.192.in-addr.arpa",
      LDNS_RR_TYPE_PTR,
      {"1.2.0.192.in-addr.arpa CNAME 1.0/25.2.0.192.in-addr.arpa",
       "1.0/25.2.0.192.in-addr.arpa PTR host.test"}},
     "ok 1.0/25.2.0.192.in-addr.arpa: host.test"},
    {"the strings of a text are joined",
     RecordType::txt,
     "d.test",
     {"d.test", LDNS_RR_TYPE_TXT, {"d.test TXT \"v=spf1 \" \"-all\"", "d.test TXT \"\""}},
     "ok d.test: v=spf1 -all, "},
    {"a chain of aliases",
     RecordType::a,
     "a.test",
     {"a.test",
      LDNS_RR_TYPE_A,
      {"c.test A 192.0.2.3", "b.test CNAME c.test", "a.test CNAME B.test"}},
     "ok c.test: 192.0.2.3"},
    {"an alias that leads to nothing",
     RecordType::a,
     "a.test",
     {"a.test", LDNS_RR_TYPE_A, {"a.test CNAME b.test"}},
     "no_data b.test:"},
    {"an alias that leads nowhere",
     RecordType::a,
     "a.test",
     {"a.test", LDNS_RR_TYPE_A, {"a.test CNAME b.test"}, LDNS_RCODE_NXDOMAIN},
     "no_domain b.test:"},
    {"aliases in a circle",
     RecordType::a,
     "a.test",
     {"a.test", LDNS_RR_TYPE_A, {"a.test CNAME b.test", "b.test CNAME a.test"}},
     "temporary a.test:"},
    {"the alias itself, when it is asked for",
     RecordType::cname,
     "a.test",
     {"a.test", LDNS_RR_TYPE_CNAME, {"a.test CNAME b.test"}},
     "ok a.test: b.test"},
    {"records of others are not taken",
     RecordType::a,
     "a.test",
     {"a.test", LDNS_RR_TYPE_A, {"b.test A 192.0.2.9", "a.test CH A 192.0.2.8"}},
     "no_data a.test:"},
    {"a name without such records",
     RecordType::mx,
     "a.test",
     {"a.test", LDNS_RR_TYPE_MX, {}},
     "no_data a.test:"},
    {"no such name",
     RecordType::mx,
     "a.test",
     {"a.test", LDNS_RR_TYPE_MX, {}, LDNS_RCODE_NXDOMAIN},
     "no_domain a.test:"},
    {"a server that fails",
     RecordType::mx,
     "a.test",
     {"a.test", LDNS_RR_TYPE_MX, {}, LDNS_RCODE_SERVFAIL},
     "temporary a.test:"},
    {"a server that refuses",
     RecordType::mx,
     "a.test",
     {"a.test", LDNS_RR_TYPE_MX, {}, LDNS_RCODE_REFUSED},
     "temporary a.test:"},
    {"the answer to another question",
     RecordType::a,
     "a.test",
     {"b.test", LDNS_RR_TYPE_A, {"a.test A 192.0.2.1"}},
     "temporary a.test:"},
    {"the answer to another type's question",
     RecordType::a,
     "a.test",
     {"a.test", LDNS_RR_TYPE_AAAA, {"a.test A 192.0.2.1"}},
     "temporary a.test:"},
    {"a question instead of an answer",
     RecordType::a,
     "a.test",
     {"a.test", LDNS_RR_TYPE_A, {"a.test A 192.0.2.1"}, LDNS_RCODE_NOERROR, false},
     "temporary a.test:"},
    {"a truncated answer",
     RecordType::a,
     "a.test",
     {"a.test", LDNS_RR_TYPE_A, {"a.test A 192.0.2.1"}, LDNS_RCODE_NOERROR, true, true},
     "temporary a.test:"},
};

class ParseAnswer : public testing::TestWithParam<Case> {};
INSTANTIATE_TEST_SUITE_P(Table, ParseAnswer, testing::ValuesIn(cases));

TEST_P(ParseAnswer, GivesWhatIsInThePacket) {
    const Case& c = GetParam();
    const DnsQuestion question{c.type, c.name, {}};
    EXPECT_EQ(describe(parse_answer(make_packet(c.packet), question), c.type), c.expected);
}

TEST(ParseAnswer, TakesTheDataOfTlsaRecordsAsTheyAre) {
    const std::string name = "_25._tcp.mx.test";
    const std::string wire = make_packet({name, LDNS_RR_TYPE_TLSA, {name + " TLSA 3 1 1 00ff41"}});
    const auto answer = parse_answer(wire, {RecordType::tlsa, name, {}});
    ASSERT_EQ(answer.records.size(), 1u);
    EXPECT_EQ(answer.records[0].data, std::string("\3\1\1\0\xff\x41", 6));
}

TEST(ParseAnswer, PassesOnABoundedNumberOfRecords) {
    PacketText text{"d.test", LDNS_RR_TYPE_MX};
    for (int i = 0; i < 300; ++i)
        text.answer.push_back("d.test MX " + std::to_string(i) + " mx" + std::to_string(i) +
                              ".test");
    const auto answer = parse_answer(make_packet(text), {RecordType::mx, "d.test", {}});
    EXPECT_EQ(answer.status, ResolveStatus::ok);
    EXPECT_EQ(answer.records.size(), answer_record_limit);
}

TEST(ParseAnswer, FollowsABoundedNumberOfAliases) {
    for (int aliases : {alias_limit, alias_limit + 1}) {
        PacketText text{"n0.test", LDNS_RR_TYPE_A};
        for (int i = 0; i < aliases; ++i)
            text.answer.push_back("n" + std::to_string(i) + ".test CNAME n" +
                                  std::to_string(i + 1) + ".test");
        text.answer.push_back("n" + std::to_string(aliases) + ".test A 192.0.2.1");
        const auto answer = parse_answer(make_packet(text), {RecordType::a, "n0.test", {}});
        EXPECT_EQ(answer.status,
                  aliases <= alias_limit ? ResolveStatus::ok : ResolveStatus::temporary);
    }
}

// A valid answer whatever the bytes are: what we promise to those who asked.
void expect_valid(const ipc::ResolveAnswer& answer, const DnsQuestion& question) {
    EXPECT_EQ(answer.status == ResolveStatus::ok, !answer.records.empty());
    EXPECT_LE(answer.records.size(), answer_record_limit);
    for (const ipc::DnsRecord& record : answer.records) {
        EXPECT_EQ(record.name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-_."),
                  std::string::npos);
        EXPECT_EQ(record.address.version == 4, question.type == RecordType::a);
    }
}

TEST(ParseAnswer, SurvivesDamagedPackets) {
    std::mt19937 random(20261123);
    for (const Case& c : cases) {
        const std::string good = make_packet(c.packet);
        const DnsQuestion question{c.type, c.name, {}};
        for (size_t size = 0; size < good.size(); ++size)
            expect_valid(parse_answer(good.substr(0, size), question), question);
        for (int round = 0; round < 2000; ++round) {
            std::string damaged = good;
            for (int i = 0; i < 3; ++i)
                damaged[random() % damaged.size()] = static_cast<char>(random());
            expect_valid(parse_answer(damaged, question), question);
        }
    }
}

TEST(ParseAnswer, SurvivesNoise) {
    std::mt19937 random(4);
    const DnsQuestion question{RecordType::mx, "a.test", {}};
    for (int round = 0; round < 20000; ++round) {
        std::string noise(random() % 600, '\0');
        for (char& c : noise)
            c = static_cast<char>(random());
        expect_valid(parse_answer(noise, question), question);
    }
}

} // namespace
} // namespace postern
