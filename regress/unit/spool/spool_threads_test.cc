// The spool as the queue uses it: a real directory, the sync thread running. Meant for the thread
// sanitizer as well.
#include <cstdlib>
#include <filesystem>
#include <gtest/gtest.h>
#include <map>
#include <poll.h>
#include <random>

#include "common/base/crc32c.h"
#include "queue/spool/posix_file_system.h"
#include "queue/spool/spool.h"

namespace postern {
namespace {

class SpoolThreadsTest : public testing::Test {
  protected:
    void SetUp() override {
        std::string pattern = testing::TempDir() + "/spool-XXXXXX";
        ASSERT_NE(mkdtemp(pattern.data()), nullptr);
        directory_ = pattern;
        files_ = std::move(*PosixFileSystem::open_directory(directory_));
        open();
    }
    void TearDown() override {
        spool_.reset();
        std::filesystem::remove_all(directory_);
    }
    void open() {
        SpoolOptions options;
        options.segment_size = 128 << 10;
        options.growth_step = 32 << 10;
        options.min_free = 0;
        options.lazy_sync_milliseconds = 5;
        auto opened = Spool::open(*files_, options);
        ASSERT_TRUE(opened) << opened.error().message;
        spool_ = std::move(*opened);
        std::optional<std::vector<SpoolId>> found;
        while (!(found = spool_->take_found())) {
            pollfd poll_for{spool_->completion_fd(), POLLIN, 0};
            ASSERT_EQ(poll(&poll_for, 1, 20000), 1) << "the indexes are not read";
            spool_->collect();
        }
        found_ = std::move(*found);
    }
    // Waits until something was completed; at most 20 s.
    // The descriptor is readable for other work that is done, too, such as a segment made ready.
    std::vector<AppendResult> wait() {
        pollfd poll_for{spool_->completion_fd(), POLLIN, 0};
        while (poll(&poll_for, 1, 20000) == 1)
            if (std::vector<AppendResult> completions = spool_->collect(); !completions.empty())
                return completions;
        ADD_FAILURE() << "no completion";
        return {};
    }

    std::string directory_;
    std::unique_ptr<PosixFileSystem> files_;
    std::unique_ptr<Spool> spool_;
    std::vector<SpoolId> found_;
};

TEST_F(SpoolThreadsTest, ManyMessagesComeAndGo) {
    std::mt19937 random(1);
    std::map<SpoolId, std::string> stored;
    std::map<SpoolId, std::string> waiting;
    for (int appended = 0; appended < 3000 || !waiting.empty();) {
        for (; waiting.size() < 32 && appended < 3000; appended++) {
            SpoolId id = spool_->next_id();
            std::string content(random() % 3000, static_cast<char>(appended));
            ASSERT_TRUE(spool_->append_message(id, "e" + std::to_string(id), content));
            waiting[id] = content;
        }
        spool_->commit();
        for (const AppendResult& completion : wait()) {
            ASSERT_TRUE(completion.result) << completion.result.error().message;
            stored[completion.id] = std::move(waiting[completion.id]);
            waiting.erase(completion.id);
        }
        while (stored.size() > 100) {
            auto victim = std::next(stored.begin(), static_cast<int>(random() % stored.size()));
            auto content = spool_->read_content(victim->first, 0, 1 << 20);
            ASSERT_TRUE(content) << content.error().message;
            EXPECT_EQ(*content, victim->second);
            ASSERT_TRUE(spool_->append_progress(victim->first, "done", Durability::Lazy));
            ASSERT_TRUE(spool_->append_removed(victim->first, Durability::Lazy));
            stored.erase(victim);
        }
    }
    EXPECT_GT(spool_->statistics().compacted_bytes, 0u);
    ASSERT_TRUE(spool_->close());
    spool_.reset();
    open();
    size_t seen = 0;
    for (SpoolId id : found_) {
        ASSERT_TRUE(stored.contains(id));
        EXPECT_EQ(spool_->recover(id)->envelope, "e" + std::to_string(id));
        EXPECT_EQ(*spool_->read_content(id, 0, 1 << 20), stored[id]);
        seen++;
    }
    EXPECT_EQ(seen, stored.size());
}

TEST_F(SpoolThreadsTest, LargeContentByDescriptor) {
    std::string bytes(300000, 'L');
    auto file = spool_->create_content_file();
    ASSERT_TRUE(file);
    auto descriptor = file->descriptor();
    ASSERT_TRUE(descriptor);
    ASSERT_EQ(write(descriptor->get(), bytes.data(), bytes.size()),
              static_cast<ssize_t>(bytes.size()));
    SpoolId id = spool_->next_id();
    ASSERT_TRUE(spool_->append_message(id, "e", std::move(*file), bytes.size(), crc32c(bytes)));
    spool_->commit();
    auto completions = wait();
    ASSERT_EQ(completions.size(), 1u);
    ASSERT_TRUE(completions[0].result) << completions[0].result.error().message;
    auto content = spool_->open_content(id);
    ASSERT_TRUE(content);
    std::string out(bytes.size(), '\0');
    ASSERT_EQ(read(content->file.get(), out.data(), out.size()), static_cast<ssize_t>(out.size()));
    EXPECT_EQ(out, bytes);
}

// A thread reads what another one writes, and segments come and go.
TEST_F(SpoolThreadsTest, ACheckFindsNothingWhileMailComesAndGoes) {
    int checks = 0;
    bool anew = true;
    std::vector<SpoolId> stored;
    ASSERT_TRUE(spool_->check(true));
    for (int appended = 0; appended < 2000 || checks == 0; appended++) {
        ASSERT_LT(appended, 20000) << "a check comes to its end";
        SpoolId id = spool_->next_id();
        ASSERT_TRUE(spool_->append_message(id, "e", std::string(3000, 'x')));
        spool_->commit();
        for (const AppendResult& completion : wait())
            stored.push_back(completion.id);
        for (; stored.size() > 50; stored.erase(stored.begin()))
            ASSERT_TRUE(spool_->append_removed(stored.front(), Durability::Lazy));
        if (auto piece = spool_->take_checked()) {
            ASSERT_EQ(piece->totals.damaged, 0u) << piece->lines[0];
            anew = piece->last;
            checks += anew;
            ASSERT_TRUE(spool_->check(anew));
        }
    }
}

TEST_F(SpoolThreadsTest, WhatIsPendingAtTheEndIsWritten) {
    SpoolId id = spool_->next_id();
    ASSERT_TRUE(spool_->append_message(id, "e", "c"));
    ASSERT_TRUE(spool_->close());
    EXPECT_EQ(spool_->collect().size(), 1u);
    spool_.reset();
    open();
    EXPECT_EQ(found_, std::vector<SpoolId>{id});
    EXPECT_TRUE(spool_->recover(id));
}

} // namespace
} // namespace postern
