// CRC-32C, by the SSE 4.2 instruction or by eight tables of 256 entries.
#include "common/base/crc32c.h"

#include <array>
#include <cstddef>
#include <cstring>

namespace postern {

namespace {

constexpr uint32_t polynomial = 0x82F63B78; // reflected

using Tables = std::array<std::array<uint32_t, 256>, 8>;

constexpr Tables make_tables() {
    Tables tables{};
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t crc = i;
        for (int bit = 0; bit < 8; bit++)
            crc = (crc >> 1) ^ ((crc & 1) != 0 ? polynomial : 0);
        tables[0][i] = crc;
    }
    for (size_t k = 1; k < 8; k++)
        for (size_t i = 0; i < 256; i++)
            tables[k][i] = (tables[k - 1][i] >> 8) ^ tables[0][tables[k - 1][i] & 0xff];
    return tables;
}

constexpr Tables tables = make_tables();

uint32_t byte_step(uint32_t crc, char byte) {
    return (crc >> 8) ^ tables[0][(crc ^ static_cast<unsigned char>(byte)) & 0xff];
}

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) uint32_t with_instruction(std::string_view data, uint32_t crc) {
    const char* at = data.data();
    size_t left = data.size();
    uint64_t wide = crc;
    for (; left >= 8; at += 8, left -= 8) {
        uint64_t word;
        std::memcpy(&word, at, 8);
        wide = __builtin_ia32_crc32di(wide, word);
    }
    crc = static_cast<uint32_t>(wide);
    for (; left > 0; at++, left--)
        crc = __builtin_ia32_crc32qi(crc, static_cast<unsigned char>(*at));
    return crc;
}
#endif

} // namespace

uint32_t crc32c_portable(std::string_view data, uint32_t preceding) {
    uint32_t crc = ~preceding;
    size_t i = 0;
    for (; i + 8 <= data.size(); i += 8) {
        unsigned char b[8];
        std::memcpy(b, data.data() + i, 8);
        crc = tables[7][(crc & 0xff) ^ b[0]] ^ tables[6][((crc >> 8) & 0xff) ^ b[1]] ^
              tables[5][((crc >> 16) & 0xff) ^ b[2]] ^ tables[4][(crc >> 24) ^ b[3]] ^
              tables[3][b[4]] ^ tables[2][b[5]] ^ tables[1][b[6]] ^ tables[0][b[7]];
    }
    for (; i < data.size(); i++)
        crc = byte_step(crc, data[i]);
    return ~crc;
}

uint32_t crc32c(std::string_view data, uint32_t preceding) {
#if defined(__x86_64__)
    static const bool available = __builtin_cpu_supports("sse4.2");
    if (available)
        return ~with_instruction(data, ~preceding);
#endif
    return crc32c_portable(data, preceding);
}

} // namespace postern
