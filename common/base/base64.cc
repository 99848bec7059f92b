#include "common/base/base64.h"

#include <cstdint>

#include "common/base/secret.h"

namespace postern {

namespace {

constexpr std::string_view alphabet =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

// -1: not of the alphabet.
int value_of(char c) {
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

} // namespace

std::string encode_base64(std::string_view bytes) {
    std::string text;
    text.reserve((bytes.size() + 2) / 3 * 4);
    while (!bytes.empty()) {
        const std::string_view group = bytes.substr(0, 3);
        uint32_t bits = 0;
        for (size_t i = 0; i < 3; ++i)
            bits = bits << 8 | (i < group.size() ? static_cast<uint8_t>(group[i]) : 0u);
        for (size_t i = 0; i < 4; ++i)
            text += i <= group.size() ? alphabet[bits >> (18 - 6 * i) & 63] : '=';
        bytes.remove_prefix(group.size());
    }
    return text;
}

std::optional<std::string> decode_base64(std::string_view text) {
    if (text.size() % 4 != 0)
        return std::nullopt;
    const size_t padding = text.ends_with("==") ? 2 : text.ends_with('=') ? 1 : 0;
    std::string bytes;
    // What it holds may be a password: it does not move, and is wiped if it is no good.
    bytes.reserve(text.size() / 4 * 3);
    uint32_t bits = 0;
    for (size_t i = 0; i < text.size() - padding; ++i) {
        const int value = value_of(text[i]);
        if (value < 0) {
            wipe(bytes);
            return std::nullopt;
        }
        bits = bits << 6 | static_cast<uint32_t>(value);
        // 6, 12, 18, 24 bits of a group are there: whole bytes after all but the first.
        const size_t have = i % 4;
        if (have > 0)
            bytes += static_cast<char>(bits >> (6 - 2 * have) & 0xff);
    }
    const uint32_t left_over = padding == 2 ? bits & 15 : padding == 1 ? bits & 3 : 0;
    if (left_over != 0) {
        wipe(bytes);
        return std::nullopt;
    }
    return bytes;
}

} // namespace postern
