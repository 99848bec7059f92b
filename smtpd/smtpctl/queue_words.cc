#include "smtpd/smtpctl/queue_words.h"

#include <charconv>
#include <set>

#include "common/base/decimal.h"
#include "smtpd/smtpctl/format.h"

namespace postern {

namespace {

constexpr int64_t longest = int64_t{10} * 366 * 86400; // seconds

std::optional<ipc::RecipientState> parse_state(const std::string& word) {
    for (uint8_t i = 0; i <= static_cast<uint8_t>(last_enumerator(ipc::RecipientState())); ++i)
        if (word == state_name(static_cast<ipc::RecipientState>(i)))
            return static_cast<ipc::RecipientState>(i);
    return std::nullopt;
}

// False: the value is wrong.
bool set(ipc::QueueFilter& filter, const std::string& name, const std::string& value, int64_t now) {
    if (name == "from")
        filter.sender = value;
    else if (name == "to")
        filter.recipient = value;
    else if (name == "error")
        filter.error = value;
    else if (name == "order")
        return (filter.order = parse_number(value).value_or(0)) != 0;
    else if (name == "state")
        return (filter.state = parse_state(value)).has_value();
    else if (const std::optional<int64_t> age = parse_time(value); !age)
        return false;
    else if (name == "older")
        filter.accepted_before = now - *age;
    else
        filter.accepted_after = now - *age;
    return !value.empty();
}

} // namespace

std::optional<uint32_t> parse_number(const std::string& word) {
    const std::optional<uint32_t> number = parse_decimal<uint32_t>(word);
    return number && *number > 0 ? number : std::nullopt;
}

std::optional<int64_t> parse_time(const std::string& word) {
    int64_t number = 0;
    const char* end = word.data() + word.size();
    const auto [unit, error] = std::from_chars(word.data(), end, number);
    if (error != std::errc() || number < 0 || end - unit != 1)
        return std::nullopt;
    const int64_t factor = *unit == 's'   ? 1
                           : *unit == 'm' ? 60
                           : *unit == 'h' ? 3600
                           : *unit == 'd' ? 86400
                                          : 0;
    if (factor == 0 || number > longest / factor)
        return std::nullopt;
    return number * factor;
}

std::optional<ipc::QueueFilter> take_filter(std::vector<std::string>& words, int64_t now) {
    static const std::set<std::string> names = {"from",  "to",    "older", "newer",
                                                "error", "state", "order"};
    ipc::QueueFilter filter;
    if (!words.empty() && words[0] == "all") {
        words.erase(words.begin());
        return filter;
    }
    std::set<std::string> seen;
    while (!words.empty() && names.contains(words[0])) {
        if (words.size() < 2 || !seen.insert(words[0]).second ||
            !set(filter, words[0], words[1], now))
            return std::nullopt;
        words.erase(words.begin(), words.begin() + 2);
    }
    return seen.empty() ? std::nullopt : std::optional(filter);
}

std::optional<std::string> take_option(std::vector<std::string>& words, const std::string& name) {
    if (words.size() < 2 || words[words.size() - 2] != name)
        return std::nullopt;
    std::string value = words.back();
    words.resize(words.size() - 2);
    return value;
}

std::optional<int64_t> take_until(std::vector<std::string>& words, int64_t now) {
    const std::optional<std::string> time = take_option(words, "for");
    if (!time)
        return 0;
    const std::optional<int64_t> seconds = parse_time(*time);
    return seconds ? std::optional(now + *seconds) : std::nullopt;
}

} // namespace postern
