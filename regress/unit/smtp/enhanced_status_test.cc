// Enhanced status codes: reading, writing, classes.
#include "common/smtp/enhanced_status.h"

#include <gtest/gtest.h>

namespace postern {
namespace {

TEST(EnhancedStatus, WritesAndReadsBack) {
    for (const char* text : {"2.0.0", "4.3.1", "5.1.10", "5.999.999", "2.0.999"}) {
        const auto code = parse_enhanced_status(text);
        ASSERT_TRUE(code) << text;
        EXPECT_EQ(to_string(*code), text);
    }
    EXPECT_EQ(to_string(status::none), "");
    EXPECT_EQ(to_string(status::bad_mailbox), "5.1.1");
    EXPECT_EQ(to_string(status::mailbox_full.as(4)), "4.2.2");
    EXPECT_FALSE(status::none.present());
}

TEST(EnhancedStatus, RefusesTheRest) {
    for (const char* text :
         {"",       "5",      "5.",     "5.1",     "5.1.",    "5..1",     ".1.1",
          "3.1.1",  "1.0.0",  "6.0.0",  "0.0.0",   "55.1.1",  "5.1000.1", "5.1.1000",
          "5.01.1", "5.1.01", "5.00.0", "5.1.1.",  "5.1.1.1", "5.1.1x",   "5.1.x",
          "5.-1.1", "5.1.1 ", " 5.1.1", "5.1.1\t", "a.b.c"})
        EXPECT_FALSE(parse_enhanced_status(text)) << text;
}

TEST(EnhancedStatus, TakenOffTheFront) {
    std::string_view text = "5.1.1 No such user";
    EXPECT_EQ(take_enhanced_status(text), status::bad_mailbox);
    EXPECT_EQ(text, "No such user");
    text = "5.1.1";
    EXPECT_EQ(take_enhanced_status(text), status::bad_mailbox);
    EXPECT_EQ(text, "");
    text = "5.1.1: x";
    EXPECT_FALSE(take_enhanced_status(text));
    EXPECT_EQ(text, "5.1.1: x");
}

} // namespace
} // namespace postern
