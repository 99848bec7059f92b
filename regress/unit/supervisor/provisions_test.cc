// What processes are provided with, by one configuration and after it by another.
#include <gtest/gtest.h>

#include <filesystem>
#include <sys/stat.h>

#include "smtpd/supervisor/provisions.h"

namespace postern {
namespace {

using ipc::Role;

struct ProvisionsTest : testing::Test {
    ProvisionsTest() {
        char name[] = "/tmp/postern-test-XXXXXX";
        folder = mkdtemp(name);
        configuration.hostname = "mx.example";
        configuration.spool = folder + "/spool";
        configuration.socket = folder + "/smtpd.sock";
        configuration.listens.resize(1);
        configuration.listens[0].on = configuration.listens[0].unix_socket.path =
            folder + "/smtp.sock";
    }
    ~ProvisionsTest() override { std::filesystem::remove_all(folder); }

    std::string folder;
    Configuration configuration;
};

TEST_F(ProvisionsTest, EachProcessGetsItsOwnFiles) {
    Provisions provisions(configuration, false);
    ASSERT_TRUE(provisions.prepare());
    const std::pair<Role, size_t> cases[] = {
        {Role::listener, 1}, {Role::keyholder, 0}, {Role::resolver, 0}, {Role::lookup, 0},
        {Role::control, 1},  {Role::queue, 1},     {Role::relay, 0},    {Role::local, 0},
    };
    for (const auto& [role, files] : cases) {
        const Result<ipc::Configure> message = provisions.configure_message(role);
        ASSERT_TRUE(message) << ipc::role_name(role);
        EXPECT_EQ(message->files.size(), files) << ipc::role_name(role);
        EXPECT_FALSE(message->identity.switch_user) << ipc::role_name(role);
    }
    struct stat given, spool;
    ASSERT_EQ(fstat(provisions.configure_message(Role::queue)->files[0].get(), &given), 0);
    ASSERT_EQ(stat(configuration.spool.c_str(), &spool), 0);
    EXPECT_EQ(given.st_ino, spool.st_ino);
    provisions.stop_listening();
    EXPECT_TRUE(provisions.configure_message(Role::listener)->files.empty());
}

TEST_F(ProvisionsTest, WhatCannotBeTakenOverLeavesAllAsItWas) {
    Provisions provisions(configuration, false);
    ASSERT_TRUE(provisions.prepare());
    Configuration cases[6] = {configuration, configuration, configuration,
                              configuration, configuration, configuration};
    for (Configuration& fresh : cases)
        fresh.hostname = "other.example";
    cases[0].spool = folder + "/elsewhere";
    cases[1].relays = configuration.relays + 1;
    cases[2].users.by_process["queue"] = "somebody";
    cases[3].actions.resize(1); // to a Unix socket
    cases[3].actions[0].host.emplace().unix_path = "/run/lmtp";
    cases[4].resolver.trust_anchor = folder + "/nothing";
    cases[5].listens[0].on = cases[5].listens[0].unix_socket.path = folder; // a folder is there
    for (Configuration& fresh : cases) {
        const Result<void> renewed = provisions.renew(std::move(fresh));
        ASSERT_FALSE(renewed);
        EXPECT_EQ(renewed.error().message.find("with a restart only") != std::string::npos,
                  &fresh - cases < 4)
            << renewed.error().message;
        EXPECT_EQ(provisions.configuration().hostname, "mx.example");
        EXPECT_EQ(provisions.surroundings().hostname, "mx.example");
        EXPECT_EQ(provisions.configure_message(Role::listener)->files.size(), 1u);
    }
    configuration.hostname = "other.example";
    configuration.listens.clear();
    ASSERT_TRUE(provisions.renew(configuration));
    EXPECT_EQ(provisions.surroundings().hostname, "other.example");
    EXPECT_TRUE(provisions.configure_message(Role::listener)->files.empty());
}

} // namespace
} // namespace postern
