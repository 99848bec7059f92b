// What the configuration demands of connections.
#include "deliver/relay/tls_policy.h"

#include "deliver/relay/sts.h"

#include <gtest/gtest.h>

#include "deliver/relay/destination.h"

namespace postern::relay {
namespace {

ipc::Route to(RelayScheme scheme) {
    ipc::Route route;
    route.host = RelayHost{scheme, "smart.example", 587, ""};
    return route;
}

TEST(TlsPolicy, Routes) {
    const ipc::Route exchangers;
    struct Row {
        ipc::Route route;
        bool required;
        bool verify;
        TlsLevel level;
        bool implicit;
    };
    using enum TlsLevel;
    const Row rows[] = {
        {exchangers, false, true, opportunistic, false},
        {exchangers, true, true, verified, false},
        {exchangers, true, false, encrypted, false},
        {to(RelayScheme::smtp), false, true, opportunistic, false},
        {to(RelayScheme::smtp), true, true, verified, false},
        {to(RelayScheme::smtp), true, false, encrypted, false},
        {to(RelayScheme::smtp_no_tls), false, true, never, false},
        {to(RelayScheme::smtp_tls), false, true, verified, false},
        {to(RelayScheme::smtp_tls), true, false, encrypted, false},
        {to(RelayScheme::smtps), false, true, verified, true},
        {to(RelayScheme::smtps), true, false, encrypted, true},
        {to(RelayScheme::lmtp), false, true, never, false},
    };
    for (size_t i = 0; i < std::size(rows); ++i) {
        ipc::Route route = rows[i].route;
        route.tls.required = rows[i].required;
        route.tls.verify = rows[i].verify;
        const TlsPolicy policy = tls_policy(route);
        EXPECT_EQ(policy.level, rows[i].level) << i;
        EXPECT_EQ(policy.implicit, rows[i].implicit) << i;
    }
}

TEST(TlsPolicy, WhatAConnectionHasToBeLike) {
    ipc::Route route = to(RelayScheme::smtp_tls);
    route.tls.authority = "lab";
    route.tls.ciphers = "HIGH";
    route.tls.tls_1_2 = false;
    const Endpoint endpoint{*IpAddress::parse("2001:db8::1"), 587};
    TlsDemand demand = tls_demand(tls_policy(route), route, {"smart.example", endpoint});
    EXPECT_EQ(demand.peer, "[2001:db8::1]:587");
    EXPECT_EQ(demand.server_name, "smart.example");
    EXPECT_EQ(demand.proof, TlsProof::certificate);
    EXPECT_EQ(demand.names, std::vector<std::string>{"smart.example"});
    EXPECT_EQ(demand.authority, "lab");
    EXPECT_EQ(demand.ciphers, "HIGH");
    EXPECT_FALSE(demand.tls_1_2);
    EXPECT_TRUE(demand.tls_1_3);
    // An address is no name to tell, but one to verify by.
    demand = tls_demand(tls_policy(route), route, {"", endpoint});
    EXPECT_EQ(demand.server_name, "");
    EXPECT_EQ(demand.names, std::vector<std::string>{"2001:db8::1"});
    route.tls.verify = false;
    demand = tls_demand(tls_policy(route), route, {"smart.example", endpoint});
    EXPECT_EQ(demand.proof, TlsProof::none);
    EXPECT_TRUE(demand.names.empty());
}

// RFC 8461 4.1
TEST(TlsPolicy, ExchangersThatPoliciesName) {
    struct Row {
        const char* pattern;
        const char* host;
        bool named;
    };
    const Row rows[] = {
        {"mx.example.com", "mx.example.com", true},
        {"mx.example.com", "MX.Example.COM.", true},
        {"mx.example.com", "mx2.example.com", false},
        {"mx.example.com", "x.mx.example.com", false},
        {"*.example.com", "mx.example.com", true},
        {"*.example.com", "a.mx.example.com", false}, // one label
        {"*.example.com", "example.com", false},
        {"*.example.com", ".example.com", false},
        {"*.example.com", "mxexample.com", false},
        {"example.com", "", false},
        {"*.com", "com", false},
    };
    for (const Row& row : rows) {
        ipc::StsPolicy policy;
        policy.mx = {"other.example", row.pattern};
        EXPECT_EQ(names_exchanger(policy, row.host), row.named) << row.pattern << " " << row.host;
    }
}

// A connection is never used for mail that would not have got it.
TEST(TlsPolicy, KeepsConnectionsApart) {
    std::vector<ipc::Route> routes = {ipc::Route(), to(RelayScheme::smtp),
                                      to(RelayScheme::smtp_no_tls), to(RelayScheme::smtp_tls),
                                      to(RelayScheme::smtps)};
    const auto variant = [&routes](auto change) {
        routes.push_back(to(RelayScheme::smtp));
        change(routes.back().tls);
    };
    variant([](RelayTls& tls) { tls.required = true; });
    variant([](RelayTls& tls) { tls.verify = false; });
    variant([](RelayTls& tls) { tls.authority = "lab"; });
    variant([](RelayTls& tls) { tls.ciphers = "HIGH"; });
    variant([](RelayTls& tls) { tls.tls_1_2 = false; });
    for (size_t i = 0; i < routes.size(); ++i)
        for (size_t j = 0; j < routes.size(); ++j)
            EXPECT_EQ(destination_key(routes[i], "h") == destination_key(routes[j], "h"), i == j)
                << i << " " << j;
}

TEST(TlsPolicy, Text) {
    TlsFacts facts;
    facts.protocol = "TLSv1.3";
    facts.cipher = "TLS_AES_256_GCM_SHA384";
    EXPECT_EQ(to_text(facts), "TLSv1.3,TLS_AES_256_GCM_SHA384,unverified");
    facts.proof = TlsProof::certificate;
    EXPECT_EQ(to_text(facts), "TLSv1.3,TLS_AES_256_GCM_SHA384,verified");
    facts.proof = TlsProof::dane;
    EXPECT_EQ(to_text(facts), "TLSv1.3,TLS_AES_256_GCM_SHA384,dane");
}

} // namespace
} // namespace postern::relay
