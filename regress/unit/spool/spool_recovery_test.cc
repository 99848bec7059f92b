// What is there at the start: read while mail is taken, from a disk that may refuse.
#include <poll.h>

#include "common/base/crc32c.h"
#include "queue/spool/segment.h"
#include "spool_lab.h"

namespace postern {
namespace {

TEST_F(SpoolTest, AnOrderlyStartReadsIndexes) {
    open();
    for (int i = 0; i < 30; i++)
        store(std::string(5000, 'x'));
    ASSERT_TRUE(spool_->close());
    spool_.reset();
    // The mail itself is destroyed; the indexes and what precedes the content are not.
    std::string path = "segments/00000000";
    std::string bytes = files_.contents(path);
    for (uint64_t at = segment_data_begin; at < segment_data_begin + 5 * 5000; at += 5096)
        ASSERT_TRUE(files_.flip_bit(path, (at + 2000) * 8));
    open();
    EXPECT_EQ(load().size(), 30u);
    EXPECT_TRUE(events_.empty());
}

// Until they are read, what was there is unknown, and none of its segments goes; and what comes
// meanwhile is as good as any other, with ids of its own, whatever the clock says.
TEST_F(SpoolTest, MailIsTakenWhileTheIndexesAreRead) {
    open();
    std::map<SpoolId, std::string> kept;
    for (int i = 0; i < 60; i++) {
        SpoolId id = store(std::string(6000, static_cast<char>('a' + i % 26)));
        kept[id] = i % 3 == 0 ? std::to_string(i) : "";
        ASSERT_TRUE(i % 3 != 0 || spool_->append_progress(id, kept[id], Durability::Lazy));
        if (i % 5 == 0) {
            ASSERT_TRUE(spool_->append_removed(id, Durability::Lazy));
            kept.erase(id);
        }
    }
    settle();
    const uint64_t segments = spool_->statistics().segments;
    ASSERT_GE(segments, 6u);
    time_ -= 3600 * 1'000'000ull;
    for (int round = 0; round < 3; round++) { // the first two end in a crash before all is read
        spool_.reset();
        files_.crash(static_cast<uint64_t>(round));
        ASSERT_TRUE(try_open());
        for (int i = 0; i < 3; i++) {
            EXPECT_FALSE(spool_->take_found());
            EXPECT_EQ(spool_->recover(kept.begin()->first).error().code, ENOENT);
            SpoolId id = store("new");
            EXPECT_FALSE(kept.contains(id)) << "an id is handed out twice";
            kept[id] = "";
            EXPECT_EQ(content_of(id), "new");
            if (i == 0) {
                ASSERT_TRUE(spool_->append_removed(id, Durability::Lazy));
                kept.erase(id);
            }
        }
        EXPECT_GE(spool_->statistics().segments, segments) << "none has gone";
    }
    std::map<SpoolId, std::string> all;
    for (SpoolId id : await_found(*spool_))
        all[id] = spool_->recover(id)->progress;
    // Those of the last start were not there at it.
    for (auto last = std::prev(kept.end(), 2); last != kept.end(); last = kept.erase(last))
        EXPECT_EQ(content_of(last->first), "new");
    EXPECT_EQ(all, kept);
    for (const auto& [id, progress] : kept)
        ASSERT_TRUE(spool_->append_removed(id, Durability::Lazy));
    spool_->commit();
    settle();
    EXPECT_LE(spool_->statistics().segments, 4u) << "with two new messages";
}

TEST_F(SpoolTest, WhileTheDiskRefusesWhatWasThereNewMailIsTaken) {
    open();
    SpoolId old = store("old");
    ASSERT_TRUE(spool_->close());
    spool_.reset();
    files_.kill_process();
    ASSERT_TRUE(try_open());
    files_.read_error = EIO;
    for (int i = 0; i < 5; i++) {
        spool_->run_sync_step(true);
        spool_->collect();
        EXPECT_FALSE(spool_->take_found());
    }
    EXPECT_EQ(count(SpoolEvent::Kind::DiskFailed), 1u) << "and it is said once";
    SpoolId fresh = store("new");
    files_.read_error = 0;
    EXPECT_EQ(await_found(*spool_), std::vector<SpoolId>{old});
    EXPECT_EQ(content_of(old), "old");
    EXPECT_EQ(content_of(fresh), "new");
}

TEST_F(SpoolTest, WhoIsAnsweredDoesNotWaitForThePieceOfRecoveryThatFollows) {
    open();
    store("old");
    ASSERT_TRUE(spool_->close());
    spool_.reset();
    files_.kill_process();
    ASSERT_TRUE(try_open());
    const auto readable = [&] {
        pollfd descriptor{spool_->completion_fd(), POLLIN, 0};
        return poll(&descriptor, 1, 0) == 1;
    };
    int reads = 0;
    files_.before_read = [&] {
        EXPECT_TRUE(readable());
        if (reads++ == 0) {
            EXPECT_EQ(spool_->collect().size(), 1u);
        }
    };
    ASSERT_TRUE(spool_->append_message(spool_->next_id(), "e", "new"));
    spool_->commit();
    spool_->run_sync_step(false);
    files_.before_read = nullptr;
    EXPECT_EQ(reads, 1) << "the index";
    EXPECT_FALSE(readable()) << "there is nothing new";
    EXPECT_EQ(await_found(*spool_).size(), 1u);
}

// The one does not make the other wait, and goes on at once without asking it again each time.
TEST_F(SpoolTest, RecoveryGoesOnWhileTheDiskTakesNoRecords) {
    open();
    for (int i = 0; i < 60; i++)
        store(std::string(6000, 'x'));
    ASSERT_TRUE(spool_->close());
    spool_.reset();
    files_.kill_process();
    ASSERT_TRUE(try_open());
    SpoolId fresh = store("new");
    files_.capacity = 0;
    ASSERT_TRUE(spool_->append_progress(fresh, std::string(9000, 'p'), Durability::Lazy));
    spool_->commit();
    int steps = 0;
    for (; !spool_->take_found(); steps++) {
        EXPECT_TRUE(spool_->run_sync_step(false)) << steps;
        ASSERT_LE(steps, 100);
    }
    EXPECT_GT(steps, 6);
    EXPECT_EQ(spool_->statistics().write_failures, 1u);
    EXPECT_GT(spool_->statistics().pending_bytes, 9000u);
    files_.capacity = UINT64_MAX;
    spool_->run_sync_step(true);
    EXPECT_EQ(spool_->statistics().pending_bytes, 0u);
}

// It is not asked with every batch, and the house is kept as far as it can be.
TEST_F(SpoolTest, ADiskThatRefusesOldMailIsAskedAgainLaterAndLater) {
    open();
    SpoolId old = store("old");
    ASSERT_TRUE(spool_->close());
    spool_.reset();
    files_.kill_process();
    ASSERT_TRUE(try_open());
    files_.read_error = EMFILE;
    const auto batches = [&](int count) {
        const uint64_t reads = files_.reads();
        for (int i = 0; i < count; i++) {
            SpoolId id = spool_->next_id();
            expect_completion(*spool_->append_message(id, "large", content_file("12345"), 5, 0), 0);
            EXPECT_TRUE(spool_->append_removed(id, Durability::Lazy));
        }
        settle();
        spool_->collect();
        EXPECT_LE(files_.names("content").size(), 1u) << "what was delivered meanwhile goes";
        return files_.reads() - reads;
    };
    EXPECT_GT(batches(100), 0u);
    EXPECT_EQ(batches(100), 0u);
    for (uint64_t delay : {1, 2, 4, 8, 16, 32, 60, 60}) {
        uptime_ += delay * second - 1;
        EXPECT_EQ(batches(2), 0u) << delay;
        uptime_ += 1;
        EXPECT_GT(batches(2), 0u) << delay;
    }
    EXPECT_EQ(count(SpoolEvent::Kind::DiskFailed), 1u);
    for (int minute = 0; minute < 30; minute++) {
        uptime_ += 60 * second;
        spool_->run_sync_step(false);
        spool_->collect();
    }
    EXPECT_EQ(count(SpoolEvent::Kind::DiskFailed), 4u) << "it is said every ten minutes";
    EXPECT_FALSE(spool_->take_found());
    files_.read_error = 0;
    uptime_ += 60 * second;
    EXPECT_EQ(await_found(*spool_), std::vector<SpoolId>{old});
}

TEST_F(SpoolTest, AStretchThatStaysUnreadableCostsWhatIsInIt) {
    for (bool torn_before : {false, true}) {
        SCOPED_TRACE(torn_before);
        files_ = SimulatedFileSystem(1);
        open();
        if (torn_before) { // and the segment was closed by a start
            store("x");
            kill_and_open();
        }
        std::vector<SpoolId> ids;
        for (char c = 'a'; c <= 'h'; c++)
            ids.push_back(store(std::string(6000, c)));
        SpoolId removed = store("removed");
        ASSERT_TRUE(spool_->append_removed(removed, Durability::Lazy));
        ASSERT_TRUE(spool_->append_progress(ids[0], "delivered", Durability::Lazy));
        SpoolId elsewhere = 0;
        for (int i = 0; i < 4; i++)
            elsewhere = store(std::string(6000, 'y')); // the last ones in another segment
        if (!torn_before) {
            ASSERT_TRUE(spool_->close());
        } else {
            kill_and_open();
        }
        spool_.reset();
        files_.kill_process();
        const std::string path = segment_path(torn_before ? 1 : 0);
        SegmentHeader header;
        ASSERT_TRUE(decode_segment_header(files_.contents(path).substr(0, 4096), header));
        ASSERT_NE(header.index_offset, 0u);
        ASSERT_TRUE(files_.flip_bit(path, (header.index_offset + 40) * 8));
        const uint64_t at = files_.contents(path).find("dddd");
        files_.make_unreadable(path, at + 1000, at + 2000);
        ASSERT_TRUE(try_open());
        SpoolId fresh = store("new");
        for (int i = 0; i < 10; i++) {
            spool_->run_sync_step(true);
            EXPECT_FALSE(spool_->take_found()) << "it may pass";
        }
        found_ = await_found(*spool_);
        EXPECT_LE(uptime_, 60 * second);
        auto messages = load();
        EXPECT_FALSE(messages.contains(ids[3]));
        EXPECT_FALSE(messages.contains(removed));
        EXPECT_EQ(messages[ids[0]].progress, "delivered");
        EXPECT_EQ(content_of(ids[7]), std::string(6000, 'h'));
        EXPECT_EQ(content_of(elsewhere), std::string(6000, 'y'));
        EXPECT_EQ(content_of(fresh), "new");
        EXPECT_EQ(count(SpoolEvent::Kind::Damaged), 1u);
        EXPECT_EQ(count(SpoolEvent::Kind::TornTail), 0u);
        ASSERT_EQ(files_.names("corrupt").size(), 1u);
        EXPECT_NE(files_.contents("corrupt/" + files_.names("corrupt")[0]).find("dddddddd"),
                  std::string::npos);
        spool_.reset();
        events_.clear();
        uptime_ = 0;
    }
}

TEST_F(SpoolTest, OrphansAreRemovedAtTheStart) {
    files_.set_contents("content/00000000000000ff", "whose message never was");
    files_.set_contents("content/.tmp.3", "nor this");
    open();
    settle();
    EXPECT_TRUE(files_.names("content").empty());
    EXPECT_GT(spool_->next_id(), 0xffu);
}

TEST_F(SpoolTest, WhatCannotBeReadNowIsThereLater) {
    for (int code : {EIO, EMFILE}) {
        SCOPED_TRACE(code);
        files_ = SimulatedFileSystem(1);
        open();
        SpoolId with_progress = store("one");
        ASSERT_TRUE(spool_->append_progress(with_progress, "state", Durability::Lazy));
        spool_->run_sync_step(true);
        std::string large(30000, 'L');
        SpoolId in_file = spool_->next_id();
        auto ticket =
            spool_->append_message(in_file, "e", content_file(large), large.size(), crc32c(large));
        expect_completion(*ticket, 0);
        kill_and_open();
        ASSERT_EQ(found_, (std::vector<SpoolId>{with_progress, in_file}));
        EXPECT_TRUE(spool_->take_found()->empty());
        for (int reads = 0; reads < 3; ++reads) { // the message can be read and its progress not
            files_.good_reads = reads;
            files_.read_error = code;
            auto message = spool_->recover(with_progress);
            files_.read_error = 0;
            if (message) {
                EXPECT_EQ(message->progress, "state");
            } else {
                EXPECT_EQ(message.error().code, code);
            }
        }
        files_.read_error = code;
        EXPECT_EQ(spool_->recover(in_file).error().code, code);
        files_.read_error = 0;
        EXPECT_EQ(spool_->recover(with_progress)->progress, "state");
        EXPECT_EQ(spool_->recover(in_file)->content_length, large.size());
        EXPECT_EQ(count(SpoolEvent::Kind::Damaged), 0u);
        EXPECT_TRUE(files_.names("corrupt").empty());
    }
}

// The disk has refused the fence, too, but the process that died had it in the page cache. What is
// answered for at the next start rests on it.
TEST_F(SpoolTest, AFenceIsOnDiskBeforeMailIsTaken) {
    for (uint64_t seed = 1; seed <= 60; seed++) {
        SCOPED_TRACE(seed);
        files_ = SimulatedFileSystem(seed);
        open();
        SpoolId before = store("before");
        files_.sync_failure = 1;
        SpoolId refused = store("refused", EIO);
        ASSERT_TRUE(spool_->statistics().unfenced);
        spool_.reset();
        files_.kill_process();
        files_.sync_failure = 0;
        ASSERT_TRUE(try_open());
        spool_.reset();
        files_.crash(seed);
        open();
        auto messages = load();
        EXPECT_TRUE(messages.contains(before));
        EXPECT_FALSE(messages.contains(refused));
        spool_.reset();
    }
}

TEST_F(SpoolTest, ANewerFormatIsRefused) {
    open();
    store("x");
    ASSERT_TRUE(spool_->close());
    spool_.reset();
    files_.kill_process();
    std::string bytes = files_.contents("segments/00000000");
    bytes[8] = 2;
    uint32_t crc = crc32c(std::string_view(bytes).substr(0, 60));
    for (int i = 0; i < 4; i++)
        bytes[60 + static_cast<size_t>(i)] = static_cast<char>(crc >> (8 * i));
    // Others, which come before it, would be given free, closed or set aside.
    const std::string others[] = {encode_segment_header({SegmentState::Free, 1, 2, 0, 0, 0}),
                                  encode_segment_header({SegmentState::Active, 2, 3, 0, 0, 0}),
                                  encode_segment_header({SegmentState::Sealed, 3, 4, 0, 4096, 0}),
                                  std::string(5000, 'x')};
    uint16_t slot = 0;
    for (const std::string& other : others)
        files_.set_contents(segment_path(slot++), other);
    files_.set_contents(segment_path(slot), bytes);
    auto opened = try_open();
    ASSERT_FALSE(opened);
    EXPECT_NE(opened.error().message.find("newer version"), std::string::npos);
    EXPECT_EQ(files_.contents(segment_path(slot)), bytes) << "and left as it is";
    for (slot = 0; slot < std::size(others); slot++)
        EXPECT_TRUE(files_.contents(segment_path(slot)) == others[slot]) << slot;
    EXPECT_TRUE(files_.names("corrupt").empty());
}

} // namespace
} // namespace postern
