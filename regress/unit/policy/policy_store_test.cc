// Policies outlast the process, and nothing else does.
#include "smtpd/policy/policy_store.h"

#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>

namespace postern::policy {
namespace {

class PolicyStoreTest : public testing::Test {
  protected:
    PolicyStoreTest() {
        path_ = std::filesystem::temp_directory_path() / "postern-policies.XXXXXX";
        EXPECT_NE(mkdtemp(path_.data()), nullptr);
    }
    ~PolicyStoreTest() override { std::filesystem::remove_all(path_); }

    PolicyStore open(int64_t now) const {
        return PolicyStore(FileDescriptor(::open(path_.c_str(), O_RDONLY | O_DIRECTORY)), now);
    }
    void write(const std::string& name, const std::string& content) const {
        std::ofstream(path_ + "/" + name) << content;
    }
    std::string files() const {
        std::string names;
        for (const auto& entry : std::filesystem::directory_iterator(path_))
            names += entry.path().filename().string() + " ";
        return names;
    }

    static std::string text(int max_age, const std::string& mx = "mx.d.example") {
        return "version: STSv1\nmode: enforce\nmx: " + mx +
               "\nmax_age: " + std::to_string(max_age) + "\n";
    }

    std::string path_;
};

TEST_F(PolicyStoreTest, KeepsAcrossRestarts) {
    {
        PolicyStore store = open(1000);
        EXPECT_EQ(store.find("d.example", 1000), nullptr);
        EXPECT_TRUE(store.keep("d.example", "one", text(500), 1000));
        EXPECT_TRUE(store.keep("d.example", "two", text(600, "mx2.d.example"), 1100));
        EXPECT_TRUE(store.keep("e.example", "x", text(50), 1100));
    }
    PolicyStore store = open(1200);
    const KeptPolicy* kept = store.find("d.example", 1200);
    ASSERT_NE(kept, nullptr);
    EXPECT_EQ(kept->policy.id, "two");
    EXPECT_EQ(kept->policy.mx, std::vector<std::string>{"mx2.d.example"});
    EXPECT_EQ(kept->fetched_at, 1100);
    EXPECT_NE(store.find("d.example", 1699), nullptr);
    EXPECT_EQ(store.find("d.example", 1700), nullptr) << "it is over";
    EXPECT_EQ(store.find("e.example", 1200), nullptr);
    const PolicyStore later = open(1150 + 8 * 24 * 3600);
    EXPECT_EQ(later.size(), 0u);
    EXPECT_EQ(files(), "") << "what is over goes at the start, a week later";
}

TEST_F(PolicyStoreTest, WhatIsNoPolicyIsDeleted) {
    write("a.example", "");
    write("b.example", "fetched x\nid 1\n" + text(500));
    write("c.example", "fetched 1000\nid \n" + text(500));
    write("d.example", "fetched 1000\nid 1\nversion: STSv1\n");
    write("e.example", "fetched 1000\nid 1\n" + text(500) + std::string(100'000, '\n'));
    write(".new", "fetched 1000\nid 1\n" + text(500));
    write("not a domain", "fetched 1000\nid 1\n" + text(500));
    write("good.example", "fetched 1000\nid 1\n" + text(500));
    PolicyStore store = open(1000);
    EXPECT_EQ(store.size(), 1u);
    EXPECT_EQ(files(), "good.example ");
}

TEST_F(PolicyStoreTest, WhatCannotBeWrittenCountsNow) {
    PolicyStore store = open(1000);
    std::filesystem::create_directories(path_ + "/.new/in-the-way");
    EXPECT_FALSE(store.keep("d.example", "one", text(500), 1000));
    EXPECT_NE(store.find("d.example", 1000), nullptr);
}

TEST_F(PolicyStoreTest, HasABound) {
    const size_t many = PolicyStore::limit + 10;
    for (size_t i = 0; i < many; ++i)
        write("d" + std::to_string(i) + ".example",
              "fetched " + std::to_string(1000 + i) + "\nid 1\n" + text(100'000));
    const auto now = static_cast<int64_t>(1000 + many);
    PolicyStore store = open(now);
    EXPECT_EQ(store.size(), PolicyStore::limit);
    EXPECT_EQ(store.find("d9.example", now), nullptr) << "it was fetched first";
    EXPECT_NE(store.find("d10.example", now), nullptr);
}

} // namespace
} // namespace postern::policy
