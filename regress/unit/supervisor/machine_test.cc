// Sockets and directories that the supervisor prepares, on the real machine.
#include <gtest/gtest.h>

#include <filesystem>
#include <sys/socket.h>
#include <sys/stat.h>

#include "smtpd/supervisor/machine.h"

namespace postern {
namespace {

struct Machine : testing::Test {
    Machine() {
        char name[] = "/tmp/postern-test-XXXXXX";
        folder = mkdtemp(name);
    }
    ~Machine() override { std::filesystem::remove_all(folder); }
    std::string folder;
};

TEST_F(Machine, TheControlSocketIsForItsOwnerOnly) {
    Result<FileDescriptor> socket = bind_control_socket(folder + "/a/b/smtpd.sock");
    ASSERT_TRUE(socket) << socket.error().message;
    struct stat status;
    ASSERT_EQ(stat((folder + "/a/b/smtpd.sock").c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 0777, 0600u);
}

TEST_F(Machine, ASecondServerIsRefusedButAStaleSocketIsReplaced) {
    std::string path = folder + "/smtpd.sock";
    {
        Result<FileDescriptor> first = bind_control_socket(path);
        ASSERT_TRUE(first);
        Result<FileDescriptor> second = bind_control_socket(path);
        ASSERT_FALSE(second);
        EXPECT_NE(second.error().message.find("another smtpd"), std::string::npos);
    }
    EXPECT_TRUE(bind_control_socket(path)) << "nobody answers there any more";
}

TEST_F(Machine, WhatIsNoSocketIsNotRemoved) {
    std::filesystem::create_directory(folder + "/smtpd.sock");
    EXPECT_FALSE(bind_control_socket(folder + "/smtpd.sock"));
    EXPECT_TRUE(std::filesystem::exists(folder + "/smtpd.sock"));
}

TEST_F(Machine, AReloadKeepsTheSocketsThatItCan) {
    std::vector<BoundSocket> none;
    Result<std::vector<BoundSocket>> first =
        bind_listeners({{*IpAddress::parse("127.0.0.1"), 0}}, none);
    ASSERT_TRUE(first) << first.error().message;
    int fd = (*first)[0].socket.get();
    // An address that is not ours cannot be bound: everything stays as it was.
    Endpoint foreign{*IpAddress::parse("192.0.2.77"), 2525};
    EXPECT_FALSE(bind_listeners({(*first)[0].endpoint, foreign}, *first));
    EXPECT_EQ((*first)[0].socket.get(), fd);
    Result<std::vector<BoundSocket>> second = bind_listeners({(*first)[0].endpoint}, *first);
    ASSERT_TRUE(second);
    EXPECT_EQ((*second)[0].socket.get(), fd);
}

TEST_F(Machine, ListenAddressesAreFoundByAddressInterfaceOrName) {
    for (const char* on : {"127.0.0.1", "lo", "localhost"}) {
        Result<std::vector<IpAddress>> addresses = listen_addresses(on);
        ASSERT_TRUE(addresses) << on;
        EXPECT_NE(std::find(addresses->begin(), addresses->end(), *IpAddress::parse("127.0.0.1")),
                  addresses->end())
            << on;
    }
    EXPECT_FALSE(listen_addresses("no.such.interface.invalid"));
}

TEST_F(Machine, NoMoreIsListenedOnThanAListenerCanBeGiven) {
    Configuration configuration;
    const auto listen_on_ports = [&configuration](uint16_t ports) {
        configuration.listens.clear();
        for (uint16_t i = 0; i < ports; ++i) {
            Listen& listen = configuration.listens.emplace_back();
            listen.on = "127.0.0.1";
            listen.port = static_cast<uint16_t>(2000 + i);
        }
        return addresses_of(configuration, "mx.example");
    };
    EXPECT_TRUE(listen_on_ports(249));
    Result<std::vector<ipc::ListenAddress>> refused = listen_on_ports(250);
    ASSERT_FALSE(refused);
    EXPECT_NE(refused.error().message.find("249"), std::string::npos);
}

TEST_F(Machine, TheSpoolIsMadeAndBelongsToTheQueue) {
    ipc::Identity owner;
    if (geteuid() == 0) {
        owner.switch_user = true;
        owner.user_id = owner.group_id = 65534;
    }
    Result<FileDescriptor> spool = open_spool(folder + "/var/spool", owner);
    ASSERT_TRUE(spool) << spool.error().message;
    struct stat status;
    ASSERT_EQ(fstat(spool->get(), &status), 0);
    EXPECT_EQ(status.st_mode & 0777, 0700u);
    EXPECT_EQ(status.st_uid, owner.switch_user ? 65534u : geteuid());
}

TEST_F(Machine, AConfiguredUserMustExist) {
    Configuration configuration;
    configuration.users.by_process["queue"] = "no-such-user";
    EXPECT_FALSE(identity_of(ipc::Role::queue, configuration, true));
    EXPECT_TRUE(identity_of(ipc::Role::queue, configuration, false)) << "nobody is switched";
    configuration.users.by_process["queue"] = "root";
    EXPECT_FALSE(identity_of(ipc::Role::queue, configuration, true)) << "root is no user for it";
}

} // namespace
} // namespace postern
