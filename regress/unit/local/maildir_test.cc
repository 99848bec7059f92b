#include "deliver/local/helper/files.h"
#include "deliver/local/helper/maildir.h"

#include <gtest/gtest.h>

#include <csignal>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/base/file_descriptor.h"

namespace postern {
namespace {

namespace fs = std::filesystem;

class MaildirTest : public testing::Test {
  protected:
    MaildirTest() {
        char name[] = "/tmp/postern-maildir-XXXXXX";
        root_ = mkdtemp(name);
        maildir_ = root_ / "home" / "Maildir";
    }
    ~MaildirTest() override { fs::remove_all(root_); }

    static FileDescriptor file_with(std::string_view bytes, off_t offset = 0) {
        FileDescriptor file(memfd_create("message", MFD_CLOEXEC));
        EXPECT_EQ(write(file.get(), bytes.data(), bytes.size()),
                  static_cast<ssize_t>(bytes.size()));
        EXPECT_EQ(lseek(file.get(), offset, SEEK_SET), offset);
        return file;
    }
    Result<std::string> store(const FileDescriptor& content) {
        return store_in_maildir(maildir_, {"from@far.test", "alice@here.test", content.get()});
    }
    std::string stored(const Result<std::string>& name) {
        EXPECT_TRUE(name.ok()) << name.error().message;
        std::ostringstream out;
        out << std::ifstream(maildir_ / "new" / *name, std::ios::binary).rdbuf();
        return out.str();
    }
    size_t files_in(const char* part) {
        return static_cast<size_t>(std::distance(fs::directory_iterator(maildir_ / part), {}));
    }

    fs::path root_, maildir_;
};

constexpr const char* added = "Return-Path: <from@far.test>\nDelivered-To: alice@here.test\n";

TEST_F(MaildirTest, StoresAMessage) {
    const FileDescriptor content = file_with("Subject: x\r\n\r\nbody\r\n");
    EXPECT_EQ(stored(store(content)), std::string(added) + "Subject: x\n\nbody\n");
    EXPECT_EQ(files_in("new"), 1u);
    EXPECT_EQ(files_in("tmp"), 0u);
    EXPECT_EQ(files_in("cur"), 0u);
    struct stat status;
    ASSERT_EQ(stat(maildir_.c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 07777, 0700u);
    ASSERT_EQ(stat(fs::directory_iterator(maildir_ / "new")->path().c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 07777, 0600u);
}

TEST_F(MaildirTest, ReadsFromThePresentOffsetAndLeavesItAlone) {
    const FileDescriptor content = file_with("otherrest\r\n", 5);
    EXPECT_EQ(stored(store(content)), std::string(added) + "rest\n");
    EXPECT_EQ(lseek(content.get(), 0, SEEK_CUR), 5);
    EXPECT_EQ(stored(store(content)), std::string(added) + "rest\n");
    EXPECT_EQ(files_in("new"), 2u);
}

TEST_F(MaildirTest, ReadsAPipe) {
    int ends[2];
    ASSERT_EQ(pipe(ends), 0);
    FileDescriptor in(ends[0]);
    ASSERT_EQ(write(ends[1], "piped\r\n", 7), 7);
    close(ends[1]);
    EXPECT_EQ(stored(store(in)), std::string(added) + "piped\n");
}

TEST_F(MaildirTest, TheNullReversePathIsWritten) {
    const FileDescriptor content = file_with("x\r\n");
    const auto name = store_in_maildir(maildir_, {"", "alice@here.test", content.get()});
    EXPECT_TRUE(stored(name).starts_with("Return-Path: <>\nDelivered-To: alice@here.test\nx"));
}

TEST_F(MaildirTest, AnAddressCannotAddAHeaderField) {
    const FileDescriptor content = file_with("x\r\n");
    const auto name =
        store_in_maildir(maildir_, {"a@b\nBcc: c@d", "alice@here.test\r\n\r\nbody", content.get()});
    EXPECT_EQ(stored(name), "Return-Path: <a@b?Bcc: c@d>\nDelivered-To: alice@here.test????body\n"
                            "x\n");
}

TEST_F(MaildirTest, LargeContentIsWhole) {
    std::string text, expected = added;
    for (int i = 0; i < 100'000; ++i) {
        const std::string line = "line " + std::to_string(i) + std::string(i % 70, '.');
        text += line + "\r\n";
        expected += line + "\n";
    }
    EXPECT_EQ(stored(store(file_with(text))), expected);
}

TEST_F(MaildirTest, FailuresLeaveNothingBehind) {
    const FileDescriptor content = file_with(std::string(100'000, 'x'));
    ASSERT_TRUE(store(content).ok()); // makes the directories
    rlimit before{};
    getrlimit(RLIMIT_FSIZE, &before);
    const rlimit small{50'000, before.rlim_max};
    std::signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &small);
    const auto failed = store(content);
    setrlimit(RLIMIT_FSIZE, &before);
    ASSERT_FALSE(failed.ok());
    EXPECT_EQ(failed.error().code, EFBIG);
    EXPECT_EQ(exit_status_of(failed.error().code), EX_TEMPFAIL);
    EXPECT_EQ(files_in("new"), 1u);
    EXPECT_EQ(files_in("tmp"), 0u);
}

TEST_F(MaildirTest, UnreadableContentIsAnErrorNotAShortMessage) {
    const FileDescriptor directory(open(root_.c_str(), O_RDONLY | O_DIRECTORY));
    EXPECT_FALSE(store(directory).ok());
    EXPECT_EQ(files_in("new"), 0u);
    EXPECT_EQ(files_in("tmp"), 0u);
}

TEST_F(MaildirTest, AFileInTheWayIsNamed) {
    std::ofstream(root_ / "home") << "not a directory";
    const auto failed = store(file_with("x"));
    ASSERT_FALSE(failed.ok());
    EXPECT_EQ(exit_status_of(failed.error().code), EX_CANTCREAT);
    EXPECT_NE(failed.error().message.find("home"), std::string::npos);
    EXPECT_FALSE(store_in_maildir("relative", {"", "a@b", 0}).ok());
    EXPECT_FALSE(store_in_maildir("", {"", "a@b", 0}).ok());
}

TEST(ExitStatusOf, SaysWhoCanHelp) {
    EXPECT_EQ(exit_status_of(ENOSPC), EX_TEMPFAIL);
    EXPECT_EQ(exit_status_of(EDQUOT), EX_TEMPFAIL);
    EXPECT_EQ(exit_status_of(EIO), EX_IOERR);
    EXPECT_EQ(exit_status_of(EACCES), EX_NOPERM);
    EXPECT_EQ(exit_status_of(EROFS), EX_CANTCREAT);
    EXPECT_EQ(exit_status_of(0), EX_TEMPFAIL);
}

TEST(UniqueName, EscapesTheHost) {
    EXPECT_EQ(unique_name(1795435200, 42, 99, 0, "mx.test"), "1795435200.M42P99Q0.mx.test");
    EXPECT_EQ(unique_name(1, 2, 3, 4, "a/b:c"), "1.M2P3Q4.a\\057b\\072c");
}

TEST(LineEnds, BecomeThoseOfTheSystem) {
    struct {
        const char* in;
        const char* out;
    } const cases[] = {
        {"a\r\nb\r\n", "a\nb\n"},
        {"a\r\n\r\nb", "a\n\nb\n"},
        {"", ""},
        {"\r\n", "\n"},
        {"a\rb\r\n", "a\rb\n"},
        {"a\r\r\n", "a\r\n"},
        {"a\r", "a\r\n"},
        {"a\nb\n", "a\nb\n"},
        {"\r", "\r\n"},
        {"\r\r\r\n\n", "\r\r\n\n"},
    };
    for (const auto& c : cases) {
        const std::string_view text = c.in;
        // Cut anywhere, it is the same.
        for (size_t cut = 0; cut <= text.size(); ++cut) {
            std::string out;
            LineEnds line_ends;
            line_ends.convert(text.substr(0, cut), out);
            line_ends.convert(text.substr(cut), out);
            line_ends.finish(out);
            EXPECT_EQ(out, c.out) << "cut at " << cut;
        }
        std::string out;
        LineEnds line_ends;
        for (char one : text)
            line_ends.convert(std::string_view(&one, 1), out);
        line_ends.finish(out);
        EXPECT_EQ(out, c.out) << "octet by octet";
    }
}

} // namespace
} // namespace postern
