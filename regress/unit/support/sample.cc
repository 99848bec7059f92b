// Not a test of anything: the program whose output support_test.cc looks at.
#include <gtest/gtest.h>

TEST(Sample, Passes) {}
TEST(Sample, Fails) { EXPECT_EQ(1, 2) << "]]> & <\x01>"; }
TEST(Sample, FailsTwice) {
    ADD_FAILURE() << "first";
    ADD_FAILURE() << "second";
}
TEST(Sample, IsSkipped) { GTEST_SKIP() << "not today"; }
