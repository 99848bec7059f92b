// The spool on a simulated disk, one scenario each. What random workloads and crashes at every step
// do to it is in regress/simulation.
#include <algorithm>
#include <cerrno>
#include <gtest/gtest.h>
#include <map>
#include <poll.h>
#include <utility>

#include "common/base/crc32c.h"
#include "queue/spool/segment.h"
#include "queue/spool/spool.h"
#include "queue/spool/spool_check.h"
#include "queue/spool/spool_state.h"
#include "simulated_file_system.h"

namespace postern {
namespace {

constexpr uint64_t segment_size = 64 << 10;
constexpr uint64_t second = 1'000'000; // microseconds

class SpoolTest : public testing::Test {
  protected:
    SpoolOptions options() {
        SpoolOptions options;
        options.segment_size = segment_size;
        options.growth_step = 4 << 10;
        options.max_spares = 2;
        options.min_free = 0;
        options.threaded = false;
        options.clock = [this] { return time_; };
        options.uptime = [this] { return uptime_; };
        options.report = [this](const SpoolEvent& event) { events_.push_back(event); };
        return options;
    }
    Result<void> try_open() { return try_open(options()); }
    Result<void> try_open(const SpoolOptions& options) {
        auto opened = Spool::open(files_, options);
        if (!opened)
            return opened.error();
        spool_ = std::move(*opened);
        return {};
    }
    // Until all indexes have been read.
    void open() { open(options()); }
    void open(const SpoolOptions& options) {
        auto opened = try_open(options);
        ASSERT_TRUE(opened) << opened.error().message;
        found_ = await_found(*spool_);
    }
    std::vector<SpoolId> await_found(Spool& spool) {
        for (int i = 0; i < 2000; i++) {
            if (auto found = spool.take_found())
                return std::move(*found);
            uptime_ += second;
            spool.run_sync_step(false);
            spool.collect();
        }
        ADD_FAILURE() << "the indexes are not read";
        return {};
    }
    void kill_and_open() {
        spool_.reset();
        files_.kill_process();
        open();
    }
    void crash_and_open() {
        spool_.reset();
        files_.crash(7);
        open();
    }
    void settle() {
        for (int i = 0; i < 2000 && spool_->run_sync_step(true); i++) {
        }
    }
    // Appends, writes and returns the id; its completion must be `code` (0: ok).
    SpoolId store(const std::string& content, int code = 0) {
        SpoolId id = spool_->next_id();
        auto ticket = spool_->append_message(id, "to:" + std::to_string(content.size()), content);
        EXPECT_TRUE(ticket);
        expect_completion(*ticket, code);
        return id;
    }
    void expect_completion(Ticket ticket, int code) {
        spool_->commit();
        spool_->run_sync_step(false);
        auto completions = spool_->collect();
        ASSERT_EQ(completions.size(), 1u);
        EXPECT_EQ(completions[0].ticket, ticket);
        EXPECT_EQ(completions[0].result ? 0 : completions[0].result.error().code, code);
    }
    ContentFile content_file(const std::string& bytes) {
        auto file = spool_->create_content_file();
        EXPECT_TRUE(file);
        std::vector<std::string_view> pieces{bytes};
        EXPECT_TRUE(file->file().write_at(0, pieces, false));
        return std::move(*file);
    }
    std::map<SpoolId, RecoveredMessage> load() {
        std::map<SpoolId, RecoveredMessage> messages;
        for (SpoolId id : std::exchange(found_, {})) {
            auto message = spool_->recover(id);
            if (message)
                messages[id] = std::move(*message);
            else
                EXPECT_EQ(message.error().code, ENOENT) << message.error().message;
        }
        return messages;
    }
    size_t count(SpoolEvent::Kind kind) const {
        return static_cast<size_t>(
            std::count_if(events_.begin(), events_.end(),
                          [kind](const SpoolEvent& event) { return event.kind == kind; }));
    }
    std::string content_of(SpoolId id) {
        auto content = spool_->read_content(id, 0, 1 << 20);
        return content ? *content : "error: " + content.error().message;
    }

    SimulatedFileSystem files_{1};
    std::unique_ptr<Spool> spool_;
    std::vector<SpoolId> found_;
    std::vector<SpoolEvent> events_;
    uint64_t time_ = 1'700'000'000'000'000;
    uint64_t uptime_ = 0;
};

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

TEST_F(SpoolTest, OrphansAreRemovedAtTheStart) {
    files_.set_contents("content/00000000000000ff", "whose message never was");
    files_.set_contents("content/.tmp.3", "nor this");
    open();
    settle();
    EXPECT_TRUE(files_.names("content").empty());
    EXPECT_GT(spool_->next_id(), 0xffu);
}

// The envelope is there: somebody can be told.
TEST_F(SpoolTest, MissingOrShortContentIsNoticedWhenItIsRead) {
    open();
    for (bool missing : {true, false}) {
        SpoolId id = spool_->next_id();
        expect_completion(*spool_->append_message(id, "env", content_file("12345"), 5, 0), 0);
        ASSERT_TRUE(files_.unlink(content_path(id)));
        if (!missing)
            files_.set_contents(content_path(id), "1234");
        kill_and_open();
        EXPECT_EQ(load().size(), 1u);
        EXPECT_EQ(spool_->open_content(id).error().code, EBADMSG);
        EXPECT_EQ(spool_->read_content(id, 0, 5).error().code, EBADMSG);
        EXPECT_EQ(spool_->read_content(id, 0, 5).error().code, EBADMSG);
        ASSERT_TRUE(spool_->set_content_aside(id));
        ASSERT_TRUE(spool_->set_content_aside(id)) << "once more does no harm";
        ASSERT_TRUE(spool_->append_removed(id, Durability::Lazy));
        settle();
    }
    EXPECT_EQ(files_.names("corrupt").size(), 3u) << "two records and what was left of a content";
    crash_and_open();
    EXPECT_TRUE(load().empty());
}

TEST_F(SpoolTest, ADamagedMessageIsNotCopiedForwardAndNotForgotten) {
    open();
    SpoolId damaged = store("to be damaged");
    std::vector<SpoolId> others;
    for (int i = 0; i < 60; ++i)
        others.push_back(store(std::string(6000, 'x')));
    const std::string bytes = files_.contents("segments/00000000");
    ASSERT_TRUE(files_.flip_bit("segments/00000000", bytes.find("to be damaged") * 8));
    for (SpoolId id : others)
        ASSERT_TRUE(spool_->append_removed(id, Durability::Lazy));
    SpoolOptions tight = options();
    ASSERT_TRUE(spool_->close());
    spool_.reset();
    tight.compaction_slack = 0;
    open(tight);
    EXPECT_EQ(load().size(), 1u);
    settle();
    spool_->collect();
    EXPECT_GE(count(SpoolEvent::Kind::DiskFailed), 1u);
    EXPECT_EQ(spool_->read_content(damaged, 0, 100).error().code, EBADMSG);
    ASSERT_TRUE(spool_->append_removed(damaged, Durability::Lazy));
    settle();
    EXPECT_LE(spool_->statistics().segments, 2u) << "the segment goes with it";
}

TEST_F(SpoolTest, ADamagedEnvelopeIsSetAsideAndTheRestServed) {
    open();
    SpoolId a = store("aaaa"), b = store("bbbb"), c = store("cccc");
    ASSERT_TRUE(spool_->close());
    spool_.reset();
    std::string bytes = files_.contents("segments/00000000");
    size_t second = bytes.find("to:4", bytes.find("to:4") + 1);
    ASSERT_TRUE(files_.flip_bit("segments/00000000", second * 8));
    open();
    auto messages = load();
    EXPECT_TRUE(messages.contains(a));
    EXPECT_FALSE(messages.contains(b));
    EXPECT_TRUE(messages.contains(c));
    EXPECT_EQ(count(SpoolEvent::Kind::Damaged), 1u);
    ASSERT_EQ(files_.names("corrupt").size(), 1u);
    EXPECT_NE(files_.contents("corrupt/" + files_.names("corrupt")[0]).find("bbbb"),
              std::string::npos);
    settle();
    events_.clear();
    kill_and_open();
    EXPECT_EQ(load().size(), 2u);
    EXPECT_TRUE(events_.empty()) << "reported once";
}

TEST_F(SpoolTest, ADamagedRecordInAnUnsealedSegmentIsSetAside) {
    open();
    store("aaaa");
    store("bbbb");
    store("cccc");
    spool_.reset();
    files_.crash(1);
    std::string bytes = files_.contents("segments/00000000");
    ASSERT_TRUE(files_.flip_bit("segments/00000000", bytes.find("bbbb") * 8));
    files_.set_contents("content/0000000000000001", "perhaps what is left of a message");
    open();
    EXPECT_EQ(load().size(), 2u);
    EXPECT_EQ(count(SpoolEvent::Kind::Damaged), 1u);
    EXPECT_EQ(files_.names("corrupt").size(), 2u) << "the record and the orphan";
}

// What sets a record or a segment aside is done when mail is first taken, what becomes of the
// content files without an owner is known when all has been read: between the two it may end.
TEST_F(SpoolTest, ContentOfDamagedMailIsKeptWheneverTheStartIsCutShort) {
    for (uint64_t seed = 1; seed <= 24; seed++) {
        SCOPED_TRACE(seed);
        files_ = SimulatedFileSystem(seed);
        open();
        store("aaaa");
        SpoolId large = spool_->next_id();
        expect_completion(*spool_->append_message(large, "large", content_file("12345"), 5, 0), 0);
        store("cccc");
        const std::string path = "segments/00000000";
        if (seed % 2 == 0) {
            ASSERT_TRUE(spool_->close());
            ASSERT_TRUE(files_.flip_bit(path, 100));
            ASSERT_TRUE(files_.flip_bit(path, 2048 * 8 + 100));
        } else {
            ASSERT_TRUE(files_.flip_bit(path, files_.contents(path).find("large") * 8));
        }
        spool_.reset();
        files_.crash(seed);
        for (int starts = 0; starts < 2; starts++) {
            ASSERT_TRUE(try_open());
            if (seed % 3 == 0) {
                ASSERT_TRUE(spool_->close());
            }
            spool_.reset();
            files_.crash(seed);
        }
        open();
        EXPECT_TRUE(files_.names("content").empty());
        for (int starts = 0; starts < 2; starts++) {
            const std::string aside = "corrupt" + content_path(large).substr(7) + ".content";
            EXPECT_EQ(files_.contents(aside), "12345");
            crash_and_open();
            settle();
        }
        files_.set_contents("content/00000000000000ff", "whose message never was");
        kill_and_open();
        settle();
        EXPECT_TRUE(files_.names("content").empty());
        EXPECT_TRUE(files_.contents("corrupt/00000000000000ff.content").empty())
            << "the damage is over";
        spool_.reset();
    }
}

// Each is said once, however often it is tried again; and what cannot be saved keeps nobody
// waiting.
TEST_F(SpoolTest, DamageThatCannotBeSetAsideIsSaidAndTheRestServed) {
    struct Case {
        const char* name;
        int bad_writes; // after the first one into corrupt/
        uint64_t capacity;
        size_t saved;
        uint64_t seconds; // at most
    };
    for (const Case& c : {Case{"once", 1, UINT64_MAX, 2, 6}, Case{"full", 0, 0, 0, 4},
                          Case{"always", 1000, UINT64_MAX, 1, 60}}) {
        SCOPED_TRACE(c.name);
        files_ = SimulatedFileSystem(1);
        events_.clear();
        open();
        SpoolId first = store("aaaa");
        store("bbbb");
        SpoolId between = store("cccc");
        store("dddd");
        SpoolId last = store("eeee");
        ASSERT_TRUE(spool_->close());
        spool_.reset();
        files_.kill_process();
        const std::string path = segment_path(0), bytes = files_.contents(path);
        SegmentHeader header;
        ASSERT_TRUE(decode_segment_header(bytes.substr(0, 4096), header));
        for (uint64_t at : {header.index_offset + 40, bytes.find("bbbb"), bytes.find("dddd")})
            ASSERT_TRUE(files_.flip_bit(path, at * 8));
        int writes = 0; // that of the header comes first
        files_.meanwhile = [&] {
            ++writes;
            files_.write_failure = writes > 2 && writes <= 2 + c.bad_writes ? 1 : 0;
        };
        files_.capacity = c.capacity;
        ASSERT_TRUE(try_open());
        const uint64_t begun = uptime_;
        EXPECT_EQ(await_found(*spool_), (std::vector<SpoolId>{first, between, last}));
        EXPECT_LE(uptime_ - begun, c.seconds * second);
        files_.meanwhile = nullptr;
        files_.write_failure = 0;
        files_.capacity = UINT64_MAX;
        EXPECT_EQ(count(SpoolEvent::Kind::Damaged), 2u);
        EXPECT_EQ(files_.names("corrupt").size(), c.saved);
        EXPECT_EQ(std::count_if(events_.begin(), events_.end(),
                                [](const SpoolEvent& event) {
                                    return event.message.find("cannot be set aside") !=
                                           std::string::npos;
                                }),
                  static_cast<std::ptrdiff_t>(2 - c.saved));
        spool_.reset();
    }
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

TEST_F(SpoolTest, DamagedContentIsNoticedWhenItIsRead) {
    open();
    SpoolId id = store("some content");
    std::string bytes = files_.contents("segments/00000000");
    ASSERT_TRUE(files_.flip_bit("segments/00000000", bytes.find("some content") * 8));
    auto content = spool_->read_content(id, 0, 100);
    ASSERT_FALSE(content);
    EXPECT_EQ(content.error().code, EBADMSG);
}

// Between the read of the record's beginning and that of the wanted part the message is copied
// forward, and others take its place.
// On the way from the disk, that is: every second reading.
TEST_F(SpoolTest, ABitThatIsFlippedOnTheWayCostsNothing) {
    for (bool in_order : {false, true}) {
        SCOPED_TRACE(in_order);
        open();
        files_.read_flip = 1;
        SpoolId a = store("small"), b = store(std::string(20000, 'b'));
        std::string large(200000, 'c');
        SpoolId c = spool_->next_id();
        auto ticket =
            spool_->append_message(c, "large", content_file(large), large.size(), crc32c(large));
        expect_completion(*ticket, 0);
        ASSERT_TRUE(spool_->append_progress(a, "delivered", Durability::Lazy));
        spool_->commit();
        settle();
        if (in_order) {
            ASSERT_TRUE(spool_->close());
        }
        kill_and_open();
        auto messages = load();
        ASSERT_EQ(messages.size(), 3u);
        EXPECT_EQ(messages[a].progress, "delivered");
        EXPECT_EQ(content_of(a), "small");
        EXPECT_EQ(content_of(b), std::string(20000, 'b'));
        EXPECT_EQ(*spool_->read_content(b, 100, 7), std::string(7, 'b'));
        EXPECT_EQ(content_of(c), large);
        EXPECT_EQ(count(SpoolEvent::Kind::Damaged), 0u);
        files_.read_flip = 0;
        crash_and_open();
        EXPECT_EQ(load().size(), 3u) << "what was read wrongly was not written back";
        EXPECT_EQ(content_of(b), std::string(20000, 'b'));
        for (SpoolId id : {a, b, c})
            ASSERT_TRUE(spool_->append_removed(id, Durability::Lazy));
        spool_->commit();
        settle();
        spool_.reset();
        files_.kill_process();
    }
}

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

TEST_F(SpoolTest, AnUnreadableHeaderSetsTheSegmentAside) {
    open();
    store("aaaa");
    ASSERT_TRUE(spool_->close());
    spool_.reset();
    ASSERT_TRUE(files_.flip_bit("segments/00000000", 100));
    ASSERT_TRUE(files_.flip_bit("segments/00000000", 2048 * 8 + 100));
    open();
    EXPECT_TRUE(load().empty());
    EXPECT_EQ(count(SpoolEvent::Kind::Damaged), 1u);
    EXPECT_EQ(files_.names("corrupt"), std::vector<std::string>{"segment-00000000"});
    store("goes on");
}

// The disk is full in the middle of the header of a new file, and refuses to take it back.
TEST_F(SpoolTest, ANewSegmentThatWasCutOffInItsHeaderIsNoDamage) {
    open();
    files_.capacity = 23;
    store("refused", ENOSPC);
    files_.capacity = UINT64_MAX;
    ASSERT_TRUE(files_.names("segments").empty());
    files_.set_contents("segments/00000000",
                        std::string("Postern\0\1\0\0\0\1\0\0\0\1\0\0\0\0\0\0", 23));
    files_.set_contents("segments/00000001", std::string(4095, 'x'));
    kill_and_open();
    EXPECT_TRUE(load().empty());
    EXPECT_TRUE(files_.names("corrupt").empty());
    EXPECT_EQ(count(SpoolEvent::Kind::Damaged), 0u);
    EXPECT_EQ(spool_->statistics().spares, 2u);
    SpoolId id = store("goes on");
    crash_and_open();
    load();
    EXPECT_EQ(content_of(id), "goes on");
}

// A bit that is flipped on the way does not make a short file with a good header one without.
TEST_F(SpoolTest, AShortHeaderIsReadAgainBeforeItIsPassedOver) {
    SegmentHeader header{SegmentState::Free, 9, 8, 7, 6, 0};
    files_.set_contents("segments/00000000", encode_segment_header(header).substr(0, 512));
    for (uint64_t seed = 1; seed <= 20; seed++) {
        auto file = files_.open("segments/00000000", OpenMode::Read);
        ASSERT_TRUE(file);
        files_.read_flip = 1;
        SegmentHeader read;
        EXPECT_EQ(read_segment_header(**file, read).value(), HeaderCondition::Good);
        EXPECT_EQ(read.epoch, 9u);
    }
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

// Any single flipped bit costs at most the messages whose records it is in, and never an invented
// one.
TEST_F(SpoolTest, ACheckVerifiesEveryRecordAndWritesNothing) {
    std::vector<std::string> said;
    const auto check = [&] {
        said.clear();
        return check_spool(files_, [&said](const std::string& line) { said.push_back(line); });
    };
    EXPECT_FALSE(check()) << "it is no spool";
    open();
    EXPECT_EQ(check().error().code, EWOULDBLOCK);
    SpoolId a = store("small"), gone = store("gone");
    std::string large(200000, 'c');
    SpoolId b = spool_->next_id();
    auto ticket =
        spool_->append_message(b, "large", content_file(large), large.size(), crc32c(large));
    expect_completion(*ticket, 0);
    ASSERT_TRUE(spool_->append_progress(a, "tried", Durability::Lazy));
    ASSERT_TRUE(spool_->append_removed(gone, Durability::Lazy));
    spool_->commit();
    for (bool sealed : {false, true}) {
        SCOPED_TRACE(sealed);
        if (sealed)
            open();
        settle();
        if (sealed) {
            ASSERT_TRUE(spool_->close());
        }
        spool_.reset();
        files_.kill_process();
        const uint64_t steps = files_.steps();
        auto good = check();
        ASSERT_TRUE(good) << good.error().message;
        EXPECT_EQ(good->messages, 2u);
        EXPECT_EQ(good->records, 5u);
        EXPECT_EQ(good->damaged, 0u);
        EXPECT_EQ(good->orphans, 0u);
        EXPECT_EQ(files_.steps(), steps) << "nothing is written";
    }
    const std::string path = segment_path(0);
    SegmentHeader header;
    ASSERT_TRUE(decode_segment_header(files_.contents(path).substr(0, 4096), header));
    ASSERT_NE(header.index_offset, 0u);
    ASSERT_TRUE(files_.flip_bit(path, (header.index_offset + 40) * 8));
    EXPECT_EQ(check()->damaged, 1u);
    EXPECT_EQ(check()->records, 5u) << "they are found all the same";
    EXPECT_NE(said[0].find("the index is damaged"), std::string::npos) << said[0];
    ASSERT_TRUE(files_.flip_bit(path, (header.index_offset + 40) * 8));
    const size_t at = files_.contents(path).find("small");
    ASSERT_TRUE(files_.flip_bit(path, at * 8));
    EXPECT_EQ(check()->damaged, 1u);
    EXPECT_EQ(check()->messages, 1u);
    ASSERT_TRUE(files_.flip_bit(content_path(b), 77));
    EXPECT_EQ(check()->damaged, 2u);
    EXPECT_EQ(check()->messages, 0u);
    files_.set_contents("content/00000000000000ff", "x");
    EXPECT_EQ(check()->orphans, 1u);
    for (const char* part : {"a record is damaged", "damaged or missing", "belongs to no message"})
        EXPECT_TRUE(std::any_of(said.begin(), said.end(), [&](const std::string& line) {
            return line.find(part) != std::string::npos;
        })) << part;
}

TEST_F(SpoolTest, ACheckNeedsNoDirectoryOfWhatWasSetAside) {
    open();
    store("a");
    ASSERT_TRUE(spool_->close());
    spool_.reset();
    files_.kill_process();
    ASSERT_TRUE(files_.unlink("corrupt"));
    auto checked = check_spool(files_, [](const std::string&) {});
    ASSERT_TRUE(checked) << checked.error().message;
    EXPECT_EQ(checked->messages, 1u);
    EXPECT_EQ(checked->set_aside, 0u);
}

class SpoolOnlineCheckTest : public SpoolTest {
  protected:
    // All pieces of one; mail comes and goes between them.
    SpoolCheckResult check() {
        said_.clear();
        for (bool anew = true;; anew = false) {
            auto begun = spool_->check(anew);
            EXPECT_TRUE(begun) << begun.error().message;
            EXPECT_EQ(spool_->check(true).error().code, EBUSY);
            spool_->run_sync_step(false);
            auto piece = spool_->take_checked();
            if (!begun || !piece) {
                ADD_FAILURE();
                return {};
            }
            said_.insert(said_.end(), piece->lines.begin(), piece->lines.end());
            if (between_)
                between_();
            if (piece->last)
                return piece->totals;
        }
    }
    bool said(const std::string& part) const {
        return std::any_of(said_.begin(), said_.end(), [&](const std::string& line) {
            return line.find(part) != std::string::npos;
        });
    }
    std::string name(SpoolId id) {
        return content_path(id).substr(8); // sixteen digits
    }
    SpoolId store_large(const std::string& content) {
        SpoolId id = spool_->next_id();
        auto ticket = spool_->append_message(id, "large", content_file(content), content.size(),
                                             crc32c(content));
        expect_completion(*ticket, 0);
        return id;
    }

    std::vector<std::string> said_;
    std::function<void()> between_;
};

TEST_F(SpoolOnlineCheckTest, EveryRecordIsVerifiedWhileMailComesAndGoes) {
    ASSERT_TRUE(try_open());
    EXPECT_EQ(spool_->check(true).error().code, EAGAIN) << "it is not known yet what lives";
    await_found(*spool_);
    EXPECT_EQ(spool_->check(false).error().code, ESRCH);
    std::vector<SpoolId> ids;
    for (int i = 0; i < 40; i++)
        ids.push_back(store(std::string(6000, 'x')));
    ids.push_back(store_large(std::string(3 << 20, 'L')));
    for (SpoolId id : ids)
        ASSERT_TRUE(spool_->append_progress(id, "tried", Durability::Lazy));
    spool_->commit();
    settle();
    const uint64_t steps = files_.steps();
    auto good = check();
    EXPECT_EQ(files_.steps(), steps) << "nothing is written";
    EXPECT_EQ(good.messages, 41u);
    EXPECT_EQ(good.records, 82u);
    EXPECT_EQ(good.damaged, 0u) << said_[0];
    EXPECT_EQ(good.segments, spool_->statistics().segments);
    EXPECT_EQ(said_.back(), summary(good));
    // Segments go and are used again in the middle of it.
    between_ = [&] {
        for (int i = 0; i < 10; i++) {
            ASSERT_TRUE(spool_->append_removed(ids.front(), Durability::Lazy));
            ids.erase(ids.begin());
            ids.push_back(store(std::string(6000, 'y')));
        }
        settle();
    };
    for (int i = 0; i < 20; i++)
        EXPECT_EQ(check().damaged, 0u) << said_[0];
}

TEST_F(SpoolOnlineCheckTest, WhatIsDamagedIsSaidAndWhatIsLostWithIt) {
    open();
    SpoolId message = store("a message"), progress = store("another"), dead = store("dead"),
            large = store_large(std::string(3 << 20, 'L')), missing = store_large("missing");
    ASSERT_TRUE(spool_->append_progress(progress, "what happened", Durability::Lazy));
    ASSERT_TRUE(spool_->append_removed(dead, Durability::Lazy));
    spool_->commit();
    settle();
    ASSERT_TRUE(files_.unlink(content_path(missing)));
    ASSERT_TRUE(files_.flip_bit(content_path(large), 12345678));
    const std::string path = segment_path(0);
    for (bool sealed : {false, true}) {
        SCOPED_TRACE(sealed);
        if (sealed) {
            ASSERT_TRUE(spool_->close());
            spool_.reset();
            files_.kill_process();
            open();
        }
        EXPECT_EQ(check().damaged, 2u);
        EXPECT_TRUE(said("the content of message " + name(missing) + " is lost"));
        EXPECT_TRUE(said("the content of message " + name(large) + " is lost"));
        for (const auto& [what, loss] :
             {std::pair("a message", "message " + name(message) + " is lost"),
              std::pair("what happened", "what happened to message " + name(progress)),
              std::pair("dead", std::string("nothing that is still needed is lost"))}) {
            const uint64_t bit = files_.contents(path).find(what) * 8;
            ASSERT_TRUE(files_.flip_bit(path, bit));
            EXPECT_EQ(check().damaged, 3u);
            EXPECT_TRUE(said(loss)) << what;
            EXPECT_TRUE(said(path + (sealed ? " at " : ": bytes ")));
            ASSERT_TRUE(files_.flip_bit(path, bit));
        }
    }
    SegmentHeader header;
    ASSERT_TRUE(decode_segment_header(files_.contents(path).substr(0, 4096), header));
    ASSERT_TRUE(files_.flip_bit(path, (header.index_offset + 40) * 8));
    EXPECT_EQ(check().damaged, 3u);
    EXPECT_TRUE(said(path + " at " + std::to_string(header.index_offset) + ": the index is"));
    EXPECT_EQ(content_of(message), "a message") << "and all is served as before";
}

// What is flipped on the way from the disk is no damage.
TEST_F(SpoolOnlineCheckTest, WhatLooksDamagedIsReadAgain) {
    open();
    for (int i = 0; i < 30; i++)
        store(std::string(5000, 'x'));
    store_large(std::string(3 << 20, 'L'));
    files_.read_flip = 0.5;
    files_.good_after_flip = 8;
    for (int i = 0; i < 20; i++)
        EXPECT_EQ(check().damaged, 0u) << said_[0];
    EXPECT_GT(files_.flips(), 20u);
}

TEST_F(SpoolTest, FlippedBitsCostNoMoreThanTheirRecord) {
    open();
    std::map<SpoolId, std::string> stored;
    for (int i = 0; i < 8; i++) {
        std::string content = "content " + std::to_string(i);
        stored[store(content)] = content;
    }
    spool_.reset();
    files_.crash(3);
    std::string bytes = files_.contents("segments/00000000");
    for (uint64_t bit = 0; bit < (segment_data_begin + 8 * 80) * 8; bit += 13) {
        SimulatedFileSystem disk(bit);
        disk.set_contents("segments/00000000", bytes);
        disk.flip_bit("segments/00000000", bit);
        auto opened = Spool::open(disk, options());
        ASSERT_TRUE(opened);
        size_t found = 0;
        for (SpoolId id : await_found(**opened)) {
            if (!(*opened)->recover(id))
                continue;
            ASSERT_TRUE(stored.contains(id));
            auto content = (*opened)->read_content(id, 0, 100);
            ASSERT_TRUE(content);
            EXPECT_EQ(*content, stored[id]);
            found++;
        }
        EXPECT_GE(found, 7u) << bit;
    }
}

} // namespace
} // namespace postern
