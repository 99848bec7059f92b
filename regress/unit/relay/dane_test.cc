// From DNS answers to what is demanded of an exchanger (RFC 7672 2.2).
#include "deliver/relay/dane.h"

#include <gtest/gtest.h>

#include "regress/unit/relay/fake_network.h"

namespace postern::relay {
namespace {

using ipc::RecordType;
using ipc::ResolveStatus;
using test::FakeNetwork;
using test::SimulatedTime;

const std::string good = std::string("\3\1\1") + std::string(32, 'k');
const std::string authority = std::string("\2\0\1", 3) + std::string(32, 'a');
const std::string pkix = std::string("\1\1\1") + std::string(32, 'p');
const std::string cut = std::string("\3\1\1") + std::string(31, 'c');

ipc::ResolveAnswer tlsa(ResolveStatus status, bool secure, std::vector<std::string> data = {}) {
    ipc::ResolveAnswer answer;
    answer.status = status;
    answer.secure = secure;
    for (std::string& one : data)
        answer.records.emplace_back().data = std::move(one);
    return answer;
}

TEST(Dane, AnswersForTlsa) {
    struct Row {
        const char* what;
        ipc::ResolveAnswer answer;
        DaneVerdict verdict;
        size_t records;
    };
    using enum ResolveStatus;
    const Row rows[] = {
        {"a key", tlsa(ok, true, {good}), DaneVerdict::usable, 1},
        {"a key and an authority", tlsa(ok, true, {good, authority}), DaneVerdict::usable, 2},
        {"some are usable", tlsa(ok, true, {pkix, good, cut}), DaneVerdict::usable, 1},
        {"none is usable", tlsa(ok, true, {pkix, cut}), DaneVerdict::unusable, 0},
        {"insecure", tlsa(ok, false, {good}), DaneVerdict::none, 0},
        {"secure, and there are none", tlsa(no_data, true), DaneVerdict::none, 0},
        {"no such name", tlsa(no_domain, true), DaneVerdict::none, 0},
        {"insecure, and there are none", tlsa(no_data, false), DaneVerdict::none, 0},
        {"no answer", tlsa(temporary, false), DaneVerdict::failed, 0},
        {"bogus", tlsa(bogus, false), DaneVerdict::failed, 0},
        {"bogus, with records", tlsa(bogus, false, {good}), DaneVerdict::failed, 0},
    };
    for (const Row& row : rows) {
        const DaneFinding finding = judge_tlsa("mx.example", row.answer);
        EXPECT_STREQ(to_string(finding.verdict), to_string(row.verdict)) << row.what;
        EXPECT_EQ(finding.records.size(), row.records) << row.what;
        EXPECT_EQ(finding.base, "mx.example");
        const bool failed = row.verdict == DaneVerdict::failed;
        EXPECT_EQ(to_string(finding.failure.status), failed ? "4.4.3" : "") << row.what;
    }
}

Exchanger exchanger(bool name, bool address, std::string canonical = {}) {
    Exchanger made;
    made.host = "mx.example";
    made.endpoint = {*IpAddress::parse("192.0.2.1"), 25};
    made.secure_name = name;
    made.secure_address = address;
    made.canonical = std::move(canonical);
    return made;
}

TEST(Dane, WhoseRecordsCount) {
    const ipc::ResolveAnswer secure_alias = tlsa(ResolveStatus::ok, true);
    const ipc::ResolveAnswer insecure_alias = tlsa(ResolveStatus::ok, false);
    using Names = std::vector<std::string>;
    EXPECT_EQ(tlsa_bases(exchanger(true, true), nullptr), Names{"mx.example"});
    EXPECT_EQ(tlsa_bases(exchanger(true, true, "mx.example"), nullptr), Names{"mx.example"});
    EXPECT_EQ(tlsa_bases(exchanger(false, true), nullptr), Names{}) << "insecure MX";
    EXPECT_EQ(tlsa_bases(exchanger(true, false), nullptr), Names{}) << "insecure address";
    EXPECT_EQ(tlsa_bases(exchanger(true, true, "real.example"), nullptr),
              (Names{"real.example", "mx.example"}));
    EXPECT_EQ(tlsa_bases(exchanger(true, false, "real.example"), &secure_alias),
              Names{"mx.example"})
        << "an alias that leads to an insecure zone";
    EXPECT_EQ(tlsa_bases(exchanger(true, false, "real.example"), &insecure_alias), Names{});
    EXPECT_EQ(tlsa_bases(exchanger(true, false, "real.example"), nullptr), Names{});
    Exchanger literal = exchanger(true, true);
    literal.host.clear();
    EXPECT_EQ(tlsa_bases(literal, nullptr), Names{});
}

TEST(Dane, WhatIsDemanded) {
    const std::vector<std::string> domains = {"dest.example", "mx.example", ""};
    TlsPolicy may;
    may.level = TlsLevel::opportunistic;
    DaneFinding finding;
    EXPECT_EQ(with_dane(may, finding, domains).level, TlsLevel::opportunistic);
    finding.verdict = DaneVerdict::unusable;
    EXPECT_EQ(with_dane(may, finding, domains).level, TlsLevel::encrypted);
    EXPECT_TRUE(with_dane(may, finding, domains).tlsa.empty());
    finding = judge_tlsa("mx.example", tlsa(ResolveStatus::ok, true, {good}));
    const TlsPolicy policy = with_dane(may, finding, domains);
    EXPECT_EQ(policy.level, TlsLevel::verified);
    EXPECT_EQ(policy.tlsa, std::vector<std::string>{good});
    EXPECT_EQ(policy.names, (std::vector<std::string>{"mx.example", "dest.example"}));
    const TlsDemand demand = tls_demand(policy, ipc::Route(), exchanger(true, true));
    EXPECT_EQ(demand.proof, TlsProof::dane);
    EXPECT_EQ(demand.server_name, "mx.example"); // RFC 7672 8.1: the base domain
    EXPECT_EQ(demand.names, policy.names);
    EXPECT_EQ(demand.tlsa, policy.tlsa);
}

struct FindDane : testing::Test {
    SimulatedTime time;
    FakeNetwork network{time};
    DaneFinding finding;

    std::string find(const Exchanger& of) {
        EXPECT_TRUE(test::run_to_end(time, look(of)));
        return std::string(to_string(finding.verdict)) + " " + finding.base;
    }
    Task<void> look(Exchanger of) { finding = co_await find_dane(network, of); }
};

TEST_F(FindDane, AsksTheExpandedNameFirst) {
    network.tlsa("_25._tcp.mx.example", good, true);
    EXPECT_EQ(find(exchanger(true, true)), "usable mx.example");
    EXPECT_EQ(find(exchanger(true, true, "real.example")), "usable mx.example");
    network.tlsa("_25._tcp.real.example", pkix, true);
    EXPECT_EQ(find(exchanger(true, true, "real.example")), "unusable real.example");
    network.answer(RecordType::tlsa, "_25._tcp.real.example", ResolveStatus::bogus);
    EXPECT_EQ(find(exchanger(true, true, "real.example")), "failed real.example");
}

TEST_F(FindDane, AsksNothingWhereItCannotBe) {
    EXPECT_EQ(find(exchanger(false, true)), "none ");
    EXPECT_EQ(find(exchanger(true, false)), "none ");
    EXPECT_EQ(network.questions(), 0u);
}

TEST_F(FindDane, AnAliasThatLeadsElsewhere) {
    network.tlsa("_25._tcp.mx.example", good, true);
    EXPECT_EQ(find(exchanger(true, false, "insecure.example")), "none ");
    for (const ResolveStatus status : {ResolveStatus::temporary, ResolveStatus::bogus}) {
        network.answer(RecordType::cname, "mx.example", status);
        EXPECT_EQ(find(exchanger(true, false, "insecure.example")), "failed ");
    }
    network.answer(RecordType::cname, "mx.example", ResolveStatus::ok);
    network.secure(RecordType::cname, "mx.example");
    EXPECT_EQ(find(exchanger(true, false, "insecure.example")), "usable mx.example");
}

} // namespace
} // namespace postern::relay
