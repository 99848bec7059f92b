#include "common/sasl/saslprep.h"

#include <gtest/gtest.h>

namespace postern {
namespace {

using namespace std::string_literals; // for strings with a NUL inside

struct Row {
    std::string text;
    const char* prepared; // nullptr: it is refused
};

TEST(Saslprep, OneFormForWhatIsTheSame) {
    const Row rows[] = {
        // RFC 4013 3
        {"I\u00adX", "IX"},
        {"user", "user"},
        {"USER", "USER"},
        {"\u00aa", "a"},
        {"\u2168", "IX"},
        {"\u0007", nullptr},
        {"\u0627\u0031", nullptr},
        // the rest
        {"pass word", "pass word"},
        {"pass\u00a0word", "pass word"},
        {"cafe\u0301", "caf\u00e9"},
        {"", nullptr},
        {"\u00ad", nullptr},
        {"a\0b"s, nullptr},
        {"a\x7f", nullptr},
        {"\xc3(", nullptr},
        {"\xff", nullptr},
        {std::string(511, 'x') + "\u00e9\xc3", nullptr},
    };
    for (const Row& row : rows)
        for (Prepared use : {Prepared::for_storage, Prepared::for_comparison}) {
            const auto prepared = saslprep(row.text, use);
            ASSERT_EQ(prepared.has_value(), row.prepared != nullptr) << row.text;
            if (prepared) {
                EXPECT_EQ(prepared->view(), row.prepared) << row.text;
            }
        }
}

// U+0221 came with Unicode 4.
TEST(Saslprep, UnassignedCharactersAreNotStored) {
    EXPECT_FALSE(saslprep("\u0221", Prepared::for_storage));
    EXPECT_TRUE(saslprep("\u0221", Prepared::for_comparison));
}

} // namespace
} // namespace postern
