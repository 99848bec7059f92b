#include "deliver/local/content.h"

#include <gtest/gtest.h>

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

namespace postern {
namespace {

// As a helper reads it: from the present offset, without moving it.
std::string read_content(const FileDescriptor& file) {
    std::string text;
    char chunk[1000];
    off_t offset = lseek(file.get(), 0, SEEK_CUR);
    for (ssize_t got; (got = pread(file.get(), chunk, sizeof chunk, offset)) > 0; offset += got)
        text.append(chunk, static_cast<size_t>(got));
    return text;
}

ipc::Deliver file_order(std::string_view bytes, uint64_t offset, uint64_t length) {
    FileDescriptor file(memfd_create("test", MFD_CLOEXEC));
    EXPECT_EQ(write(file.get(), bytes.data(), bytes.size()), static_cast<ssize_t>(bytes.size()));
    ipc::Deliver order;
    order.file.push_back(std::move(file));
    order.file_offset = offset;
    order.file_length = length;
    return order;
}

TEST(Content, InsideTheMessage) {
    ipc::Deliver order;
    order.content.bytes = std::string(100'000, 'x') + "end";
    Result<FileDescriptor> content = open_content(order);
    ASSERT_TRUE(content.ok());
    EXPECT_EQ(read_content(*content), std::string(100'000, 'x') + "end");
    EXPECT_LT(write(content->get(), "y", 1), 0); // sealed
    // Helpers do not disturb each other.
    Result<FileDescriptor> copy = duplicate(*content);
    EXPECT_EQ(read_content(*copy).size(), 100'003u);
    EXPECT_EQ(read_content(*content).size(), 100'003u);
}

TEST(Content, AllOfAFileOrItsEndIsNotCopied) {
    for (auto [offset, expected] : {std::pair(0, "0123456789"), std::pair(4, "456789")}) {
        ipc::Deliver order = file_order("0123456789", static_cast<uint64_t>(offset),
                                        10 - static_cast<uint64_t>(offset));
        const int fd = order.file.front().get();
        Result<FileDescriptor> content = open_content(order);
        ASSERT_TRUE(content.ok());
        EXPECT_EQ(content->get(), fd);
        EXPECT_EQ(read_content(*content), expected);
    }
}

TEST(Content, APieceOfAFileIsAllThatIsHandedOn) {
    std::string bytes(1'000'000, 'a');
    for (size_t i = 0; i < bytes.size(); ++i)
        bytes[i] = static_cast<char>('a' + i % 23);
    ipc::Deliver order = file_order(bytes, 123'456, 654'321);
    Result<FileDescriptor> content = open_content(order);
    ASSERT_TRUE(content.ok());
    EXPECT_EQ(read_content(*content), bytes.substr(123'456, 654'321));
}

TEST(Content, AShortFileIsAnErrorNotAShortMessage) {
    struct {
        uint64_t offset, length;
    } const cases[] = {{0, 11}, {11, 0}, {5, 6}, {1, UINT64_MAX}, {UINT64_MAX, 1}};
    for (const auto& c : cases) {
        ipc::Deliver order = file_order("0123456789", c.offset, c.length);
        EXPECT_FALSE(open_content(order).ok()) << c.offset << " " << c.length;
    }
    int ends[2];
    ASSERT_EQ(pipe(ends), 0);
    FileDescriptor write_end(ends[1]);
    ipc::Deliver order;
    order.file.emplace_back(ends[0]);
    EXPECT_FALSE(open_content(order).ok());
}

} // namespace
} // namespace postern
