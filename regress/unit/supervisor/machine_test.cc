// Sockets and directories that the supervisor prepares, on the real machine.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <grp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

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

ipc::ListenAddress at(const Endpoint& endpoint) {
    ipc::ListenAddress place;
    place.endpoint = endpoint;
    return place;
}

ipc::ListenAddress at(const std::string& path) {
    ipc::ListenAddress place;
    place.unix_socket.path = path;
    return place;
}

bool somebody_listens(const std::string& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    FileDescriptor client(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    return connect(client.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
}

TEST_F(Machine, AListeningPathHasItsModeAndGroupAndGoesWithItsSocket) {
    ipc::ListenAddress place = at(folder + "/run/lmtp");
    place.unix_socket.mode = 0620;
    place.unix_socket.group = geteuid() == 0 ? "mail" : "";
    std::vector<BoundSocket> none;
    {
        Result<std::vector<BoundSocket>> bound = bind_listeners({place}, none);
        ASSERT_TRUE(bound) << bound.error().message;
        struct stat status;
        ASSERT_EQ(lstat(place.unix_socket.path.c_str(), &status), 0);
        EXPECT_EQ(status.st_mode & 07777, 0620u);
        if (geteuid() == 0) {
            EXPECT_EQ(status.st_gid, getgrnam("mail")->gr_gid);
        }
        EXPECT_TRUE(somebody_listens(place.unix_socket.path));
    }
    EXPECT_FALSE(std::filesystem::exists(place.unix_socket.path));
    place.unix_socket.group = "no-such-group";
    EXPECT_FALSE(bind_listeners({place}, none));
    EXPECT_FALSE(std::filesystem::exists(place.unix_socket.path));
}

TEST_F(Machine, NothingButAStaleSocketMakesRoomForAnother) {
    const std::string path = folder + "/lmtp";
    std::vector<BoundSocket> none;
    std::ofstream(path) << "somebody's";
    EXPECT_FALSE(bind_listeners({at(path)}, none));
    EXPECT_EQ(std::filesystem::file_size(path), 10u);
    std::filesystem::remove(path);
    std::filesystem::create_symlink("elsewhere", path);
    EXPECT_FALSE(bind_listeners({at(path)}, none));
    EXPECT_TRUE(std::filesystem::is_symlink(path));
    std::filesystem::remove(path);
    FileDescriptor other(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    ASSERT_EQ(bind(other.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    EXPECT_FALSE(bind_listeners({at(path)}, none)) << "of another kind, and in use";
    EXPECT_TRUE(std::filesystem::exists(path));
    std::filesystem::remove(path);
    other = FileDescriptor(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    ASSERT_EQ(bind(other.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    other = FileDescriptor();
    Result<std::vector<BoundSocket>> bound = bind_listeners({at(path)}, none);
    EXPECT_TRUE(bound) << "nobody answers there any more";
    EXPECT_FALSE(bind_listeners({at(path)}, none)) << "we do";
    EXPECT_TRUE(somebody_listens(path));
    std::filesystem::remove(path);
    std::ofstream(path) << "somebody's";
    bound->clear();
    EXPECT_TRUE(std::filesystem::exists(path)) << "it is not ours any more";
}

TEST_F(Machine, AReloadKeepsAPathOrRemovesIt) {
    const std::string kept = folder + "/kept", gone = folder + "/gone";
    std::vector<BoundSocket> none;
    Result<std::vector<BoundSocket>> first = bind_listeners({at(gone), at(kept)}, none);
    ASSERT_TRUE(first) << first.error().message;
    const int fd = (*first)[1].socket.get();
    ipc::ListenAddress other_mode = at(kept);
    other_mode.unix_socket.mode = 0666;
    EXPECT_FALSE(bind_listeners({other_mode}, *first));
    Result<std::vector<BoundSocket>> second = bind_listeners({at(kept)}, *first);
    ASSERT_TRUE(second) << second.error().message;
    *first = std::move(*second);
    EXPECT_EQ((*first)[0].socket.get(), fd);
    EXPECT_TRUE(somebody_listens(kept));
    EXPECT_FALSE(std::filesystem::exists(gone));
}

TEST_F(Machine, AReloadKeepsTheSocketsThatItCan) {
    std::vector<BoundSocket> none;
    Result<std::vector<BoundSocket>> first =
        bind_listeners({at(Endpoint{*IpAddress::parse("127.0.0.1"), 0})}, none);
    ASSERT_TRUE(first) << first.error().message;
    int fd = (*first)[0].socket.get();
    // An address that is not ours cannot be bound: everything stays as it was.
    Endpoint foreign{*IpAddress::parse("192.0.2.77"), 2525};
    EXPECT_FALSE(bind_listeners({at((*first)[0].endpoint), at(foreign)}, *first));
    EXPECT_EQ((*first)[0].socket.get(), fd);
    Result<std::vector<BoundSocket>> second = bind_listeners({at((*first)[0].endpoint)}, *first);
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
    Result<FileDescriptor> spool = open_directory_of(folder + "/var/spool", owner);
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
