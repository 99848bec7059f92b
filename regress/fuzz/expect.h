// What a fuzzer holds to be true.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <string_view>

namespace postern::fuzz {

// Ends the program, which tells the fuzzer that it has found something.
inline void expect(bool condition, std::string_view what) {
    if (condition)
        return;
    std::fprintf(stderr, "not true: %.*s\n", static_cast<int>(what.size()), what.data());
    std::abort();
}

inline std::string_view text_of(const unsigned char* data, size_t size) {
    return std::string_view(reinterpret_cast<const char*>(data), size);
}

} // namespace postern::fuzz
