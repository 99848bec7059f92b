// The real file system, in a directory of its own.
#include <cerrno>
#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include "queue/spool/posix_file_system.h"

namespace postern {
namespace {

class PosixFileSystemTest : public testing::Test {
  protected:
    void SetUp() override {
        std::string pattern = testing::TempDir() + "/spool-XXXXXX";
        ASSERT_NE(mkdtemp(pattern.data()), nullptr);
        directory_ = pattern;
        auto opened = PosixFileSystem::open_directory(directory_);
        ASSERT_TRUE(opened);
        files_ = std::move(*opened);
    }
    void TearDown() override { std::filesystem::remove_all(directory_); }

    std::string directory_;
    std::unique_ptr<PosixFileSystem> files_;
};

TEST_F(PosixFileSystemTest, WritesPiecesDurablyAndReadsThemBack) {
    auto file = files_->open("a", OpenMode::CreateNew);
    ASSERT_TRUE(file);
    std::vector<std::string_view> pieces{"one", "", "two"};
    std::vector<std::string> many(3000, "xy"); // more than one system call takes
    ASSERT_TRUE((*file)->write_at(5, pieces, true));
    std::vector<std::string_view> views(many.begin(), many.end());
    ASSERT_TRUE((*file)->write_at(11, views, true));
    EXPECT_EQ(*(*file)->size(), 11u + 6000u);
    std::string out(8, '?');
    auto got = (*file)->read_at(5, std::span<char>(out.data(), out.size()));
    ASSERT_TRUE(got);
    EXPECT_EQ(*got, 8u);
    EXPECT_EQ(out, "onetwoxy");
    got = (*file)->read_at(11 + 5999, std::span<char>(out.data(), out.size()));
    EXPECT_EQ(*got, 1u) << "short at the end";
    EXPECT_TRUE((*file)->sync());
}

TEST_F(PosixFileSystemTest, ErrorsCarryTheirNumber) {
    EXPECT_EQ(files_->open("none", OpenMode::Read).error().code, ENOENT);
    ASSERT_TRUE(files_->open("a", OpenMode::CreateNew));
    EXPECT_EQ(files_->open("a", OpenMode::CreateNew).error().code, EEXIST);
    EXPECT_EQ(files_->unlink("none").error().code, ENOENT);
    EXPECT_EQ(files_->list("none").error().code, ENOENT);
    EXPECT_EQ(PosixFileSystem::open_directory(directory_ + "/none").error().code, ENOENT);
    ASSERT_EQ(symlink("/etc/passwd", (directory_ + "/link").c_str()), 0);
    EXPECT_FALSE(files_->open("link", OpenMode::ReadWrite)) << "links are not followed";
}

TEST_F(PosixFileSystemTest, NamesAreRelativeToTheDirectory) {
    ASSERT_TRUE(files_->make_directory("content"));
    ASSERT_TRUE(files_->make_directory("content")) << "it exists";
    ASSERT_TRUE(files_->open("content/a", OpenMode::CreateNew));
    ASSERT_TRUE(files_->rename("content/a", "b"));
    EXPECT_TRUE(files_->list("content")->empty());
    EXPECT_EQ(files_->list("")->size(), 2u);
    EXPECT_TRUE(files_->sync_directory(""));
    EXPECT_TRUE(files_->sync_directory("content"));
    EXPECT_GT(*files_->free_space(), 0u);
}

TEST_F(PosixFileSystemTest, UnnamedFilesGetANameOrVanish) {
    for (bool with_tmpfile : {true, false}) {
        if (!with_tmpfile)
            files_->refuse_unnamed_files();
        ASSERT_TRUE(files_->make_directory("content"));
        {
            auto given_up = files_->create_unnamed("content");
            ASSERT_TRUE(given_up);
        }
        EXPECT_EQ(files_->list("content")->size(), with_tmpfile ? 0u : 1u);
        auto file = files_->create_unnamed("content");
        ASSERT_TRUE(file);
        auto descriptor = (*file)->descriptor();
        ASSERT_TRUE(descriptor);
        EXPECT_EQ(fcntl(descriptor->get(), F_GETFL) & O_ACCMODE, O_WRONLY);
        ASSERT_EQ(write(descriptor->get(), "hello", 5), 5);
        std::string name = with_tmpfile ? "content/x" : "content/y";
        ASSERT_TRUE(files_->link_unnamed(**file, name));
        EXPECT_EQ(*(*file)->size(), 5u);
        auto second = files_->create_unnamed("content");
        EXPECT_EQ(files_->link_unnamed(**second, name).error().code, EEXIST);
    }
    EXPECT_EQ(files_->list("content")->size(), 2u);
}

TEST_F(PosixFileSystemTest, TheLockIsExclusiveAndReleased) {
    auto lock = files_->lock("lock", LockMode::MakeFile);
    ASSERT_TRUE(lock);
    auto other = PosixFileSystem::open_directory(directory_);
    EXPECT_EQ((*other)->lock("lock", LockMode::MakeFile).error().code, EWOULDBLOCK);
    lock->reset();
    EXPECT_TRUE((*other)->lock("lock", LockMode::MakeFile));
}

// The queue opens its spool, then locks itself into it: paths and /proc are gone.
TEST_F(PosixFileSystemTest, WorksAfterChroot) {
    if (geteuid() != 0)
        GTEST_SKIP() << "chroot needs root";
    pid_t child = fork();
    if (child == 0) {
        auto files = PosixFileSystem::open_directory(directory_); // /proc/self is the child
        if (!files || chroot(directory_.c_str()) != 0 || chdir("/") != 0)
            _exit(1);
        auto file = (*files)->create_unnamed("");
        if (!file)
            file = (*files)->create_unnamed(".");
        bool good = file && (*files)->link_unnamed(**file, "named") &&
                    (*files)->open("named", OpenMode::Read) && (*files)->sync_directory("");
        _exit(good ? 0 : 2);
    }
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    EXPECT_EQ(WEXITSTATUS(status), 0);
}

} // namespace
} // namespace postern
