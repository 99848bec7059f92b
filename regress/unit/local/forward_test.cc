#include "deliver/local/helper/forward.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <sys/stat.h>
#include <unistd.h>

namespace postern {
namespace {

namespace fs = std::filesystem;
using ipc::Target;
using ipc::TargetKind;
using Targets = std::vector<Target>;

Target address(const char* text) { return {TargetKind::address, text, ""}; }
Target command(const char* text) { return {TargetKind::command, text, "alice"}; }
Target file(const char* text) { return {TargetKind::file, text, "alice"}; }
const Target own_mailbox{TargetKind::mailbox, "alice", ""};

ForwardOwner alice(std::string home = "/home/alice") {
    return {"alice", std::move(home), "alice@here.test", ""};
}

TEST(Forward, SaysWhoIsToHaveTheMail) {
    struct {
        const char* text;
        Targets targets;
    } const cases[] = {
        {"", {}},
        {"\n# nobody\n   \n,\n", {}},
        {"bob@far.test", {address("bob@far.test")}},
        {"bob@far.test\r\n", {address("bob@far.test")}},
        {"bob\n", {address("bob@here.test")}},
        {"bob@far.test, carol@far.test\n  dave@far.test  \n",
         {address("bob@far.test"), address("carol@far.test"), address("dave@far.test")}},
        {"bob@far.test, bob@far.test", {address("bob@far.test")}},
        // Himself, in all the ways to say so.
        {"\\alice, bob@far.test", {own_mailbox, address("bob@far.test")}},
        {"alice", {own_mailbox}},
        {"Alice@HERE.test", {own_mailbox}},
        {"alice@far.test", {address("alice@far.test")}},
        {"\\bob", {address("bob@here.test")}}, // whose .forward is his own business
        {"|/usr/bin/vacation alice", {command("/usr/bin/vacation alice")}},
        {"\"|/bin/cat >/tmp/x, y\"", {command("/bin/cat >/tmp/x, y")}},
        {"/home/alice/copy", {file("/home/alice/copy")}},
        {"\\alice, \"|exit 0\", /dev/null", {own_mailbox, command("exit 0"), file("/dev/null")}},
    };
    for (const auto& c : cases) {
        const Result<Targets> targets = parse_forward(c.text, alice());
        ASSERT_TRUE(targets.ok()) << c.text << ": " << targets.error().message;
        EXPECT_EQ(*targets, c.targets) << c.text;
    }
}

TEST(Forward, HisAddressWithoutTheTagIsHisMailboxToo) {
    struct {
        const char* text;
        const char* recipient;
        Target target;
    } const cases[] = {
        {"alice@here.test", "alice+x@here.test", own_mailbox},
        {"Alice+X@here.test", "alice+x@here.test", own_mailbox},
        {"alice+y@here.test", "alice+x@here.test", address("alice+y@here.test")},
        {"alice@far.test", "alice+x@here.test", address("alice@far.test")},
        {"bob@here.test", "alice+bob@here.test", address("bob@here.test")},
    };
    for (const auto& c : cases) {
        ForwardOwner owner = alice();
        owner.recipient = c.recipient;
        EXPECT_EQ(*parse_forward(c.text, owner), Targets{c.target}) << c.text;
    }
}

TEST(Forward, WhatCannotBeUsedIsAnErrorNotANothing) {
    std::string many;
    for (int i = 0; i <= 100; ++i)
        many += "user" + std::to_string(i) + "@far.test\n";
    for (const std::string& text :
         {std::string("bob@"), std::string("bob@far.test\n:include:/etc/list"),
          std::string("error:550 gone"), std::string("\"|not closed"), std::string("|"), many}) {
        const Result<Targets> targets = parse_forward(text, alice());
        ASSERT_FALSE(targets.ok()) << text;
        EXPECT_FALSE(targets.error().message.empty());
    }
}

class ForwardFileTest : public testing::Test {
  protected:
    ForwardFileTest() {
        char name[] = "/tmp/postern-forward-XXXXXX";
        home_ = mkdtemp(name);
    }
    ~ForwardFileTest() override { fs::remove_all(home_); }

    void put(const char* name, std::string_view text, mode_t mode = 0644) {
        std::ofstream(home_ / name) << text;
        ASSERT_EQ(chmod((home_ / name).c_str(), mode), 0);
    }
    Result<std::optional<Targets>> read(const std::string& extension = "") {
        ForwardOwner owner = alice(home_);
        owner.extension = extension;
        return read_forward(owner);
    }
    // What is wrong with it.
    std::string fault() {
        const auto targets = read();
        return targets ? "nothing" : targets.error().message;
    }

    fs::path home_;
};

TEST_F(ForwardFileTest, IsReadIfThereIsOne) {
    auto targets = read();
    ASSERT_TRUE(targets.ok());
    EXPECT_FALSE(*targets);
    put(".forward", "# not yet\n");
    targets = read();
    ASSERT_TRUE(targets.ok());
    EXPECT_FALSE(*targets);
    put(".forward", "bob@far.test\n", 0600);
    targets = read();
    ASSERT_TRUE(targets.ok()) << targets.error().message;
    EXPECT_EQ(*targets, Targets{address("bob@far.test")});
}

TEST_F(ForwardFileTest, AnExtensionMayHaveItsOwn) {
    put(".forward", "all@far.test\n");
    put(".forward+list", "list@far.test\n");
    EXPECT_EQ(**read("list"), Targets{address("list@far.test")});
    put(".forward+Work_=.-9", "work@far.test\n");
    EXPECT_EQ(**read("Work_=.-9"), Targets{address("work@far.test")});
    EXPECT_EQ(**read("other"), Targets{address("all@far.test")});
    // It names no file elsewhere.
    fs::create_directory(home_ / ".forward+x");
    put(".forward+x/y", "nobody@far.test\n");
    for (const char* name : {".forward+.hidden", ".forward+a b", ".forward+*", ".forward+\xc3\xa9"})
        put(name, "nobody@far.test\n");
    for (const char* extension :
         {"x/y", "/../.forward+list", "\n", ".hidden", "a b", "*", "\xc3\xa9", "."})
        EXPECT_EQ(**read(extension), Targets{address("all@far.test")}) << extension;
    EXPECT_FALSE(read("x").ok()); // a directory
}

TEST_F(ForwardFileTest, IsBelievedOnlyIfNobodyElseCanHaveWrittenIt) {
    struct {
        std::function<void()> make;
        const char* says;
    } const cases[] = {
        {[&] { put(".forward", "x@far.test", 0664); }, "others to write"},
        {[&] { put(".forward", "x@far.test", 0646); }, "others to write"},
        {[&] {
             put("other", "x@far.test");
             fs::create_symlink("other", home_ / ".forward");
         },
         "symbolic links"},
        {[&] { mkfifo((home_ / ".forward").c_str(), 0600); }, "no regular file"},
        {[&] { put(".forward", std::string(32 * 1024 + 1, ' ')); }, "larger than 32 KiB"},
        {[&] { put(".forward", "bob@"); }, "is no address"},
        {[&] {
             put(".forward", "x@far.test");
             chmod(home_.c_str(), 0757);
         },
         "everybody to write"},
        {[&] {
             put(".forward", "x@far.test");
             if (chown((home_ / ".forward").c_str(), 12345, 12345) != 0)
                 chmod(home_.c_str(), 0757); // only root can try
         },
         ""},
    };
    for (const auto& c : cases) {
        c.make();
        const std::string found = fault();
        EXPECT_NE(found, "nothing");
        EXPECT_NE(found.find(c.says), std::string::npos) << found;
        fs::remove(home_ / ".forward");
        chmod(home_.c_str(), 0755);
    }
}

// It is not mounted, perhaps: nobody knows what he wants.
TEST_F(ForwardFileTest, AHomeDirectoryThatIsNotThereIsWaitedFor) {
    ForwardOwner owner = alice(home_ / "away");
    EXPECT_FALSE(read_forward(owner).ok());
    for (const char* none : {"", "/", "/nonexistent"}) {
        owner.home = none;
        const auto targets = read_forward(owner);
        ASSERT_TRUE(targets.ok()) << none;
        EXPECT_FALSE(*targets);
    }
}

} // namespace
} // namespace postern
