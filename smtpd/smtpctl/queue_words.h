// The words by which operators say which mail of the queue they mean. Pure.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "common/ipc/administration.h"

namespace postern {

// "from PATTERN", "to PATTERN", "older TIME", "newer TIME", "error TEXT", "state STATE",
// "order NUMBER", each at
// most once, or "all" alone. Takes them off the front of `words`; what is none of them stays.
// Nothing: they say nothing, or one of them is wrong or has no value. `now`: seconds since the
// epoch.
std::optional<ipc::QueueFilter> take_filter(std::vector<std::string>& words, int64_t now);

// "1".."4294967295"
std::optional<uint32_t> parse_number(const std::string& word);

// "90s", "15m", "2h", "4d", in seconds, up to ten years; nothing for anything else.
std::optional<int64_t> parse_time(const std::string& word);

// Takes "NAME VALUE" off the end of the words.
std::optional<std::string> take_option(std::vector<std::string>& words, const std::string& name);
// Takes "for TIME" off the end of the words: `now` and that; 0 without it; nothing: it is wrong.
std::optional<int64_t> take_until(std::vector<std::string>& words, int64_t now);

} // namespace postern
