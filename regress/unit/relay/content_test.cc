// Content comes in bounded pieces, as often as it is asked for.
#include "deliver/relay/content.h"

#include <cstdlib>
#include <gtest/gtest.h>

namespace postern::relay {
namespace {

std::string read_all(ContentSource& source, size_t* largest = nullptr) {
    std::string all;
    for (;;) {
        Result<std::string_view> piece = source.read();
        if (!piece || piece->empty())
            return all;
        if (largest)
            *largest = std::max(*largest, piece->size());
        all += *piece;
    }
}

FileDescriptor file_with(const std::string& bytes) {
    char name[] = "/tmp/postern-content-XXXXXX";
    FileDescriptor file(mkstemp(name));
    unlink(name);
    EXPECT_EQ(::write(file.get(), bytes.data(), bytes.size()), static_cast<ssize_t>(bytes.size()));
    return file;
}

TEST(Content, MemoryAgainAndAgain) {
    MemoryContent content(std::string(200000, 'x'));
    EXPECT_EQ(content.size(), 200000u);
    size_t largest = 0;
    EXPECT_EQ(read_all(content, &largest).size(), 200000u);
    EXPECT_LE(largest, 64u * 1024);
    content.rewind();
    EXPECT_EQ(read_all(content).size(), 200000u);
}

TEST(Content, AFileFromAnOffset) {
    std::string bytes;
    for (int i = 0; i < 30000; ++i)
        bytes += std::to_string(i) + "\r\n";
    FileContent content(file_with("before" + bytes + "behind"), 6, bytes.size());
    size_t largest = 0;
    EXPECT_EQ(read_all(content, &largest), bytes);
    EXPECT_LE(largest, 64u * 1024);
    content.rewind();
    EXPECT_EQ(read_all(content), bytes);
}

TEST(Content, AFileThatIsTooShortIsAnError) {
    FileContent content(file_with("short"), 0, 10);
    Result<std::string_view> piece = content.read();
    ASSERT_TRUE(piece.ok());
    EXPECT_EQ(*piece, "short");
    EXPECT_FALSE(content.read().ok());
}

TEST(Content, Empty) {
    MemoryContent memory("");
    EXPECT_TRUE(memory.read()->empty());
    FileContent file(file_with(""), 0, 0);
    EXPECT_TRUE(file.read()->empty());
}

TEST(Content, EightBitWithinTheHeader) {
    const std::string bytes = "a: b\r\n\r\n\xff";
    MemoryContent content(bytes);
    EXPECT_FALSE(is_eight_bit(content, 8));
    EXPECT_TRUE(is_eight_bit(content, 9));
    EXPECT_TRUE(is_eight_bit(content, 1000));
    EXPECT_FALSE(is_eight_bit(content, 0));
    MemoryContent large(std::string(200000, 'x') + "\x80");
    EXPECT_FALSE(is_eight_bit(large, 200000));
    EXPECT_TRUE(is_eight_bit(large, 200001));
    FileContent cut(file_with("abc"), 0, 10);
    EXPECT_FALSE(is_eight_bit(cut, 10));
}

} // namespace
} // namespace postern::relay
