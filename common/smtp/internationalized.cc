// IDNA is libidn2's, normalization and case libunistring's, which libidn2 is made with.
#include "common/smtp/internationalized.h"

#include "common/base/utf8.h"
#include "common/smtp/text.h"

#include <idn2.h>

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <unicase.h>
#include <uninorm.h>

namespace postern {

namespace {

struct Free {
    void operator()(void* memory) const { std::free(memory); }
};

// Longer ones cannot have an A-label of 63 octets: their octets would be more than Punycode makes.
constexpr std::size_t longest_u_label = 63 * 4;

const uint8_t* octets(std::string_view text) {
    return reinterpret_cast<const uint8_t*>(text.data());
}

std::string take(uint8_t* memory, std::size_t length) {
    const std::unique_ptr<uint8_t, Free> owned(memory);
    return memory == nullptr ? std::string()
                             : std::string(reinterpret_cast<const char*>(memory), length);
}

// Empty if there is no memory. `text` is UTF-8.
std::string lower_nfc(std::string_view text) {
    std::size_t length = 0;
    uint8_t* lower = u8_tolower(octets(text), text.size(), nullptr, UNINORM_NFC, nullptr, &length);
    return take(lower, length);
}

bool is_name_character(char c) {
    return is_ascii_letter(c) || is_ascii_digit(c) || c == '-' ||
           static_cast<unsigned char>(c) >= 0x80;
}

// libidn2's mapping of UTS 46 is not asked for: with it an underscore, a space or a question mark
// is left out without a word.
std::optional<std::string> to_a_label(std::string_view label) {
    if (label.size() > longest_u_label || label.starts_with('-') || label.ends_with('-') ||
        !std::all_of(label.begin(), label.end(), is_name_character) || !is_utf8(label))
        return std::nullopt;
    const std::string lower = lower_nfc(label);
    char* found = nullptr;
    const int flags = IDN2_NO_TR46 | IDN2_NFC_INPUT | IDN2_USE_STD3_ASCII_RULES;
    if (idn2_to_ascii_8z(lower.c_str(), &found, flags) != IDN2_OK)
        return std::nullopt;
    const std::unique_ptr<char, Free> owned(found);
    std::string result(found);
    // What NFC turns into ASCII (the Kelvin sign into K) is another way to write an ASCII label.
    if (!result.starts_with("xn--") || result.find('.') != std::string::npos)
        return std::nullopt;
    return result;
}

} // namespace

std::optional<std::string> to_a_labels(std::string_view domain) {
    std::string result;
    while (true) {
        const std::size_t dot = domain.find('.');
        const std::string_view label = domain.substr(0, dot);
        if (is_ascii(label)) {
            result += label;
        } else {
            const auto a_label = to_a_label(label);
            if (!a_label)
                return std::nullopt;
            result += *a_label;
        }
        if (dot == std::string_view::npos)
            return result;
        result += '.';
        domain.remove_prefix(dot + 1);
    }
}

std::string comparable_name(std::string_view name) {
    if (is_ascii(name) || !is_utf8(name))
        return ascii_lower(name);
    std::size_t length = 0;
    uint8_t* normal = u8_normalize(UNINORM_NFC, octets(name), name.size(), nullptr, &length);
    return ascii_lower(take(normal, length));
}

} // namespace postern
