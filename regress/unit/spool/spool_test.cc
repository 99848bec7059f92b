// What the spool is for: messages come, are read and go, one scenario each.

#include "common/base/crc32c.h"
#include "queue/spool/segment.h"
#include "spool_lab.h"

namespace postern {
namespace {

TEST_F(SpoolTest, StoresReadsAndRecovers) {
    open();
    SpoolId a = store("hello"), b = store(""), c = store(std::string(20000, 'c'));
    EXPECT_EQ(content_of(a), "hello");
    EXPECT_EQ(content_of(b), "");
    EXPECT_EQ(*spool_->read_content(c, 19990, 100), std::string(10, 'c'));
    EXPECT_EQ(*spool_->read_content(c, 20000, 1), "");
    EXPECT_EQ(spool_->read_content(12345, 0, 1).error().code, ENOENT);
    crash_and_open();
    auto messages = load();
    ASSERT_EQ(messages.size(), 3u);
    EXPECT_EQ(messages[a].envelope, "to:5");
    EXPECT_FALSE(messages[a].has_progress);
    EXPECT_EQ(messages[c].content_length, 20000u);
    EXPECT_EQ(content_of(c), std::string(20000, 'c'));
    EXPECT_TRUE(events_.empty());
}

TEST_F(SpoolTest, NothingIsStoredBeforeItsStep) {
    open();
    auto ticket = spool_->append_message(spool_->next_id(), "e", "c");
    spool_->commit();
    EXPECT_TRUE(spool_->collect().empty());
    EXPECT_TRUE(ticket);
    crash_and_open();
    EXPECT_TRUE(load().empty());
}

TEST_F(SpoolTest, OneWriteServesAllWhoWait) {
    open();
    store("first");
    uint64_t before = files_.steps();
    for (int i = 0; i < 100; i++)
        ASSERT_TRUE(spool_->append_message(spool_->next_id(), "e", "content"));
    spool_->run_sync_step(false);
    EXPECT_EQ(files_.steps() - before, 1u);
    EXPECT_EQ(spool_->collect().size(), 100u);
}

TEST_F(SpoolTest, LatestProgressIsRecovered) {
    open();
    SpoolId id = store("x");
    ASSERT_TRUE(spool_->append_progress(id, "one", Durability::Lazy));
    auto ticket = spool_->append_progress(id, "two", Durability::Durable);
    expect_completion(*ticket, 0);
    crash_and_open();
    EXPECT_EQ(load()[id].progress, "two");
    EXPECT_EQ(spool_->append_progress(999, "x", Durability::Lazy).error().code, ENOENT);
}

TEST_F(SpoolTest, LazyRecordsSurviveTheProcessAtOnce) {
    open();
    SpoolId id = store("x");
    ASSERT_TRUE(spool_->append_progress(id, "lazy", Durability::Lazy));
    spool_->run_sync_step(false);
    EXPECT_TRUE(spool_->collect().empty()) << "nobody is told";
    kill_and_open();
    EXPECT_EQ(load()[id].progress, "lazy");
}

TEST_F(SpoolTest, LazyRecordsAreSyncedByTheNextBatch) {
    open();
    SpoolId id = store("x");
    ASSERT_TRUE(spool_->append_progress(id, "lazy", Durability::Lazy));
    spool_->run_sync_step(false);
    store("another");
    crash_and_open();
    EXPECT_EQ(load()[id].progress, "lazy");
}

TEST_F(SpoolTest, RemovedIsGoneAtOnceAndForGood) {
    open();
    SpoolId a = store("a"), b = store("b");
    ASSERT_TRUE(spool_->append_removed(a, Durability::Lazy));
    EXPECT_EQ(spool_->read_content(a, 0, 1).error().code, ENOENT);
    EXPECT_EQ(spool_->append_removed(a, Durability::Lazy).error().code, ENOENT);
    spool_->run_sync_step(true);
    crash_and_open();
    auto messages = load();
    EXPECT_FALSE(messages.contains(a));
    EXPECT_TRUE(messages.contains(b));
}

TEST_F(SpoolTest, IdsAreNeverUsedTwice) {
    open();
    SpoolId a = spool_->next_id();
    EXPECT_GT(spool_->next_id(), a);
    SpoolId last = store("x");
    ASSERT_TRUE(spool_->append_removed(last, Durability::Lazy));
    settle();
    ASSERT_TRUE(spool_->close());
    spool_.reset();
    time_ = 5; // the clock was set back
    open();
    EXPECT_GT(spool_->next_id(), last);
}

TEST_F(SpoolTest, OnlyOneQueueAtATime) {
    open();
    auto second = Spool::open(files_, options());
    ASSERT_FALSE(second);
    EXPECT_EQ(second.error().code, EWOULDBLOCK);
    ASSERT_TRUE(spool_->close());
    EXPECT_TRUE(Spool::open(files_, options()));
}

TEST_F(SpoolTest, LimitsAreSaidAtOnce) {
    SpoolOptions small = options();
    small.max_pending = 100000;
    open(small);
    std::string largest(spool_->max_inline(), 'x');
    EXPECT_EQ(spool_->append_message(1, "e", largest).error().code, EMSGSIZE);
    EXPECT_TRUE(spool_->append_message(1, "", largest)) << "exactly";
    EXPECT_EQ(spool_->append_message(2, "", largest).error().code, ENOBUFS);
    spool_->run_sync_step(false);
    EXPECT_EQ(content_of(1), largest);
    ASSERT_TRUE(spool_->close());
    EXPECT_EQ(spool_->append_message(3, "", "").error().code, ESHUTDOWN);
}

TEST_F(SpoolTest, BadOptionsAreRefused) {
    SpoolOptions bad = options();
    bad.segment_size = 1000;
    EXPECT_EQ(Spool::open(files_, bad).error().code, EINVAL);
}

TEST_F(SpoolTest, SegmentsAreUsedAgainAndTheirNumberStaysBounded) {
    open();
    for (int i = 0; i < 400; i++) { // 2 MB through segments of 64 KiB
        SpoolId id = store(std::string(5000, 'x'));
        ASSERT_TRUE(spool_->append_removed(id, Durability::Lazy));
        settle();
    }
    SpoolStatistics statistics = spool_->statistics();
    EXPECT_EQ(statistics.messages, 0u);
    EXPECT_EQ(statistics.live_bytes, 0u);
    EXPECT_LE(statistics.segments, 3u);
    EXPECT_LE(statistics.spares, 2u);
    EXPECT_LE(files_.names("segments").size(), 5u);
    crash_and_open();
    EXPECT_TRUE(load().empty());
}

TEST_F(SpoolTest, DiskUseStaysWithinAFactorOfLiveMail) {
    open();
    std::vector<SpoolId> kept;
    for (int i = 0; i < 1500;
         i++) { // every 30th stays: all segments would be kept by a few messages
        SpoolId id = store(std::string(2000, static_cast<char>(i)));
        if (i % 30 == 0) {
            kept.push_back(id);
        } else {
            ASSERT_TRUE(spool_->append_removed(id, Durability::Lazy));
        }
        spool_->run_sync_step(false);
    }
    settle();
    SpoolStatistics statistics = spool_->statistics();
    EXPECT_GT(statistics.compacted_bytes, 0u);
    EXPECT_LE(statistics.segment_bytes, 2 * statistics.live_bytes + (4 + 2 + 2) * segment_size);
    EXPECT_LT(statistics.compacted_bytes, 1500u * 2000u) << "less than what came in";
    for (size_t i = 0; i < kept.size(); i++)
        EXPECT_EQ(content_of(kept[i]), std::string(2000, static_cast<char>(i * 30)));
    crash_and_open();
    EXPECT_EQ(load().size(), kept.size());
}

// The event loop removes messages while the sync thread copies them forward: the copies must not
// bring them back, however the segments come and go afterwards.
TEST_F(SpoolTest, AMessageRemovedWhileItIsCopiedStaysRemoved) {
    open();
    std::vector<SpoolId> kept;
    std::map<SpoolId, bool> removed;
    auto remove = [&](SpoolId id) {
        ASSERT_TRUE(spool_->append_removed(id, Durability::Lazy));
        removed[id] = true;
    };
    for (int round = 0; round < 60; round++) {
        for (int i = 0; i < 60; i++) {
            SpoolId id = store(std::string(2000, 'x'));
            if (i % 30 == 0)
                kept.push_back(id);
            else
                remove(id);
        }
        size_t writes = 0;
        files_.meanwhile = [&] {
            if (kept.size() > 40 && ++writes % 2 == 0) {
                remove(kept[kept.size() / 2]);
                kept.erase(kept.begin() + static_cast<ptrdiff_t>(kept.size() / 2));
            }
        };
        settle();
        files_.meanwhile = nullptr;
        settle();
        crash_and_open();
        auto messages = load();
        EXPECT_EQ(messages.size(), kept.size()) << round;
        for (const auto& [id, message] : messages)
            ASSERT_FALSE(removed.contains(id)) << "round " << round;
    }
}

TEST_F(SpoolTest, LargeContentHasItsOwnFile) {
    open();
    store("keeps the segment from being given free");
    std::string bytes(200000, 'L');
    SpoolId id = spool_->next_id();
    auto ticket =
        spool_->append_message(id, "env", content_file(bytes), bytes.size(), crc32c(bytes));
    expect_completion(*ticket, 0);
    EXPECT_EQ(content_of(id), bytes);
    auto content = spool_->open_content(id);
    ASSERT_TRUE(content);
    EXPECT_TRUE(content->in_file);
    EXPECT_EQ(content->length, bytes.size());
    EXPECT_EQ(files_.names("content").size(), 1u);
    crash_and_open();
    EXPECT_TRUE(load()[id].content_in_file);
    EXPECT_EQ(content_of(id), bytes);
    store("so that the next write is not the first of a segment, which is synced");
    ASSERT_TRUE(spool_->append_removed(id, Durability::Lazy));
    spool_->run_sync_step(false);
    EXPECT_EQ(files_.names("content").size(), 1u) << "not before its removal is on disk";
    settle();
    EXPECT_TRUE(files_.names("content").empty());
}

TEST_F(SpoolTest, ContentOfAnotherLengthIsRefused) {
    open();
    SpoolId id = spool_->next_id();
    auto ticket = spool_->append_message(id, "env", content_file("12345"), 6, 0);
    expect_completion(*ticket, EINVAL);
    EXPECT_EQ(spool_->open_content(id).error().code, ENOENT);
    crash_and_open();
    EXPECT_TRUE(load().empty());
}

// Between the read of the record's beginning and that of the wanted part the message is copied
// forward, and others take its place.
TEST_F(SpoolTest, APartIsNotReadFromASegmentThatIsUsedAgain) {
    SpoolOptions tight = options();
    tight.compaction_slack = 0;
    open(tight);
    SpoolId id = spool_->next_id();
    expect_completion(*spool_->append_message(id, std::string(10000, 'e'), std::string(30000, 'c')),
                      0);
    std::vector<SpoolId> others;
    for (int i = 0; i < 30; i++)
        others.push_back(store(std::string(6000, 'x')));
    int reads = 0;
    files_.before_read = [&] {
        if (++reads != 2)
            return;
        files_.before_read = nullptr;
        for (SpoolId other : others)
            ASSERT_TRUE(spool_->append_removed(other, Durability::Lazy));
        settle();
        ASSERT_GT(spool_->statistics().compacted_bytes, 40000u);
        for (int i = 0; i < 20; i++)
            store(std::string(6000, 'y'));
    };
    EXPECT_EQ(*spool_->read_content(id, 20000, 100), std::string(100, 'c'));
    EXPECT_GE(reads, 2);
}

// The progress of a message that is removed while it is written rests on the removal: until that is
// on disk its segment is not used again, else a crash would bring the message back without it.
TEST_F(SpoolTest, ProgressWrittenWhileItsMessageIsRemovedStaysUntilTheRemovalIsOnDisk) {
    open();
    SpoolId id = store("delivered");
    store(std::string(segment_size - segment_data_begin - 2000, 'x')); // fills the first segment
    files_.meanwhile = [&, removed = false]() mutable {
        if (!std::exchange(removed, true)) {
            ASSERT_TRUE(spool_->append_removed(id, Durability::Lazy));
        }
    };
    const std::string progress = "reported" + std::string(3000, '.');
    ASSERT_TRUE(spool_->append_progress(id, progress, Durability::Lazy));
    store(std::string(segment_size - segment_data_begin - 3000, 'y')); // does not fit behind it
    files_.meanwhile = nullptr;
    crash_and_open();
    auto messages = load();
    ASSERT_TRUE(messages.contains(id)) << "nobody had been told that it is removed";
    EXPECT_EQ(messages[id].progress, progress);
    // And no longer.
    ASSERT_TRUE(spool_->append_removed(id, Durability::Lazy));
    spool_->commit();
    settle();
    EXPECT_EQ(spool_->statistics().segments, 3u);
}

} // namespace
} // namespace postern
