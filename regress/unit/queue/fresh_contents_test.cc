// Content that is handed out without being read back.
#include "queue/fresh_contents.h"

#include "regress/unit/queue/queue_lab.h"

namespace postern::test {
namespace {

// Room for two of so many octets each.
constexpr size_t two_of(size_t octets) { return 2 * (octets + FreshContents::overhead); }

TEST(FreshContents, AreTakenOnceAndLeaveTheirRoomToOthers) {
    FreshContents fresh(two_of(3));
    fresh.keep(1, "one");
    fresh.keep(2, "two");
    EXPECT_EQ(fresh.take(1), "one");
    EXPECT_EQ(fresh.take(1), std::nullopt);
    fresh.forget(2);
    EXPECT_EQ(fresh.take(2), std::nullopt);
    fresh.keep(3, "abc");
    fresh.keep(4, "def");
    EXPECT_EQ(fresh.take(3), "abc");
    EXPECT_EQ(fresh.take(4), "def");
}

TEST(FreshContents, TheOldestGoFirst) {
    FreshContents fresh(two_of(5));
    for (uint64_t message = 1; message <= 4; ++message)
        fresh.keep(message, "abcd");
    EXPECT_EQ(fresh.take(2), std::nullopt);
    EXPECT_EQ(fresh.take(3), "abcd");
    fresh.keep(5, std::string(two_of(5), 'x')); // none of the others goes for one that does not fit
    EXPECT_EQ(fresh.take(5), std::nullopt);
    EXPECT_EQ(fresh.take(4), "abcd");
}

// Each delivery has the same octets, wherever they come from.
TEST(FreshContents, OnlyTheFirstDeliveryNeedsNoDisk) {
    QueueLab lab;
    const std::string content = "Subject: x\r\n\r\nhello\r\n";
    const uint64_t id = lab.accept("a@from.example", {"b@one.example", "c@two.example"}, content);
    ASSERT_EQ(lab.handed_count(), 2u);
    EXPECT_EQ(lab.handed(0).deliver.content.bytes, content);
    EXPECT_EQ(lab.handed(1).deliver.content.bytes, content);
    EXPECT_EQ(lab.content_of(id), content);
    lab.answer(lab.handed(0), temporary());
    lab.advance(1h);
    ASSERT_EQ(lab.handed_count(), 3u);
    EXPECT_EQ(lab.handed(2).deliver.content.bytes, content);
}

} // namespace
} // namespace postern::test
