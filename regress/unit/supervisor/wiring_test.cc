// Which processes there are, who may talk to whom, and when one that died comes back.
#include <gtest/gtest.h>

#include "smtpd/supervisor/restart_delay.h"
#include "smtpd/supervisor/wiring.h"

namespace postern {
namespace {

using ipc::Role;
using namespace std::chrono_literals;

constexpr Role all_roles[] = {Role::listener, Role::keyholder, Role::resolver, Role::lookup,
                              Role::control,  Role::queue,     Role::relay,    Role::local,
                              Role::pam,      Role::tables,    Role::policy};

TEST(Wiring, AListenerAndARelayForEachTwoCores) {
    struct Row {
        uint32_t cores, listeners, relays;
        uint32_t expected_listeners, expected_relays;
    } rows[] = {
        {1, 0, 0, 1, 1}, {2, 0, 0, 1, 1}, {8, 0, 0, 4, 4},
        {8, 3, 0, 3, 4}, {8, 0, 1, 4, 1}, {0, 0, 0, 1, 1},
    };
    for (const Row& row : rows) {
        Configuration configuration;
        configuration.listeners = row.listeners;
        configuration.relays = row.relays;
        EXPECT_EQ(process_count(Role::listener, configuration, row.cores), row.expected_listeners);
        EXPECT_EQ(process_count(Role::relay, configuration, row.cores), row.expected_relays);
        EXPECT_EQ(process_count(Role::queue, configuration, row.cores), 1u);
    }
}

Configuration with_pam() {
    Configuration configuration;
    configuration.listens.emplace_back();
    configuration.listens.emplace_back().auth = {AuthMode::optional, "pam:smtpd", "", false};
    return configuration;
}

TEST(Wiring, PamIsThereOnlyWhereAListenerAsksIt) {
    EXPECT_EQ(process_count(Role::pam, with_pam(), 4), 1u);
    Configuration configuration;
    EXPECT_EQ(process_count(Role::pam, configuration, 4), 0u);
    for (const char* other : {"users", "dovecot:/run/auth"}) {
        configuration.listens.emplace_back().auth = {AuthMode::required, other, "", false};
        EXPECT_EQ(process_count(Role::pam, configuration, 4), 0u) << other;
    }
    for (ProcessName name : all_processes(configuration, 4))
        EXPECT_NE(name.role, Role::pam);
}

// A client that is greeted has to find whoever is asked for him.
TEST(Wiring, WhoeverAListenerAsksIsStartedWithIt) {
    for (Role role : {Role::listener, Role::queue, Role::lookup, Role::resolver, Role::keyholder,
                      Role::pam, Role::tables})
        EXPECT_TRUE(serves_clients(role)) << ipc::role_name(role);
    for (Role role : {Role::relay, Role::local, Role::policy, Role::control})
        EXPECT_FALSE(serves_clients(role)) << ipc::role_name(role);
}

TEST(Wiring, TablesIsThereOnlyWhereATableIsExternal) {
    Configuration configuration;
    configuration.tables["list"].values = {"x"};
    EXPECT_EQ(process_count(Role::tables, configuration, 4), 0u);
    configuration.external_tables["users"].backend = TableBackend::sqlite;
    EXPECT_EQ(process_count(Role::tables, configuration, 4), 1u);
}

// The isolation that the design promises, as a table: there is no other channel.
TEST(Wiring, WhoTalksToWhom) {
    const std::map<Role, std::vector<Role>> expected = {
        {Role::listener,
         {Role::keyholder, Role::resolver, Role::lookup, Role::control, Role::queue}},
        {Role::keyholder, {Role::listener, Role::control, Role::relay}},
        {Role::resolver, {Role::listener, Role::control, Role::relay, Role::policy}},
        {Role::lookup,
         {Role::listener, Role::control, Role::queue, Role::relay, Role::pam, Role::tables}},
        {Role::control,
         {Role::listener, Role::keyholder, Role::resolver, Role::lookup, Role::queue, Role::relay,
          Role::local, Role::tables, Role::policy}},
        {Role::queue,
         {Role::listener, Role::lookup, Role::control, Role::relay, Role::local, Role::policy}},
        {Role::relay,
         {Role::keyholder, Role::resolver, Role::lookup, Role::control, Role::queue, Role::policy}},
        {Role::local, {Role::control, Role::queue}},
        {Role::pam, {Role::lookup}},
        {Role::tables, {Role::lookup, Role::control}},
        {Role::policy, {Role::resolver, Role::control, Role::queue, Role::relay}},
    };
    for (Role one : all_roles) {
        std::vector<Role> peers;
        for (Role other : all_roles)
            if (connected(one, other))
                peers.push_back(other);
        EXPECT_EQ(peers, expected.at(one)) << ipc::role_name(one);
    }
}

TEST(Wiring, EveryProcessThatIsStartedIsAlsoEnded) {
    std::vector<Role> ended;
    for (const DrainStep& step : drain_steps())
        ended.insert(ended.end(), step.roles.begin(), step.roles.end());
    for (ProcessName name : all_processes(with_pam(), 4))
        EXPECT_NE(std::find(ended.begin(), ended.end(), name.role), ended.end())
            << ipc::role_name(name.role);
    EXPECT_EQ(ended.front(), Role::listener) << "first nothing new comes in";
}

TEST(RestartDelay, AtOnceThenLongerAndLongerUntilItLives) {
    RestartDelay delay;
    EXPECT_EQ(delay.next(1s), 0ms);
    EXPECT_EQ(delay.next(1s), 100ms);
    EXPECT_EQ(delay.next(1s), 200ms);
    for (int i = 0; i < 20; ++i)
        delay.next(1s);
    EXPECT_EQ(delay.next(1s), 10s) << "bounded";
    EXPECT_EQ(delay.next(1h), 0ms) << "it had lived";
}

} // namespace
} // namespace postern
