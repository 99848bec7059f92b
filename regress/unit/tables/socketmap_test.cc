#include "smtpd/tables/socketmap_protocol.h"

#include <gtest/gtest.h>

namespace postern::tables {
namespace {

using namespace std::string_literals;

TEST(SocketmapTest, Netstrings) {
    EXPECT_EQ(encode_netstring(""), "0:,");
    EXPECT_EQ(encode_netstring("map a key"), "9:map a key,");
    const std::pair<std::string, std::string> rows[] = {
        // "…": not whole yet; "!": malformed
        {"", "…"},        {"1", "…"},        {"12:", "…"},          {"3:abc", "…"},
        {"0:,", ""},      {"3:abc,", "abc"}, {"5:a,b:c,", "a,b:c"}, {"3:a\0b,"s, "a\0b"s},
        {":,", "!"},      {"x", "!"},        {"03:abc,", "!"},      {"3 :abc,", "!"},
        {"3:abcd", "!"},  {"3:abc,4", "!"},  {"-1:,", "!"},         {"1234567", "!"},
        {"999999:", "!"}, {"00:,", "!"},
    };
    for (const auto& [bytes, expected] : rows) {
        const auto content = decode_netstring(bytes);
        const std::string got = !content ? "!" : !*content ? "…" : **content;
        EXPECT_EQ(got, expected) << bytes;
    }
}

// However it comes in pieces, it is not whole before its end, and is then.
TEST(SocketmapTest, PiecesOfANetstring) {
    const std::string whole = encode_netstring(std::string(1234, 'x'));
    for (size_t i = 0; i < whole.size(); ++i) {
        const auto content = decode_netstring(std::string_view(whole).substr(0, i));
        ASSERT_TRUE(content.ok()) << i;
        EXPECT_FALSE(*content) << i;
    }
    EXPECT_EQ((**decode_netstring(whole)).size(), 1234u);
}

TEST(SocketmapTest, Replies) {
    const std::pair<const char*, const char*> rows[] = {
        // "-": not found; "!": no answer
        {"OK value", "value"},     {"OK a  b ", "a  b "}, {"OK ", ""},         {"OK", ""},
        {"NOTFOUND ", "-"},        {"NOTFOUND", "-"},     {"TEMP later", "!"}, {"TIMEOUT x", "!"},
        {"PERM no such map", "!"}, {"ok value", "!"},     {"", "!"},           {"OKvalue", "!"},
    };
    for (const auto& [content, expected] : rows) {
        const auto reply = parse_socketmap_reply(content);
        EXPECT_EQ(!reply ? "!" : reply->found ? reply->value : "-", expected) << content;
    }
}

} // namespace
} // namespace postern::tables
