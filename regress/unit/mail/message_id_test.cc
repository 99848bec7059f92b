// Names of queued messages and envelopes.
#include "common/mail/message_id.h"

#include <gtest/gtest.h>
#include <unordered_set>

namespace postern {
namespace {

TEST(MessageId, WritesAndReadsBack) {
    for (const std::uint64_t value : {std::uint64_t{1}, std::uint64_t{0xdeadbeef},
                                      std::uint64_t{0x0123456789abcdef}, UINT64_MAX}) {
        const std::string text = to_string(MessageId{value});
        EXPECT_EQ(text.size(), 16u);
        EXPECT_EQ(parse_message_id(text), MessageId{value});
    }
    EXPECT_EQ(to_string(MessageId{0xdeadbeef}), "00000000deadbeef");
    EXPECT_EQ(parse_message_id("00000000DEADBEEF"), MessageId{0xdeadbeef});
}

TEST(MessageId, RefusesTheRest) {
    for (const char* text :
         {"", "1", "000000000000000", "00000000000000001", "0000000000000000", "000000000000000g",
          "0x00000000000001", "-000000000000001", "+000000000000001", " 000000000000001",
          "000000000000001 ", "00000000deadbeef.", "00000000deadbeef.1"})
        EXPECT_FALSE(parse_message_id(text)) << text;
}

TEST(EnvelopeId, WritesAndReadsBack) {
    for (const std::uint32_t index : {0u, 1u, 99u, UINT32_MAX}) {
        const EnvelopeId id{MessageId{0xabc}, index};
        EXPECT_EQ(parse_envelope_id(to_string(id)), id);
    }
    EXPECT_EQ(to_string(EnvelopeId{MessageId{0xabc}, 12}), "0000000000000abc.12");
}

TEST(EnvelopeId, RefusesTheRest) {
    for (const char* text :
         {"", ".", "0000000000000abc", "0000000000000abc.", "0000000000000abc.x",
          "0000000000000abc.1x", "0000000000000abc.01", "0000000000000abc.00",
          "0000000000000abc.-1", "0000000000000abc.+1", "0000000000000abc. 1",
          "0000000000000abc.4294967296", "0000000000000abc.99999999999999999999",
          "0000000000000abc:1", "abc.1", "0000000000000000.1", "0000000000000abc.1.1"})
        EXPECT_FALSE(parse_envelope_id(text)) << text;
}

TEST(QueueId, EitherForm) {
    const auto message = parse_queue_id("0000000000000abc");
    ASSERT_TRUE(message && std::holds_alternative<MessageId>(*message));
    EXPECT_EQ(std::get<MessageId>(*message), MessageId{0xabc});
    const auto envelope = parse_queue_id("0000000000000abc.3");
    ASSERT_TRUE(envelope && std::holds_alternative<EnvelopeId>(*envelope));
    EXPECT_EQ(std::get<EnvelopeId>(*envelope), (EnvelopeId{MessageId{0xabc}, 3}));
    EXPECT_FALSE(parse_queue_id("all"));
    EXPECT_FALSE(parse_queue_id(""));
}

TEST(QueueId, HashesAreOfUse) {
    std::unordered_set<EnvelopeId> ids;
    std::unordered_set<std::size_t> hashes;
    for (std::uint64_t message = 1; message <= 100; ++message)
        for (std::uint32_t index = 0; index < 100; ++index) {
            ids.insert({MessageId{message}, index});
            hashes.insert(std::hash<EnvelopeId>{}({MessageId{message}, index}));
        }
    EXPECT_EQ(ids.size(), 10000u);
    EXPECT_GT(hashes.size(), 9900u);
    EXPECT_LT(MessageId{1}, MessageId{2});
    EXPECT_FALSE(MessageId{});
}

} // namespace
} // namespace postern
