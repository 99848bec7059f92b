#include "common/base/decimal.h"

#include <cstdint>
#include <gtest/gtest.h>

namespace postern {
namespace {

TEST(Decimal, IsDigitsAndNothingElse) {
    EXPECT_EQ(parse_decimal<uint16_t>("0"), 0u);
    EXPECT_EQ(parse_decimal<uint16_t>("65535"), 65535u);
    EXPECT_EQ(parse_decimal<uint16_t>("0025"), 25u);
    EXPECT_EQ(parse_decimal<uint64_t>("18446744073709551615"), UINT64_MAX);
    for (const char* text : {"", " ", "-1", "+1", " 1", "1 ", "1x", "0x1", "65536", "1.0"})
        EXPECT_EQ(parse_decimal<uint16_t>(text), std::nullopt) << text;
    EXPECT_EQ(parse_decimal<uint64_t>("18446744073709551616"), std::nullopt);
    EXPECT_EQ(parse_decimal<uint16_t>({}), std::nullopt);
}

} // namespace
} // namespace postern
