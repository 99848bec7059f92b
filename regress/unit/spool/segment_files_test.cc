// The open segment files, which two threads use.
#include <cerrno>
#include <gtest/gtest.h>

#include "queue/spool/segment.h"
#include "queue/spool/spool_state.h"
#include "simulated_file_system.h"

namespace postern {
namespace {

class FileSystemWithAnotherThread : public SimulatedFileSystem {
  public:
    using SimulatedFileSystem::SimulatedFileSystem;
    Result<std::unique_ptr<File>> open(const std::string& path, OpenMode mode) override {
        auto file = SimulatedFileSystem::open(path, mode);
        if (auto hook = std::exchange(meanwhile_opened, nullptr))
            hook();
        return file;
    }
    std::function<void()> meanwhile_opened;
};

TEST(SegmentFiles, AFileThatWasReplacedWhileItWasOpenedIsNotKept) {
    FileSystemWithAnotherThread disk(1);
    SegmentFiles files(disk);
    disk.set_contents(segment_path(3), "old");
    std::shared_ptr<File> made;
    disk.meanwhile_opened = [&] { // as the sync thread does
        files.forget(3);
        ASSERT_TRUE(disk.unlink(segment_path(3)));
        auto file = disk.open(segment_path(3), OpenMode::CreateNew);
        ASSERT_TRUE(file);
        made = std::move(*file);
        files.put(3, made);
    };
    auto got = files.get(3);
    ASSERT_TRUE(got);
    EXPECT_EQ(*got, made);
    EXPECT_EQ(*files.get(3), made);
}

TEST(SegmentFiles, OneThatIsGoneIsNoMissingMessage) {
    SimulatedFileSystem disk(1);
    SegmentFiles files(disk);
    EXPECT_EQ(files.get(3).error().code, EIO);
}

} // namespace
} // namespace postern
