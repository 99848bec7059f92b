// The record codec: what is written is read, and every way of being damaged has its own answer.
#include <functional>
#include <gtest/gtest.h>

#include "queue/spool/record.h"

namespace postern {
namespace {

constexpr uint64_t stamp = 0x1122334455667788;

std::string make(RecordType type, std::string_view payload, uint64_t with_stamp = stamp) {
    std::string data;
    append_record(data, type, 0, 42, {payload});
    finish_record(data.data(), with_stamp, 4096);
    return data;
}

TEST(Record, RoundTrip) {
    for (size_t length : {0, 1, 7, 8, 9, 5000}) {
        std::string payload(length, 'x');
        std::string data = make(RecordType::Progress, payload);
        EXPECT_EQ(data.size(), record_size(length));
        EXPECT_EQ(data.size() % 8, 0u);
        data += "whatever follows";
        Record record;
        ASSERT_EQ(decode_record(data, stamp, record), Decoded::Ok);
        EXPECT_EQ(record.header.type, RecordType::Progress);
        EXPECT_EQ(record.header.id, 42u);
        EXPECT_EQ(record.header.durable_end, 4096u);
        EXPECT_EQ(record.payload, payload);
    }
}

TEST(Record, EveryDamageIsToldApart) {
    const std::string good = make(RecordType::Message, "payload of some length");
    auto changed = [&](size_t at, char value) {
        std::string data = good;
        data[at] = value;
        return data;
    };
    const struct {
        const char* what;
        std::string data;
        Decoded expected;
    } cases[] = {
        {"nothing", "", Decoded::Blank},
        {"a few zeros", std::string(10, '\0'), Decoded::Blank},
        {"zeros", std::string(100, '\0'), Decoded::Blank},
        {"half a header", good.substr(0, 20), Decoded::Truncated},
        {"half a payload", good.substr(0, 40), Decoded::Truncated},
        {"another life", make(RecordType::Message, "x", stamp + 1), Decoded::Stale},
        {"unknown type", changed(8, 9), Decoded::BadHeader},
        {"type 0", changed(8, 0), Decoded::BadHeader},
        {"unknown flag", changed(9, 4), Decoded::BadHeader},
        {"reserved byte", changed(11, 1), Decoded::BadHeader},
        {"checksum", changed(0, static_cast<char>(good[0] + 1)), Decoded::BadChecksum},
        {"shorter length", changed(4, 3), Decoded::BadChecksum},
        {"huge length", changed(7, 0x7f), Decoded::Truncated},
        {"id", changed(16, 1), Decoded::BadChecksum},
        {"stamp", changed(24, 1), Decoded::BadChecksum},
        {"payload", changed(35, 1), Decoded::BadChecksum},
    };
    for (const auto& c : cases) {
        Record record;
        EXPECT_EQ(decode_record(c.data, stamp, record), c.expected) << c.what;
    }
}

TEST(Record, EverySingleBitMatters) {
    std::string data = make(RecordType::Message, "12345678");
    for (size_t bit = 0; bit < data.size() * 8; bit++) {
        std::string flipped = data;
        flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << bit % 8));
        Record record;
        EXPECT_NE(decode_record(flipped, stamp, record), Decoded::Ok) << bit;
    }
}

TEST(MessagePayload, PrefixAndEnvelope) {
    std::string payload = encode_message_prefix(5, 77, "env") + "env" + "hello";
    auto prefix = decode_message_prefix(payload, 0, static_cast<uint32_t>(payload.size()));
    ASSERT_TRUE(prefix);
    EXPECT_EQ(prefix->content_length, 5u);
    EXPECT_EQ(prefix->content_crc, 77u);
    EXPECT_EQ(message_envelope(payload, *prefix), "env");
    payload[message_prefix_size] = 'E';
    EXPECT_FALSE(message_envelope(payload, *prefix));
    EXPECT_FALSE(message_envelope(std::string_view(payload).substr(0, 25), *prefix));
}

TEST(MessagePayload, LengthsMustAddUp) {
    const struct {
        uint64_t content;
        std::string envelope;
        uint8_t flags;
        uint32_t payload;
        bool good;
    } cases[] = {
        {5, "env", 0, 24 + 8, true},
        {5, "env", 0, 24 + 7, false},
        {5, "env", 0, 24 + 9, false},
        {5, "env", 0, 23, false},
        {5, "env", record_flag_content_file, 24 + 3, true},
        {UINT64_MAX, "env", record_flag_content_file, 24 + 3, true},
        {5, "env", record_flag_content_file, 24 + 8, false},
        {UINT64_MAX - 2, "env", 0, 24, false},
    };
    for (const auto& c : cases) {
        std::string prefix = encode_message_prefix(c.content, 0, c.envelope);
        EXPECT_EQ(decode_message_prefix(prefix, c.flags, c.payload).has_value(), c.good)
            << c.content << " " << c.payload;
    }
    EXPECT_FALSE(decode_message_prefix("short", 0, 100));
}

TEST(Index, RoundTripAndRefusal) {
    std::vector<IndexEntry> entries{{1, 4096, 10, RecordType::Message, 1, 0},
                                    {2, 5000, 8, RecordType::Removed, 0, 7}};
    std::string data = encode_index(entries);
    auto decoded = decode_index(data);
    ASSERT_TRUE(decoded);
    ASSERT_EQ(decoded->size(), 2u);
    EXPECT_EQ((*decoded)[0].flags, 1);
    EXPECT_EQ((*decoded)[1].target_epoch, 7u);
    EXPECT_FALSE(decode_index(data + "x"));
    data[16] = 9;
    EXPECT_FALSE(decode_index(data)) << "unknown type";
}

} // namespace
} // namespace postern
