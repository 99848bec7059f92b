// When a segment may go, and which is worth copying forward.
#include <gtest/gtest.h>

#include "queue/spool/segment_set.h"

namespace postern {
namespace {

void use(SegmentSet& set, uint16_t slot, uint64_t epoch, SegmentState state) {
    set.add_file(slot, 10000);
    SegmentHeader header;
    header.state = state;
    header.epoch = epoch;
    set.begin_use(slot, header);
}

TEST(SegmentSet, GoesWhenNothingLivesAndNothingIsPinned) {
    SegmentSet set;
    use(set, 0, 1, SegmentState::Sealed);
    use(set, 1, 2, SegmentState::Sealed);
    use(set, 2, 3, SegmentState::Active);
    set.add_live(0, 100);
    set.pin(1, 1); // a Removed record in epoch 2 for a message in epoch 1
    EXPECT_EQ(set.retirable(), std::nullopt);
    set.drop_live(0, 100);
    EXPECT_EQ(set.retirable(), 0);
    set.end_use(0);
    EXPECT_EQ(set.retirable(), 1) << "unpinned by the end of the first";
    set.end_use(1);
    EXPECT_EQ(set.retirable(), std::nullopt) << "the active one stays";
    EXPECT_EQ(set.spare_count(), 2u);
    EXPECT_EQ(set.live_bytes(), 0u);
    EXPECT_EQ(set.used_bytes(), 10000u);
}

TEST(SegmentSet, PinsOnlyOtherSegmentsInUse) {
    SegmentSet set;
    use(set, 0, 1, SegmentState::Sealed);
    set.pin(0, 1);  // itself
    set.pin(0, 99); // long gone
    EXPECT_EQ(set.retirable(), 0);
}

TEST(SegmentSet, CompactsTheEmptiestAndBeginsWithTheOriginOfCopies) {
    SegmentSet set;
    use(set, 0, 1, SegmentState::Sealed);
    use(set, 1, 2, SegmentState::Sealed);
    use(set, 2, 3, SegmentState::Active);
    set.add_live(0, 3000);
    set.add_live(1, 1000);
    EXPECT_EQ(set.worth_compacting(30000), std::nullopt) << "within the slack";
    EXPECT_EQ(set.worth_compacting(10000), 1);
    set.copied(1, 1);
    EXPECT_EQ(set.worth_compacting(10000), 0) << "its copies in the other must go last";
    set.at(0).unreadable = true;
    EXPECT_EQ(set.worth_compacting(10000), std::nullopt);
}

TEST(SegmentSet, FullSegmentsAreNotCopied) {
    SegmentSet set;
    use(set, 0, 1, SegmentState::Sealed);
    set.add_live(0, 8000);
    EXPECT_EQ(set.worth_compacting(0), std::nullopt);
}

TEST(SegmentSet, SlotsAreFoundAgain) {
    SegmentSet set;
    EXPECT_EQ(set.unused_slot(), 0);
    set.add_file(0, 100);
    set.add_file(1, 900);
    EXPECT_EQ(set.unused_slot(), 2);
    EXPECT_EQ(set.spare(), 1) << "the larger";
    set.remove_file(0);
    EXPECT_EQ(set.unused_slot(), 0);
}

} // namespace
} // namespace postern
