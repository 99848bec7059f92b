// The ring of ticket keys: what was encrypted during the last two lives can be decrypted.
#include "smtpd/keyholder/ticket_keys.h"

#include <gtest/gtest.h>

namespace postern::keyholder::test {
namespace {

TEST(TicketKeys, TheFormerOneIsKeptForAnotherLife) {
    TicketKeyRing ring;
    ASSERT_TRUE(ring.rotate());
    ASSERT_EQ(ring.keys().keys.size(), 1u);
    const ipc::TicketKey first = ring.keys().keys[0];
    EXPECT_EQ(first.name.size(), 16u);
    EXPECT_EQ(first.encryption.size(), 32u);
    EXPECT_EQ(first.authentication.size(), 32u);
    ASSERT_TRUE(ring.rotate());
    ASSERT_EQ(ring.keys().keys.size(), 2u);
    EXPECT_EQ(ring.keys().keys[1].name, first.name);
    const ipc::TicketKey second = ring.keys().keys[0];
    EXPECT_NE(second.name, first.name);
    EXPECT_NE(second.encryption, first.encryption);
    EXPECT_NE(second.authentication, first.authentication);
    ASSERT_TRUE(ring.rotate());
    ASSERT_EQ(ring.keys().keys.size(), 2u);
    EXPECT_EQ(ring.keys().keys[1].name, second.name);
}

} // namespace
} // namespace postern::keyholder::test
