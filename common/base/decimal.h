// Numbers in text.
#pragma once

#include <charconv>
#include <concepts>
#include <optional>
#include <string_view>
#include <system_error>

namespace postern {

// Decimal digits and nothing else, neither sign nor blank; leading zeros are accepted. Nothing: the
// text is something else, or the number is too large.
template <std::unsigned_integral Number>
std::optional<Number> parse_decimal(std::string_view text) {
    Number number = 0;
    const char* const end = text.data() + text.size();
    const auto [rest, error] = std::from_chars(text.data(), end, number);
    if (error != std::errc() || rest != end)
        return std::nullopt;
    return number;
}

} // namespace postern
