// CRC-32C against the published vectors (RFC 3720 B.4).
#include <gtest/gtest.h>

#include "common/base/crc32c.h"

namespace postern {
namespace {

std::string counting(int from, int step) {
    std::string bytes;
    for (int i = 0; i < 32; i++)
        bytes.push_back(static_cast<char>(from + i * step));
    return bytes;
}

TEST(Crc32c, PublishedVectors) {
    const struct {
        std::string data;
        uint32_t crc;
    } vectors[] = {
        {"", 0},
        {"123456789", 0xE3069283},
        {std::string(32, '\0'), 0x8A9136AA},
        {std::string(32, '\xff'), 0x62A8AB43},
        {counting(0, 1), 0x46DD794E},
        {counting(31, -1), 0x113FDB5C},
    };
    for (const auto& vector : vectors) {
        EXPECT_EQ(crc32c(vector.data), vector.crc);
        EXPECT_EQ(crc32c_portable(vector.data), vector.crc);
    }
}

TEST(Crc32c, InPiecesAsAWhole) {
    std::string data;
    for (int i = 0; i < 1000; i++)
        data.push_back(static_cast<char>(i * 7));
    for (size_t cut : {0u, 1u, 7u, 8u, 9u, 500u, 999u, 1000u}) {
        std::string_view view(data);
        EXPECT_EQ(crc32c(view.substr(cut), crc32c(view.substr(0, cut))), crc32c(data));
        EXPECT_EQ(crc32c_portable(view.substr(cut)), crc32c(view.substr(cut)));
    }
}

} // namespace
} // namespace postern
