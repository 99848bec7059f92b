#include "deliver/local/mail_loop.h"

#include <gtest/gtest.h>

#include <sys/mman.h>
#include <unistd.h>

namespace postern {
namespace {

TEST(MailLoop, WhatADeliveredToFieldIs) {
    constexpr std::string_view address = "alice@here.example";
    for (std::string_view header :
         {"Delivered-To: alice@here.example\r\n\r\n",
          "Subject: x\r\nDELIVERED-to:alice@here.example\r\n",
          "Delivered-To: bob@here.example\r\nDelivered-To: alice@here.example\r\n\r\n",
          "Delivered-To:\r\n\t Alice@Here.Example \r\n\r\n",
          "Delivered-To: <alice@here.example>\n\n", "Delivered-To: alice@here.example"})
        EXPECT_TRUE(was_delivered_to(header, address)) << header;
    for (std::string_view header :
         {"", "\r\n", "Subject: x\r\n\r\nDelivered-To: alice@here.example\r\n",
          "Delivered-To: malice@here.example\r\n\r\n",
          "Delivered-To: alice@here.example.org\r\n\r\n",
          "X-Delivered-To: alice@here.example\r\n\r\n", "Delivered-To: alice\r\n\r\n",
          "Subject: x\r\n Delivered-To: alice@here.example\r\n\r\n",
          "Delivered-To: alice@here.example, bob@here.example\r\n\r\n", "Delivered-To:\r\n\r\n"})
        EXPECT_FALSE(was_delivered_to(header, address)) << header;
}

class ReadHeader : public testing::Test {
  protected:
    static FileDescriptor file_with(const std::string& bytes, off_t offset = 0) {
        FileDescriptor file(memfd_create("message", MFD_CLOEXEC));
        EXPECT_EQ(write(file.get(), bytes.data(), bytes.size()),
                  static_cast<ssize_t>(bytes.size()));
        EXPECT_EQ(lseek(file.get(), offset, SEEK_SET), offset);
        return file;
    }
};

TEST_F(ReadHeader, FromThePresentOffsetWhichStays) {
    const FileDescriptor file = file_with("otherA: b\r\n\r\nbody", 5);
    Result<std::string> header = read_header(file);
    ASSERT_TRUE(header.ok());
    EXPECT_TRUE(header->starts_with("A: b\r\n\r\n"));
    EXPECT_EQ(lseek(file.get(), 0, SEEK_CUR), 5);
}

// Wherever its end falls, also across two pieces of what is read.
TEST_F(ReadHeader, ALongOne) {
    for (size_t length = 16 * 1024 - 40; length < 16 * 1024 + 10; ++length) {
        const std::string field = "Delivered-To: alice@here.example\r\n";
        const std::string text = "X: " + std::string(length, 'x') + "\r\n" + field + "\r\n";
        Result<std::string> header = read_header(file_with(text + std::string(200'000, 'y')));
        ASSERT_TRUE(header.ok());
        EXPECT_TRUE(was_delivered_to(*header, "alice@here.example"));
        EXPECT_LE(header->size(), 64u * 1024) << "the body is not read";
    }
}

TEST_F(ReadHeader, HasABound) {
    Result<std::string> header = read_header(file_with(std::string(1'000'000, 'x')));
    ASSERT_TRUE(header.ok());
    EXPECT_EQ(header->size(), header_limit);
}

TEST_F(ReadHeader, AnErrorIsNoEmptyHeader) {
    int ends[2];
    ASSERT_EQ(pipe(ends), 0);
    FileDescriptor in(ends[0]), out(ends[1]);
    EXPECT_FALSE(read_header(in).ok());
}

// A line end at the border of two pieces is not the end of the header.
TEST_F(ReadHeader, LinesThatEndBetweenTwoPieces) {
    const std::string field = "Delivered-To: alice@here.example\r\n";
    for (size_t length = 16 * 1024 - 12; length < 16 * 1024 + 4; ++length) {
        const std::string text = "X: " + std::string(length, 'x') +
                                 "\r\nY: " + std::string(20'000, 'y') + "\r\n" + field + "\r\n";
        Result<std::string> header = read_header(file_with(text));
        ASSERT_TRUE(header.ok());
        EXPECT_TRUE(was_delivered_to(*header, "alice@here.example")) << length;
    }
}

} // namespace
} // namespace postern
