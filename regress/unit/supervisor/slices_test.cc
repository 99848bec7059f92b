// What each process gets of the configuration.
#include <gtest/gtest.h>

#include "common/ipc/codec.h"
#include "common/ipc/keyholder_settings.h"
#include "common/ipc/listener_settings.h"
#include "common/ipc/lookup_settings.h"
#include "common/ipc/pam_settings.h"
#include "common/ipc/queue_settings.h"
#include "common/ipc/relay_settings.h"
#include "common/ipc/tables_settings.h"
#include "smtpd/supervisor/slices.h"

namespace postern {
namespace {

Surroundings example() {
    Surroundings found;
    found.hostname = "mx.example";
    found.cores = 4;
    found.local_addresses = {*IpAddress::parse("127.0.0.1"), *IpAddress::parse("192.0.2.1"),
                             *IpAddress::parse("2001:db8::1")};
    found.listen = {
        {{*IpAddress::parse("0.0.0.0"), 25}, {}, "mx.example", "", {}, {}, {}},
        {{*IpAddress::parse("127.0.0.1"), 2525}, {}, "inside.example", "inside", {}, {}, {}},
        {{}, {"/run/postern/lmtp", 0660, ""}, "inside.example", "", {}, {}, {}}};
    found.credentials.pkis.push_back({"mx.example", "the certificates", {}});
    found.credentials.authorities.push_back({"staff", "the authority"});
    found.credentials.system_authorities = "the others";
    return found;
}

template <class T> T settings(ipc::Role role, const Configuration& configuration) {
    T value;
    EXPECT_TRUE(ipc::decode_bytes(settings_for(role, configuration, example()), value));
    return value;
}

TEST(Slices, ARelayKnowsWhereItWouldMeetItself) {
    auto relay = settings<ipc::RelaySettings>(ipc::Role::relay, Configuration());
    EXPECT_EQ(relay.own_names, (std::vector<std::string>{"mx.example", "inside.example"}));
    std::vector<std::string> endpoints;
    for (const Endpoint& endpoint : relay.own_endpoints)
        endpoints.push_back(endpoint.to_string());
    // What the unspecified address stands for is more than the machine's addresses: all of 127/8.
    EXPECT_EQ(endpoints, (std::vector<std::string>{"0.0.0.0:25", "127.0.0.1:2525"}));
    EXPECT_EQ(relay.machine_addresses, example().local_addresses);
}

TEST(Slices, ARelayKnowsWhoVouchesForServers) {
    auto relay = settings<ipc::RelaySettings>(ipc::Role::relay, Configuration());
    ASSERT_EQ(relay.authorities.size(), 1u);
    EXPECT_EQ(relay.authorities[0].name, "staff");
    EXPECT_EQ(relay.authorities[0].certificates.bytes, "the authority");
    EXPECT_EQ(relay.system_authorities.bytes, "the others");
}

TEST(Slices, AListenerHasCertificatesAndTheKeyholderTheNamesOfItsKeys) {
    auto listener = settings<ipc::ListenerSettings>(ipc::Role::listener, Configuration());
    ASSERT_EQ(listener.pkis.size(), 1u);
    EXPECT_EQ(listener.pkis[0].name, "mx.example");
    EXPECT_EQ(listener.pkis[0].certificates.bytes, "the certificates");
    ASSERT_EQ(listener.authorities.size(), 1u);
    EXPECT_EQ(listener.authorities[0].certificates.bytes, "the authority");
    auto keyholder = settings<ipc::KeyholderSettings>(ipc::Role::keyholder, Configuration());
    EXPECT_EQ(keyholder.names, std::vector<std::string>{"mx.example"});
    EXPECT_EQ(keyholder.for_relays, std::vector<std::string>());
    Configuration configuration;
    configuration.actions.emplace_back().tls.pki = "mx.example";
    keyholder = settings<ipc::KeyholderSettings>(ipc::Role::keyholder, configuration);
    EXPECT_EQ(keyholder.for_relays, std::vector<std::string>{"mx.example"});
}

TEST(Slices, LookupKnowsWhatIsLocal) {
    auto lookup = settings<ipc::LookupSettings>(ipc::Role::lookup, Configuration());
    EXPECT_EQ(lookup.local_names,
              (std::vector<std::string>{"mx.example", "inside.example", "localhost"}));
    EXPECT_EQ(lookup.local_addresses.size(), 3u);
}

TEST(Slices, LookupRewritesSendersIntoOurName) {
    Configuration configuration;
    configuration.srs.key = "0123456789abcdef";
    auto lookup = settings<ipc::LookupSettings>(ipc::Role::lookup, configuration);
    EXPECT_EQ(lookup.srs.key, configuration.srs.key);
    EXPECT_EQ(lookup.srs.domain, "mx.example");
    configuration.srs.domain = "srs.example";
    lookup = settings<ipc::LookupSettings>(ipc::Role::lookup, configuration);
    EXPECT_EQ(lookup.srs.domain, "srs.example");
}

TEST(Slices, AListenerKnowsTheLimitsOfItsClients) {
    Configuration configuration;
    configuration.limits.per_network.mail_rate = 7;
    configuration.limits.exempt = "insiders";
    configuration.tables["insiders"].values = {"192.0.2.0/24", "local", "2001:db8::1"};
    auto listener = settings<ipc::ListenerSettings>(ipc::Role::listener, configuration);
    EXPECT_EQ(listener.clients.per_network.mail_rate, 7u);
    EXPECT_EQ(listener.clients.per_address.sessions, 200u);
    ASSERT_EQ(listener.clients.exempt.size(), 2u);
    EXPECT_TRUE(listener.clients.exempt[0].contains(*IpAddress::parse("192.0.2.77")));
    EXPECT_TRUE(listener.clients.exempt[1].contains(*IpAddress::parse("2001:db8::1")));
}

TEST(Slices, LookupIsToldWhichTablesHavePasswords) {
    Configuration configuration;
    configuration.tables["users"].name = "users";
    configuration.tables["senders"].name = "senders";
    for (int i = 0; i < 2; ++i) {
        Listen listen;
        listen.auth.mode = AuthMode::required;
        listen.auth.credentials = "users";
        listen.auth.senders = "senders";
        configuration.listens.push_back(listen);
    }
    configuration.listens.emplace_back();
    auto lookup = settings<ipc::LookupSettings>(ipc::Role::lookup, configuration);
    EXPECT_EQ(lookup.credentials, std::vector<std::string>{"users"});
    EXPECT_EQ(lookup.senders, std::vector<std::string>{"senders"});
}

TEST(Slices, PamKnowsTheServicesThatListenersAskAndLookupThatTheyAreNoTables) {
    Configuration configuration;
    for (const char* credentials : {"pam:smtpd", "pam:mail", "dovecot:/run/auth", "pam:smtpd"})
        configuration.listens.emplace_back().auth = {AuthMode::required, credentials, "", false};
    configuration.listens.emplace_back().auth = {AuthMode::none, "pam:unused", "", false};
    auto pam = settings<ipc::PamSettings>(ipc::Role::pam, configuration);
    EXPECT_EQ(pam.services, (std::vector<std::string>{"smtpd", "mail"}));
    configuration.listens.pop_back();
    auto lookup = settings<ipc::LookupSettings>(ipc::Role::lookup, configuration);
    EXPECT_EQ(lookup.credentials,
              (std::vector<std::string>{"pam:smtpd", "pam:mail", "dovecot:/run/auth"}));
}

TEST(Slices, TablesAloneKnowsWhereExternalTablesAre) {
    Configuration configuration;
    configuration.tables["users"].kind = TableKind::external;
    configuration.external_tables["users"].password = "secret";
    configuration.external_tables["users"].queries[TableService::domain].text = "SELECT";
    auto tables = settings<ipc::TablesSettings>(ipc::Role::tables, configuration);
    EXPECT_EQ(tables.tables, configuration.external_tables);
    for (const ipc::Role role : {ipc::Role::lookup, ipc::Role::listener, ipc::Role::queue})
        EXPECT_EQ(settings_for(role, configuration, Surroundings()).find("secret"),
                  std::string::npos);
    auto lookup = settings<ipc::LookupSettings>(ipc::Role::lookup, configuration);
    EXPECT_EQ(lookup.tables.at("users").kind, TableKind::external);
}

// Only where the file says that there are secrets for it.
TEST(Slices, ScramIsOfferedForExternalTablesThatHaveIt) {
    Configuration configuration;
    configuration.tables["users"].kind = TableKind::external;
    ExternalTable& table = configuration.external_tables["users"];
    const AuthOptions auth{AuthMode::required, "users", "", false};
    EXPECT_EQ(mechanisms_of(configuration, auth).size(), 2u);
    table.scram = true;
    EXPECT_EQ(mechanisms_of(configuration, auth).size(), 4u);
}

TEST(Slices, TheQueueKnowsItsTimesAndTheNumberOfRelays) {
    Configuration configuration;
    configuration.queue.ttl = std::chrono::hours(24);
    configuration.queue.retry_delay = std::chrono::seconds(7);
    configuration.tables["big"].values = {"big.example", "*.big.example"};
    configuration.queue.retries.push_back({"big", {FailureClass::mailbox}, {}, {}});
    configuration.queue.limits.push_back({"", 3, 0, std::chrono::seconds(1)});
    configuration.queue.limits.push_back({"big", 0, 100, std::chrono::seconds(60)});
    auto queue = settings<ipc::QueueSettings>(ipc::Role::queue, configuration);
    EXPECT_EQ(queue.ttl, std::chrono::hours(24));
    EXPECT_EQ(queue.retry_delay, std::chrono::seconds(7));
    ASSERT_EQ(queue.retries.size(), 1u);
    EXPECT_EQ(queue.retries[0].domains.value().at(1), "*.big.example");
    EXPECT_EQ(queue.retries[0].classes, std::vector<FailureClass>{FailureClass::mailbox});
    EXPECT_EQ(queue.retries[0].delay, std::chrono::seconds(7)) << "as without it";
    EXPECT_EQ(queue.retries[0].most, std::chrono::hours(4));
    ASSERT_EQ(queue.limits.size(), 2u);
    EXPECT_FALSE(queue.limits[0].domains.has_value()) << "all";
    EXPECT_EQ(queue.limits[0].max_deliveries, 3u);
    EXPECT_EQ(queue.limits[1].rate, 100u);
    EXPECT_EQ(queue.warn_delays, std::vector<std::chrono::seconds>{std::chrono::hours(4)});
    EXPECT_EQ(queue.relays, 2u);
    EXPECT_EQ(queue.hostname, "mx.example");
}

TEST(Slices, WhatListenersOffer) {
    Configuration configuration;
    Table users;
    users.is_mapping = true;
    users.pairs["alice"] = "$6$hash";
    configuration.tables["users"] = users;
    users.pairs["bob"] = "SCRAM-SHA-256$4096:c2FsdA==$a2V5:a2V5";
    configuration.tables["with scram"] = users;
    AuthOptions auth;
    EXPECT_TRUE(mechanisms_of(configuration, auth).empty());
    auth.mode = AuthMode::optional;
    auth.credentials = "users";
    EXPECT_EQ(mechanisms_of(configuration, auth),
              (std::vector{SaslMechanism::plain, SaslMechanism::login}));
    auth.credentials = "pam:smtpd";
    EXPECT_EQ(mechanisms_of(configuration, auth),
              (std::vector{SaslMechanism::plain, SaslMechanism::login}));
    auth.credentials = "with scram";
    EXPECT_EQ(mechanisms_of(configuration, auth),
              (std::vector{SaslMechanism::scram_sha_256_plus, SaslMechanism::scram_sha_256,
                           SaslMechanism::plain, SaslMechanism::login}));
}

} // namespace
} // namespace postern
