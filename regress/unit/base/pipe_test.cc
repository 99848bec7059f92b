#include "common/base/pipe.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

namespace postern {
namespace {

TEST(Pipe, NeitherEndSurvivesAnExec) {
    const Result<Pipe> pipe = make_pipe();
    ASSERT_TRUE(pipe);
    for (const FileDescriptor* end : {&pipe->read_end, &pipe->write_end})
        EXPECT_TRUE(fcntl(end->get(), F_GETFD) & FD_CLOEXEC);
}

// Nobody is waited for: whoever has the other end may keep it.
TEST(Pipe, WhatIsThereIsReadUpToALimit) {
    Result<Pipe> pipe = make_pipe();
    ASSERT_TRUE(pipe);
    EXPECT_EQ(read_available(pipe->read_end, 10), "");
    ASSERT_EQ(write(pipe->write_end.get(), "one ", 4), 4);
    ASSERT_EQ(write(pipe->write_end.get(), "two", 3), 3);
    EXPECT_EQ(read_available(pipe->read_end, 6), "one tw");
    EXPECT_EQ(read_available(pipe->read_end, 6), "o");
    ASSERT_EQ(write(pipe->write_end.get(), "end", 3), 3);
    pipe->write_end.reset();
    EXPECT_EQ(read_available(pipe->read_end, 10), "end");
    EXPECT_EQ(read_available(pipe->read_end, 10), "");
}

} // namespace
} // namespace postern
