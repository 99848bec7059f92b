#include <gtest/gtest.h>

#include <fcntl.h>

#include "common/ipc/administration.h"
#include "common/ipc/authentication.h"
#include "common/ipc/codec.h"
#include "common/ipc/delivery.h"
#include "common/ipc/submission.h"

namespace postern::ipc {
namespace {

enum class Colour : uint8_t { red, green };
constexpr Colour last_enumerator(Colour) { return Colour::green; }

struct Everything {
    bool flag = false;
    uint8_t small = 0;
    uint16_t port = 0;
    int64_t time = 0;
    Colour colour = Colour::red;
    std::string text;
    Blob blob;
    std::vector<std::string> list;
    std::optional<uint32_t> maybe;
    std::map<std::string, uint32_t> map;
    std::chrono::seconds duration{0};
    std::variant<uint32_t, std::string> either;
    static constexpr auto fields(auto& m) {
        return std::tie(m.flag, m.small, m.port, m.time, m.colour, m.text, m.blob, m.list, m.maybe,
                        m.map, m.duration, m.either);
    }
    bool operator==(const Everything&) const = default;
};

Everything example() {
    Everything e;
    e.flag = true;
    e.small = 200;
    e.port = 2525;
    e.time = -5;
    e.colour = Colour::green;
    e.text = std::string("a\0b", 3);
    e.blob.bytes = std::string(100000, 'x');
    e.list = {"", "one", "two"};
    e.maybe = 7;
    e.map = {{"k", 1}, {"l", 2}};
    e.duration = std::chrono::seconds(90);
    e.either = std::string("right");
    return e;
}

TEST(Codec, EveryTypeComesBackAsItWas) {
    Everything in = example(), out;
    ASSERT_TRUE(decode_bytes(encode_bytes(in), out));
    EXPECT_EQ(in, out);
}

TEST(Codec, EveryShorterFormIsRefused) {
    Everything in = example();
    in.blob.bytes = "short";
    std::string bytes = encode_bytes(in);
    for (size_t size = 0; size < bytes.size(); ++size) {
        Everything out;
        EXPECT_FALSE(decode_bytes(std::string_view(bytes).substr(0, size), out)) << size;
    }
}

TEST(Codec, Secrets) {
    ListenerToLookup out;
    {
        Authenticate question;
        question.user = "bob";
        question.password = Secret(std::string_view("a\0b", 3));
        ListenerToLookup in = std::move(question);
        ASSERT_TRUE(decode_bytes(encode_bytes(in), out));
    }
    EXPECT_EQ(std::get<Authenticate>(out).password.view(), std::string_view("a\0b", 3));
    Authenticate too_long;
    too_long.password = Secret(std::string(string_limit + 1, 'x'));
    Authenticate refused;
    EXPECT_FALSE(decode_bytes(encode_bytes(too_long), refused));
}

TEST(Codec, TrailingBytesAreRefused) {
    Everything out;
    EXPECT_FALSE(decode_bytes(encode_bytes(example()) + "x", out));
}

struct Row {
    const char* name;
    std::string bytes;
};

template <class T> void expect_refused(const std::vector<Row>& rows) {
    for (const Row& row : rows) {
        T value{};
        EXPECT_FALSE(decode_bytes(row.bytes, value)) << row.name;
    }
}

TEST(Codec, RefusesWhatIsNoValue) {
    expect_refused<bool>({{"a boolean of 2", "\x02"}});
    expect_refused<Colour>({{"an unknown enumerator", "\x02"}});
    expect_refused<std::string>({
        {"a length beyond the end", std::string("\x05\0\0\0abc", 7)},
        {"a length of 4 GiB", std::string("\xff\xff\xff\xff", 4)},
        {"over the limit of a string",
         std::string("\x01\0\x01\0", 4) + std::string(string_limit + 1, 'x')},
    });
    expect_refused<std::vector<uint8_t>>({
        {"more elements than bytes", std::string("\x05\0\0\0\1\2", 6)},
        {"4 G elements", std::string("\xff\xff\xff\xff", 4)},
    });
    expect_refused<std::optional<uint8_t>>({{"a presence of 3", "\x03\x01"}});
    expect_refused<std::variant<uint8_t, bool>>({{"an unknown alternative", "\x02\x01"}});
    expect_refused<std::map<std::string, bool>>(
        {{"a key twice", std::string("\2\0\0\0\1\0\0\0a\1\1\0\0\0a\1", 16)}});
}

TEST(Codec, DescriptorsTravelBesideTheBytes) {
    QueueToListener out = ContentFile{7, FileDescriptor(open("/dev/null", O_WRONLY))};
    std::string bytes;
    std::vector<FileDescriptor> descriptors;
    Encoder(bytes, descriptors).put(out);
    ASSERT_EQ(descriptors.size(), 1u);
    {
        QueueToListener in;
        std::vector<FileDescriptor> none;
        EXPECT_FALSE(Decoder(bytes, none).get(in)) << "a missing descriptor";
    }
    QueueToListener in;
    Decoder decoder(bytes, descriptors);
    ASSERT_TRUE(decoder.get(in) && decoder.at_end());
    EXPECT_EQ(decoder.next_descriptor(), 1u);
    EXPECT_TRUE(std::get<ContentFile>(in).file);
}

// Random bytes are never taken for more than they are, and nothing is read or allocated beyond them
// (the sanitizer build of this test would say so).
TEST(Codec, SurvivesDamage) {
    Submit submit;
    submit.envelope.recipients = {"a@b.example", "c@d.example"};
    submit.content.bytes = "Subject: x\r\n\r\nhello\r\n";
    std::string bytes = encode_bytes(ListenerToQueue(submit));
    uint32_t seed = 1;
    for (int i = 0; i < 20000; ++i) {
        std::string damaged = bytes;
        for (int n = 0; n < 3; ++n) {
            seed = seed * 1664525 + 1013904223;
            damaged[(seed >> 8) % damaged.size()] = static_cast<char>(seed >> 24);
        }
        ListenerToQueue out;
        if (decode_bytes(damaged, out)) {
            EXPECT_EQ(encode_bytes(out).size(), damaged.size());
        }
    }
}

} // namespace
} // namespace postern::ipc
