#include "common/base/base64.h"

#include <gtest/gtest.h>

namespace postern {
namespace {

using namespace std::string_literals; // for strings with a NUL inside

TEST(Base64, BothWays) {
    // RFC 4648 10, and some more.
    const std::pair<std::string, std::string> rows[] = {
        {"", ""},
        {"f", "Zg=="},
        {"fo", "Zm8="},
        {"foo", "Zm9v"},
        {"foob", "Zm9vYg=="},
        {"fooba", "Zm9vYmE="},
        {"foobar", "Zm9vYmFy"},
        {"\0bob\0secret"s, "AGJvYgBzZWNyZXQ="},
        {"\xff\xfe\xfd"s, "//79"},
        {"\xfb\xf0"s, "+/A="},
        {"\0\0\0"s, "AAAA"},
    };
    for (const auto& [bytes, text] : rows) {
        EXPECT_EQ(encode_base64(bytes), text);
        EXPECT_EQ(decode_base64(text), bytes) << text;
    }
    std::string all;
    for (int i = 0; i < 256; ++i) {
        all += static_cast<char>(i);
        EXPECT_EQ(decode_base64(encode_base64(all)), all);
    }
}

TEST(Base64, IsStrict) {
    for (const std::string& text :
         {"Z"s,    "Zg"s,   "Zg="s,      "Zm9"s,      "="s,     "=="s,    "===="s,   "Zg==="s,
          "Zg=x"s, "Z==="s, "Zg==Zg=="s, "Zm8=Zg=="s, " Zg=="s, "Zg== "s, "Zm9v\n"s, "Zm\r\n9v"s,
          "Zm9-"s, "Zm9_"s, "Zm9\0"s,    "Zm9\xc3"s,  "*"s,     "Zh=="s,  "Zm9="s})
        EXPECT_FALSE(decode_base64(text)) << text;
}

} // namespace
} // namespace postern
