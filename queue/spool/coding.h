// Little-endian integers in byte strings, and what is a string of zeros.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

namespace postern {

inline void store_u32(char* at, uint32_t value) {
    for (int i = 0; i < 4; i++)
        at[i] = static_cast<char>(value >> (8 * i));
}
inline void store_u64(char* at, uint64_t value) {
    for (int i = 0; i < 8; i++)
        at[i] = static_cast<char>(value >> (8 * i));
}
inline uint32_t load_u32(const char* at) {
    uint32_t value = 0;
    for (int i = 0; i < 4; i++)
        value |= static_cast<uint32_t>(static_cast<unsigned char>(at[i])) << (8 * i);
    return value;
}
inline uint64_t load_u64(const char* at) {
    return load_u32(at) | static_cast<uint64_t>(load_u32(at + 4)) << 32;
}
inline void put_u32(std::string& out, uint32_t value) {
    char bytes[4];
    store_u32(bytes, value);
    out.append(bytes, 4);
}
inline void put_u64(std::string& out, uint64_t value) {
    char bytes[8];
    store_u64(bytes, value);
    out.append(bytes, 8);
}

inline bool all_zero(std::string_view data) {
    return data.empty() ||
           (data[0] == 0 && std::memcmp(data.data(), data.data() + 1, data.size() - 1) == 0);
}

} // namespace postern
