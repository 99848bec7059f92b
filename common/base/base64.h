// Base64 (RFC 4648 4), with padding and without line breaks. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace postern {

std::string encode_base64(std::string_view bytes);

// Strict: nothing but the alphabet and the padding that its length needs, and the bits that
// padding leaves over are zero (RFC 4648 3.5), so that each byte string has one text. Nothing
// where `text` is not such a text.
std::optional<std::string> decode_base64(std::string_view text);

} // namespace postern
