// Damage on the disk and on the way from it.
#include <algorithm>

#include "common/base/crc32c.h"
#include "queue/spool/segment.h"
#include "queue/spool/spool_state.h"
#include "spool_lab.h"

namespace postern {
namespace {

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

TEST_F(SpoolTest, DamagedContentIsNoticedWhenItIsRead) {
    open();
    SpoolId id = store("some content");
    std::string bytes = files_.contents("segments/00000000");
    ASSERT_TRUE(files_.flip_bit("segments/00000000", bytes.find("some content") * 8));
    auto content = spool_->read_content(id, 0, 100);
    ASSERT_FALSE(content);
    EXPECT_EQ(content.error().code, EBADMSG);
}

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

// Any single flipped bit costs at most the messages whose records it is in, and never an invented
// one.
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
