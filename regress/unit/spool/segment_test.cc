// Segment headers and finding records: torn tails, holes and damage are told apart.
#include <gtest/gtest.h>

#include "common/base/crc32c.h"
#include "queue/spool/coding.h"
#include "queue/spool/segment.h"
#include "simulated_file_system.h"

namespace postern {
namespace {

SegmentHeader header(SegmentState state) { return {state, 7, 0xABCDEF0123456789, 1000, 0, 0}; }

// Records with payloads of 100 bytes; each pair of numbers is id and durable end.
std::string segment(const std::vector<std::pair<uint64_t, uint32_t>>& records,
                    const SegmentHeader& h, RecordType type = RecordType::Progress) {
    std::string bytes = encode_segment_header(h);
    for (auto [id, durable_end] : records) {
        size_t at = bytes.size();
        append_record(bytes, type, 0, id, {std::string(100, 'p')});
        finish_record(bytes.data() + at, h.stamp, durable_end);
    }
    return bytes;
}
constexpr uint64_t size_each = 136;

SegmentContents read(const std::string& bytes, const SegmentHeader& h) {
    SimulatedFileSystem files(1);
    files.set_contents("segments/00000000", bytes);
    auto file = files.open("segments/00000000", OpenMode::Read);
    auto contents = read_segment(**file, h);
    EXPECT_TRUE(contents);
    return *contents;
}

std::vector<uint64_t> ids(const SegmentContents& contents) {
    std::vector<uint64_t> ids;
    for (const IndexEntry& entry : contents.entries)
        ids.push_back(entry.id);
    return ids;
}

using Ids = std::vector<uint64_t>;

TEST(SegmentHeader, RoundTrip) {
    SegmentHeader out{SegmentState::Sealed, 9, 8, 7, 6, 5};
    SegmentHeader in;
    auto condition = decode_segment_header(encode_segment_header(out), in);
    ASSERT_TRUE(condition);
    EXPECT_EQ(*condition, HeaderCondition::Good);
    EXPECT_EQ(in.state, SegmentState::Sealed);
    EXPECT_EQ(in.epoch, 9u);
    EXPECT_EQ(in.stamp, 8u);
    EXPECT_EQ(in.highest_id, 7u);
    EXPECT_EQ(in.data_end, 6u);
    EXPECT_EQ(in.index_offset, 5u);
}

TEST(SegmentHeader, OneCopyIsEnoughAndTheLaterOneCounts) {
    SegmentHeader old = header(SegmentState::Sealed);
    SegmentHeader free = header(SegmentState::Free);
    SegmentHeader reused = header(SegmentState::Active);
    reused.epoch = 8;
    std::string a = encode_segment_header(old), b = encode_segment_header(free),
                c = encode_segment_header(reused);
    const struct {
        std::string block;
        HeaderCondition condition;
        SegmentState state;
    } cases[] = {
        {std::string(512, 'x') + a.substr(512), HeaderCondition::Good, SegmentState::Sealed},
        {a.substr(0, 2048) + std::string(2048, 'x'), HeaderCondition::Good, SegmentState::Sealed},
        {a.substr(0, 2048) + b.substr(2048), HeaderCondition::Good, SegmentState::Free},
        {b.substr(0, 2048) + a.substr(2048), HeaderCondition::Good, SegmentState::Free},
        {c.substr(0, 2048) + b.substr(2048), HeaderCondition::Good, SegmentState::Active},
        {std::string(4096, 'x'), HeaderCondition::Damaged, {}},
        {std::string(4096, '\0'), HeaderCondition::Blank, {}},
        {"", HeaderCondition::Blank, {}},
        {a.substr(0, 512), HeaderCondition::Good, SegmentState::Sealed},
        // Shorter than a header: the write that was to begin its first life was cut off.
        {a.substr(0, 23), HeaderCondition::Blank, {}},
        {a.substr(0, 63), HeaderCondition::Blank, {}},
        {std::string(4095, 'x'), HeaderCondition::Blank, {}},
    };
    int number = 0;
    for (const auto& c2 : cases) {
        SegmentHeader in;
        auto condition = decode_segment_header(c2.block, in);
        ASSERT_TRUE(condition);
        EXPECT_EQ(*condition, c2.condition) << number;
        if (c2.condition == HeaderCondition::Good) {
            EXPECT_EQ(in.state, c2.state) << number;
        }
        number++;
    }
}

TEST(SegmentHeader, ANewerVersionIsRefused) {
    std::string block = encode_segment_header(header(SegmentState::Active));
    for (size_t at : {0u, 2048u}) {
        store_u32(block.data() + at + 8, segment_format_version + 1);
        store_u32(block.data() + at + 60, crc32c(std::string_view(block).substr(at, 60)));
    }
    SegmentHeader in;
    auto condition = decode_segment_header(block, in);
    ASSERT_FALSE(condition);
    EXPECT_NE(condition.error().message.find("newer version"), std::string::npos);
}

TEST(ReadSegment, EndsAtZerosAndAtStaleRecords) {
    SegmentHeader h = header(SegmentState::Active);
    std::string bytes = segment({{1, 4096}, {2, 4096}}, h);
    SegmentContents contents = read(bytes + std::string(1000, '\0'), h);
    EXPECT_EQ(ids(contents), (Ids{1, 2}));
    EXPECT_TRUE(contents.damaged.empty());
    EXPECT_EQ(contents.end, segment_data_begin + 2 * size_each);

    SegmentHeader former = h;
    former.stamp++;
    std::string stale = segment({{8, 4096}, {9, 4096}}, former).substr(segment_data_begin);
    contents = read(bytes + stale, h);
    EXPECT_EQ(ids(contents), (Ids{1, 2}));
    contents = read(bytes + stale.substr(24), h); // the new end lies within an old record
    EXPECT_EQ(ids(contents), (Ids{1, 2}));
    EXPECT_TRUE(contents.damaged.empty());
}

TEST(ReadSegment, ATornTailIsNoDamage) {
    SegmentHeader h = header(SegmentState::Active);
    std::string bytes = segment({{1, 4096}, {2, 4096 + size_each}}, h);
    bytes[bytes.size() - 20] = 'x';
    SegmentContents contents = read(bytes + std::string(512, '\0'), h);
    EXPECT_EQ(ids(contents), (Ids{1}));
    ASSERT_EQ(contents.damaged.size(), 1u);
    EXPECT_FALSE(contents.damaged[0].was_durable);
}

// Progress and removals are left out: they may rest on what is missing.
TEST(ReadSegment, AHoleInTheLastWriteIsNoDamageAndMessagesThatFollowAreServed) {
    SegmentHeader h = header(SegmentState::Active);
    uint32_t durable = 4096 + size_each;
    for (RecordType type : {RecordType::Message, RecordType::Progress, RecordType::Removed}) {
        std::string bytes = segment({{1, 4096}, {2, durable}, {3, durable}}, h, type);
        bytes.replace(durable, size_each, size_each, '\0');
        SegmentContents contents = read(bytes, h);
        EXPECT_EQ(ids(contents), type == RecordType::Message ? (Ids{1, 3}) : (Ids{1}));
        ASSERT_EQ(contents.damaged.size(), 1u);
        EXPECT_FALSE(contents.damaged[0].was_durable);
    }
}

TEST(ReadSegment, DamageBelowTheDurableEndIsDamage) {
    SegmentHeader h = header(SegmentState::Active);
    uint32_t durable = 4096 + 2 * size_each;
    for (size_t at : {size_t{0}, size_t{4}, size_t{8}, size_t{40}}) {
        std::string bytes = segment({{1, 4096}, {2, 4096}, {3, durable}, {4, durable}}, h);
        size_t damaged_at = segment_data_begin + size_each;
        bytes[damaged_at + at] = static_cast<char>(bytes[damaged_at + at] ^ 0x55);
        SegmentContents contents = read(bytes, h);
        EXPECT_EQ(ids(contents), (Ids{1, 3, 4})) << at;
        ASSERT_EQ(contents.damaged.size(), 1u);
        EXPECT_TRUE(contents.damaged[0].was_durable);
        EXPECT_EQ(contents.damaged[0].begin, damaged_at);
        EXPECT_EQ(contents.damaged[0].end, damaged_at + size_each);
    }
}

TEST(ReadSegment, MailCannotForgeARecord) {
    // A record inside a message, well-formed but for the stamp, which nobody outside knows.
    SegmentHeader h = header(SegmentState::Active);
    std::string forged;
    append_record(forged, RecordType::Removed, 0, 1, {encode_removed(7)});
    finish_record(forged.data(), 0, 0);
    std::string bytes = encode_segment_header(h);
    append_record(bytes, RecordType::Message, 0, 5, {forged, forged});
    finish_record(bytes.data() + segment_data_begin, h.stamp, 4096);
    bytes[segment_data_begin + 4] = 'x'; // its length is damaged: the search goes through the mail
    EXPECT_TRUE(read(bytes, h).entries.empty());
}

TEST(ReadSegment, ASealedOneIsReadByItsIndexAndFallsBackToItsRecords) {
    SegmentHeader h = header(SegmentState::Active);
    std::string bytes = segment({{1, 4096}, {2, 4096}}, h);
    SegmentContents scanned = read(bytes, h);
    h.state = SegmentState::Sealed;
    h.index_offset = bytes.size();
    append_record(bytes, RecordType::Index, 0, 0, {encode_index(scanned.entries)});
    finish_record(bytes.data() + h.index_offset, h.stamp, static_cast<uint32_t>(h.index_offset));
    h.data_end = bytes.size();
    SegmentContents indexed = read(bytes, h);
    EXPECT_TRUE(indexed.indexed);
    EXPECT_EQ(ids(indexed), (Ids{1, 2}));

    bytes[h.index_offset + 40] = 'x';
    SegmentContents again = read(bytes, h);
    EXPECT_FALSE(again.indexed);
    EXPECT_EQ(ids(again), (Ids{1, 2}));
    EXPECT_TRUE(again.damaged.empty()) << "only the index is";

    SegmentContents cut = read(bytes.substr(0, segment_data_begin + size_each), h);
    EXPECT_EQ(ids(cut), (Ids{1}));
    ASSERT_EQ(cut.damaged.size(), 1u);
    EXPECT_TRUE(cut.damaged[0].was_durable) << "the file was cut off";
}

TEST(ReadSegment, AnIndexThatPointsOutsideIsNotBelieved) {
    SegmentHeader h = header(SegmentState::Active);
    std::string bytes = segment({{1, 4096}}, h);
    h.state = SegmentState::Sealed;
    for (uint32_t offset : {0u, 4u, 4097u, 4096u + 8u, 0xFFFFFFF8u}) {
        std::string with = bytes;
        h.index_offset = with.size();
        IndexEntry entry{1, offset, 100, RecordType::Progress, 0, 0};
        append_record(with, RecordType::Index, 0, 0, {encode_index({entry})});
        finish_record(with.data() + h.index_offset, h.stamp, 4096);
        h.data_end = with.size();
        SegmentContents contents = read(with, h);
        EXPECT_FALSE(contents.indexed) << offset;
        EXPECT_EQ(ids(contents), (Ids{1}));
    }
}

} // namespace
} // namespace postern
