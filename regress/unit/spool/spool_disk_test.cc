// A disk that is full, or refuses to write.

#include "spool_lab.h"

namespace postern {
namespace {

TEST_F(SpoolTest, AFailedSyncRefusesAndIsNotForgotten) {
    // Whatever of the failed write is on disk nevertheless: the fence keeps it out.
    for (uint64_t seed = 1; seed <= 20; seed++) {
        files_ = SimulatedFileSystem(seed);
        open();
        SpoolId before = store("before");
        int syncs = 0; // only the batch's own fails, not the fence's
        files_.meanwhile = [&] { files_.sync_failure = syncs++ == 0 ? 1 : 0; };
        SpoolId refused = store("refused", EIO);
        files_.meanwhile = nullptr;
        EXPECT_FALSE(spool_->statistics().unfenced);
        EXPECT_EQ(spool_->read_content(refused, 0, 1).error().code, ENOENT);
        SpoolId after = seed % 2 == 0 ? store("after") : 0;
        spool_.reset();
        files_.crash(seed);
        open();
        auto messages = load();
        EXPECT_EQ(messages.size(), after != 0 ? 2u : 1u);
        EXPECT_TRUE(messages.contains(before));
        EXPECT_FALSE(messages.contains(refused));
        EXPECT_EQ(content_of(before), "before");
        spool_.reset();
    }
}

TEST_F(SpoolTest, NothingIsAcceptedUntilTheFailureIsFenced) {
    open();
    store("before");
    files_.sync_failure = 1;
    store("refused", EIO);
    EXPECT_TRUE(spool_->statistics().unfenced);
    store("refused as well", EIO);
    files_.sync_failure = 0;
    store("accepted");
    EXPECT_FALSE(spool_->statistics().unfenced);
    EXPECT_GE(count(SpoolEvent::Kind::DiskFailed), 1u);
    crash_and_open();
    EXPECT_EQ(load().size(), 2u);
}

TEST_F(SpoolTest, ProgressAndRemovalOutliveAFailedSync) {
    open();
    SpoolId a = store("a"), b = store("b");
    files_.sync_failure = 1;
    auto progress = spool_->append_progress(a, "state", Durability::Durable);
    auto removed = spool_->append_removed(b, Durability::Durable);
    spool_->run_sync_step(false);
    EXPECT_TRUE(spool_->collect().empty()) << "neither refused nor done";
    files_.sync_failure = 0;
    spool_->run_sync_step(false);
    auto completions = spool_->collect();
    ASSERT_EQ(completions.size(), 2u);
    EXPECT_EQ(completions[0].ticket, *progress);
    EXPECT_EQ(completions[1].ticket, *removed);
    crash_and_open();
    auto messages = load();
    EXPECT_EQ(messages.size(), 1u);
    EXPECT_EQ(messages[a].progress, "state");
}

TEST_F(SpoolTest, WhatADiskThatRefusesKeepsWaitingIsBounded) {
    SpoolOptions small = options();
    small.max_pending = 16 << 10;
    open(small);
    SpoolId a = store("a"), b = store("b");
    files_.sync_failure = 1;
    int taken = 0, code = 0;
    while (code == 0 && taken < 1000) {
        auto ticket = spool_->append_progress(
            a, "state " + std::to_string(taken) + std::string(500, 'p'), Durability::Lazy);
        code = ticket ? 0 : ticket.error().code;
        taken += ticket ? 1 : 0;
        spool_->run_sync_step(true);
        EXPECT_LE(spool_->statistics().pending_bytes, 2u * small.max_pending + 1000);
    }
    EXPECT_EQ(code, ENOBUFS);
    EXPECT_GT(taken, 30);
    EXPECT_EQ(spool_->append_message(spool_->next_id(), "", "x").error().code, ENOBUFS);
    while (spool_->append_progress(b, "", Durability::Lazy)) {
    }
    EXPECT_EQ(spool_->append_removed(b, Durability::Lazy).error().code, ENOBUFS);
    EXPECT_EQ(content_of(b), "b") << "it is not gone, since that was refused";
    files_.sync_failure = 0;
    spool_->run_sync_step(true);
    EXPECT_EQ(spool_->statistics().pending_bytes, 0u);
    store("accepted");
    ASSERT_TRUE(spool_->append_removed(b, Durability::Lazy));
    spool_->run_sync_step(true);
    crash_and_open();
    auto messages = load();
    EXPECT_EQ(messages.size(), 2u);
    EXPECT_EQ(messages[a].progress, "state " + std::to_string(taken - 1) + std::string(500, 'p'));
}

TEST_F(SpoolTest, LazyRecordsLostToAFailedSyncAreWrittenAgain) {
    for (bool newer_waits : {false, true}) {
        SCOPED_TRACE(newer_waits);
        files_ = SimulatedFileSystem(1);
        open();
        SpoolId a = store("a");
        std::string latest = "second";
        ASSERT_TRUE(spool_->append_progress(a, "first", Durability::Lazy));
        ASSERT_TRUE(spool_->append_progress(a, latest, Durability::Lazy));
        spool_->run_sync_step(false);
        files_.sync_failure = 1;
        SpoolId refused = spool_->next_id();
        auto ticket = spool_->append_message(refused, "e", "refused");
        if (newer_waits) {
            latest = "third";
            ASSERT_TRUE(spool_->append_progress(a, latest, Durability::Lazy));
        }
        expect_completion(*ticket, EIO);
        EXPECT_EQ(spool_->recover(a)->progress, latest) << "whatever the disk says";
        files_.sync_failure = 0;
        store("accepted");
        EXPECT_EQ(spool_->recover(a)->progress, latest);
        crash_and_open();
        EXPECT_EQ(load()[a].progress, latest);
        spool_.reset();
    }
}

TEST_F(SpoolTest, AFullDiskRefusesMessagesAndLosesNothing) {
    open();
    std::vector<SpoolId> stored;
    files_.capacity = 200 << 10;
    for (int i = 0; i < 100; i++) {
        SpoolId id = spool_->next_id();
        ASSERT_TRUE(spool_->append_message(id, "e", std::string(5000, 'x')));
        spool_->run_sync_step(false);
        auto completions = spool_->collect();
        ASSERT_EQ(completions.size(), 1u);
        if (completions[0].result) {
            stored.push_back(id);
        } else {
            EXPECT_EQ(completions[0].result.error().code, ENOSPC);
        }
    }
    EXPECT_LT(stored.size(), 45u);
    EXPECT_GT(stored.size(), 25u);
    crash_and_open();
    auto messages = load();
    EXPECT_EQ(messages.size(), stored.size());
    // Removing makes room again.
    files_.capacity += 32 << 10;
    for (SpoolId id : stored)
        ASSERT_TRUE(spool_->append_removed(id, Durability::Lazy));
    settle();
    store(std::string(5000, 'y'));
}

TEST_F(SpoolTest, AReserveIsKeptForTheRecordsOfOldMail) {
    files_.capacity = 300 << 10;
    SpoolOptions reserving = options();
    reserving.min_free = 150 << 10;
    open(reserving);
    std::vector<SpoolId> stored;
    int refused = 0;
    for (int i = 0; i < 60; i++) {
        SpoolId id = spool_->next_id();
        ASSERT_TRUE(spool_->append_message(id, "e", std::string(5000, 'x')));
        spool_->run_sync_step(false);
        auto completions = spool_->collect();
        ASSERT_EQ(completions.size(), 1u);
        if (completions[0].result)
            stored.push_back(id);
        else
            refused++;
    }
    EXPECT_GT(refused, 0);
    EXPECT_EQ(spool_->statistics().write_failures, 0u) << "refused before the disk is full";
    for (SpoolId id : stored) {
        ASSERT_TRUE(spool_->append_progress(id, std::string(300, 'p'), Durability::Lazy));
        ASSERT_TRUE(spool_->append_removed(id, Durability::Lazy));
        settle();
    }
    EXPECT_EQ(spool_->statistics().write_failures, 0u);
    EXPECT_EQ(spool_->statistics().messages, 0u);
}

} // namespace
} // namespace postern
