// The process around the tables, which is asked by lookup.
#include "smtpd/tables/service.h"

#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <sys/socket.h>
#include <sys/un.h>

#include "common/base/file_descriptor.h"

namespace postern::tables {
namespace {

using ipc::TableVerdict;

// A server that takes connections, and never says a word.
class ServiceTest : public testing::Test {
  protected:
    using Lookup = ipc::Channel<ipc::TablesToLookup, ipc::LookupToTables>;

    ServiceTest() {
        std::string pattern = testing::TempDir() + "/postern-tables-XXXXXX";
        directory_ = ::mkdtemp(pattern.data());
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        const std::string path = directory_ + "/map";
        std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
        server_ = FileDescriptor(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
        EXPECT_EQ(
            ::bind(server_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
        EXPECT_EQ(::listen(server_.get(), 10), 0);
        for (const char* name : {"kept", "changed", "gone"}) {
            ExternalTable& table = settings_.tables[name];
            table.backend = TableBackend::socketmap;
            table.location = "unix:" + path;
            table.map = name;
        }
        service_.configure(settings_);
        auto [ours, theirs] = ipc::make_pair();
        service_.connect(ipc::Connect{ipc::Role::lookup, 0, std::move(theirs)});
        lookup_ = std::make_unique<Lookup>(
            loop_, std::move(ours),
            [this](ipc::TablesToLookup&& message) {
                answers_.push_back(std::get<ipc::TableAnswer>(std::move(message)));
                if (answers_.size() == expected_)
                    loop_.stop();
            },
            [](const std::string&) {});
    }
    ~ServiceTest() override { std::filesystem::remove_all(directory_); }

    void ask(uint32_t request, const char* table) {
        ipc::TableQuery query;
        query.request = request;
        query.table = table;
        query.key = "key";
        lookup_->send(std::move(query));
    }

    EventLoop loop_;
    Service service_{loop_, [] {}};
    std::string directory_;
    FileDescriptor server_;
    ipc::TablesSettings settings_;
    std::unique_ptr<Lookup> lookup_;
    std::vector<ipc::TableAnswer> answers_;
    size_t expected_ = 1;
};

TEST_F(ServiceTest, WhatTablesThatAReloadChangesWereAskedIsAway) {
    ask(1, "kept");
    ask(2, "changed");
    ask(3, "gone");
    ask(4, "unknown");
    loop_.run();
    ASSERT_EQ(answers_.size(), 1u) << "the others do not answer";
    EXPECT_EQ(answers_[0].request, 4u);
    EXPECT_EQ(answers_[0].verdict, TableVerdict::away);
    settings_.tables.erase("gone");
    settings_.tables["changed"].map = "otherwise";
    service_.configure(settings_);
    expected_ = 3;
    loop_.run();
    ASSERT_EQ(answers_.size(), 3u);
    for (const uint32_t request : {2u, 3u}) {
        EXPECT_EQ(answers_[request - 1].request, request);
        EXPECT_EQ(answers_[request - 1].verdict, TableVerdict::away);
    }
}

} // namespace
} // namespace postern::tables
