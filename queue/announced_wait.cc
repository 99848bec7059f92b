#include "queue/announced_wait.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <vector>

#include "common/base/decimal.h"
#include "common/smtp/text.h"

namespace postern {

namespace {

constexpr size_t words_limit = 200; // of a reply are looked at
constexpr size_t digits_limit = 6;  // of a number: no product of it overflows
constexpr int64_t longest = 86'400; // seconds

enum class Kind : uint8_t { none, number, letters };

Kind kind_of(char c) {
    if (is_ascii_digit(c) || c == ':')
        return Kind::number;
    return is_ascii_letter(c) ? Kind::letters : Kind::none;
}

// In lower case: runs of letters, and of digits and colons. "300s" is two of them.
std::vector<std::string_view> words_of(std::string_view text) {
    std::vector<std::string_view> words;
    for (size_t at = 0; at < text.size() && words.size() < words_limit;) {
        const Kind kind = kind_of(text[at]);
        size_t end = at + 1;
        while (end < text.size() && kind_of(text[end]) == kind)
            ++end;
        if (kind != Kind::none)
            words.push_back(text.substr(at, end - at));
        at = end;
    }
    return words;
}

template <size_t N>
bool is_one_of(std::string_view word, const std::array<std::string_view, N>& words) {
    return std::find(words.begin(), words.end(), word) != words.end();
}

// After one of these, a time is that of the next attempt.
bool is_cue(std::string_view word, std::string_view next) {
    static constexpr std::array<std::string_view, 8> cues{
        "retry",       "wait",        "greylisted", "graylisted",
        "greylisting", "graylisting", "deferred",   "retrying"};
    return is_one_of(word, cues) || (word == "try" && next == "again") ||
           (word == "come" && next == "back") || (word == "again" && next == "in") ||
           (word == "again" && next == "after") ||
           ((word == "grey" || word == "gray") && next.starts_with("list"));
}

// What stands before a time.
bool introduces(std::string_view word) {
    static constexpr std::array<std::string_view, 9> words{
        "in", "after", "for", "wait", "least", "another", "about", "next", "within"};
    return is_one_of(word, words);
}

int64_t seconds_in(std::string_view unit) {
    static constexpr std::array<std::string_view, 5> seconds{"s", "sec", "secs", "second",
                                                             "seconds"};
    static constexpr std::array<std::string_view, 5> minutes{"m", "min", "mins", "minute",
                                                             "minutes"};
    static constexpr std::array<std::string_view, 5> hours{"h", "hr", "hrs", "hour", "hours"};
    return is_one_of(unit, seconds)   ? 1
           : is_one_of(unit, minutes) ? 60
           : is_one_of(unit, hours)   ? 3600
                                      : 0;
}

// Nothing for what has no digits, or too many.
std::optional<int64_t> number(std::string_view digits) {
    return digits.size() <= digits_limit ? parse_decimal<uint32_t>(digits) : std::nullopt;
}

// "05:00", "00:05:00"
std::optional<int64_t> clock_time(std::string_view text) {
    int64_t total = 0;
    size_t parts = 0;
    for (;; ++parts) {
        const size_t colon = std::min(text.find(':'), text.size());
        const auto part = number(text.substr(0, colon));
        if (!part || parts == 3)
            return std::nullopt;
        total = total * 60 + *part;
        if (colon == text.size())
            break;
        text.remove_prefix(colon + 1);
    }
    return parts == 0 ? std::nullopt : std::optional(total);
}

// "5 minutes 30 seconds": a number and its unit, and further ones.
std::optional<int64_t> time_at(const std::vector<std::string_view>& words, size_t at) {
    if (const auto clock = clock_time(words[at]))
        return clock;
    int64_t total = 0;
    while (at + 1 < words.size()) {
        const auto count = number(words[at]);
        const int64_t unit = seconds_in(words[at + 1]);
        if (!count || unit == 0)
            break;
        total += *count * unit;
        at += 2;
        if (at < words.size() && words[at] == "and")
            ++at;
    }
    return total > 0 ? std::optional(total) : std::nullopt;
}

} // namespace

std::optional<std::chrono::seconds> announced_wait(std::string_view reply) {
    const std::string lower = ascii_lower(reply);
    const std::vector<std::string_view> words = words_of(lower);
    bool cued = false;
    for (size_t at = 0; at + 1 < words.size(); ++at) {
        cued = cued || is_cue(words[at], words[at + 1]);
        if (!cued || !introduces(words[at]))
            continue;
        if (const auto time = time_at(words, at + 1); time && *time > 0)
            return std::chrono::seconds(std::min(*time, longest));
    }
    return std::nullopt;
}

} // namespace postern
